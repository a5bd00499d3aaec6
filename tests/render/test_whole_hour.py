"""A rendering of an hour: what it needs of memory, and that it goes on after its process was killed."""

import shutil
from pathlib import Path

import pytest

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.sandbox.output_checks import resident_bytes
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest
from clipzy_worker.sandbox.request import SEGMENTS
from tests.support.media.clips import ffmpeg
from tests.support.media.rendered_files import sound_of

RATE, SECONDS, KILLED_AFTER = 12, 3600, 20
CONFIG = {
    "analyses": ["color"],
    "thumbnails": {"per": "none"},
    "sprites": False,
    "render": {"quality": "draft", "loudness_lufs": -16},
}


def request_to(directory: Path, source: Path) -> MediaRequest:
    directory.mkdir()
    return MediaRequest(source, "mp4", directory, config=JobConfig.model_validate(CONFIG), decoder_threads=2)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_an_hour_is_rendered_in_little_memory_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    # Given an hour of video, and a media process that is killed after a third of its rendering
    source = tmp_path / "hour.mp4"
    graph = f"testsrc2=size=160x90:rate={RATE}:duration={SECONDS}"
    sound = f"anoisesrc=color=pink:amplitude=0.2:duration={SECONDS}:sample_rate=48000"
    coded = ["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k"]
    ffmpeg("-f", "lavfi", "-i", graph, "-f", "lavfi", "-i", sound, *coded, str(source))
    finished, peak_bytes = list[str](), 0
    with MediaProcess(request_to(tmp_path / "killed", source)) as media:
        for _ in media.updates(poll_seconds=0.1):
            finished += media.new_segments()
            peak_bytes = max(peak_bytes, resident_bytes(media.pid))
            if len(finished) >= KILLED_AFTER:
                break
    # When another one finds the segments of the first
    request = request_to(tmp_path / "next", source)
    (request.out_directory / SEGMENTS).mkdir()
    for name in finished:
        shutil.copy(tmp_path / "killed" / SEGMENTS / f"{name}.mp4", request.out_directory / SEGMENTS)
    rendered = list[str]()
    with MediaProcess(request) as media:
        for _ in media.updates(poll_seconds=0.1):
            rendered += media.new_segments()
            peak_bytes = max(peak_bytes, resident_bytes(media.pid))
        result = media.result()
    # Then it renders the others, and the video is whole, to the last sample
    assert len(finished + rendered) == SECONDS // 60
    assert not set(finished) & set(rendered)
    assert result.render is not None
    assert result.render.frames == RATE * SECONDS
    assert sound_of(request.out_directory / "output.mp4").shape[1] == SECONDS * 48_000
    assert result.render.loudness is not None
    assert result.render.loudness.after_lufs == pytest.approx(-16, abs=0.5)
    # And neither needs much memory
    assert peak_bytes < 1 << 30
