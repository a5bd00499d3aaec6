"""Five clips of an hour of video: they are chosen and rendered in little memory."""

from pathlib import Path

import pytest

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.sandbox.output_checks import resident_bytes
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest
from tests.support.media.clips import ffmpeg
from tests.support.media.rendered_files import pictures_of, sound_of

SIZE, RATE, REPEATED = (1280, 720), 24, 60
FOOTAGE = Path(__file__).parents[1] / "footage"


def an_hour(directory: Path) -> Path:
    """One minute of real footage and speech, sixty times over, without encoding it again."""
    minute, hour = directory / "minute.mp4", directory / "hour.mp4"
    pictures = ["-stream_loop", "-1", "-i", str(FOOTAGE / "picnic.mp4")]
    sound = ["-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.2,tremolo=f=0.1:d=0.9,aresample=48000"]
    scaled = [
        "-vf",
        f"scale={SIZE[0]}:{SIZE[1]},fps={RATE}",
        "-pix_fmt",
        "yuv420p",
        "-preset",
        "ultrafast",
        "-g",
        "240",
    ]
    ffmpeg(*pictures, *sound, "-map", "0:v", "-map", "1:a", *scaled, "-c:a", "aac", "-t", "60", str(minute))
    ffmpeg("-stream_loop", str(REPEATED - 1), "-i", str(minute), "-c", "copy", str(hour))
    return hour


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_clips_of_an_hour_need_little_memory(tmp_path: Path) -> None:
    # Given an hour of 720p, When its five best moments are cut
    config = {"clips": {"count": 5, "max_seconds": 20, "loudness_lufs": -16}}
    request = MediaRequest(
        an_hour(tmp_path), "mp4", tmp_path / "out", config=JobConfig.model_validate(config), decoder_threads=2
    )
    request.out_directory.mkdir()
    peak_bytes = 0
    with MediaProcess(request) as media:
        for _ in media.updates(poll_seconds=0.1):
            peak_bytes = max(peak_bytes, resident_bytes(media.pid))
        clips = media.result().clips
    # Then each is whole
    assert len(clips) == 5
    for clip in clips:
        path = request.out_directory / f"clips/{clip.index:02}.mp4"
        assert len(pictures_of(path, size=SIZE)) == clip.end_frame - clip.start_frame
        assert sound_of(path).shape[1] == round(clip.end_seconds * 48_000) - round(clip.start_seconds * 48_000)
    # And the process has stayed small
    assert peak_bytes < 1 << 30
