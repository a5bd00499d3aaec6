"""Clips of films of every kind: each of their pictures is that of the asked frame."""

from pathlib import Path

import pytest

from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.analysis.run import analyse
from clipzy_worker.render.picture_filter import PictureFilter
from clipzy_worker.sandbox.protocol import Report
from clipzy_worker.sandbox.request import MediaRequest
from tests.render.test_frames import ENOUGH_DB, FILMS, HEVC, MPEG2, SHARP_DB, Film, Luma, all_frames, luma_of, made
from tests.render.test_frames import psnr_db as likeness_db
from tests.render.test_picture_filter import source_of

pytestmark = pytest.mark.long

HDR = "setparams=color_primaries=bt2020:color_trc={}:colorspace=bt2020nc:range=tv"
MORE_FILMS = {
    "PQ": Film("mp4", HEVC, "24", "yuv420p10le", HDR.format("smpte2084")),
    "HLG": Film("mkv", HEVC, "30000/1001", "yuv420p10le", HDR.format("arib-std-b67")),
    "wide pixels, interlaced": Film("mov", (*MPEG2, "-flags", "+ildct+ilme"), graph="setfield=tff,setsar=64/45"),
}
RANGES = [(0, 0.3), (0.7, 1.1), (1.5, 60)]


def pictures_of_source(path: Path, size: tuple[int, int]) -> list[Luma]:
    one = PictureFilter(RenditionOptions(), size, out_directory=path.parent)
    filtered = [picture for frame in source_of(path) for picture in one.push(frame)] + one.flush()
    return [luma_of(picture) for picture in filtered]


@pytest.mark.parametrize("name", [*FILMS, *MORE_FILMS])
def test_every_picture_of_a_clip_is_that_of_its_frame(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a film, of which clips are cut from the beginning, from within, and to the end
    monkeypatch.setattr("tests.render.test_frames.FILMS", FILMS | MORE_FILMS)
    path, out = made(name, tmp_path), tmp_path / "out"
    out.mkdir()
    ranges = [{"start_seconds": start, "end_seconds": end} for start, end in RANGES]
    options = {"ranges": ranges, "frame_rate": "source", "quality": "high"}
    config = JobConfig.model_validate({"analyses": [], "sprites": False, "clips": options})
    with (tmp_path / "messages").open("wb") as messages:
        found = analyse(MediaRequest(path, path.suffix[1:], out, config=config), Report(messages))
    truth = pictures_of_source(path, (found.source.width, found.source.height))

    # When they are decoded, Then each picture is that of its frame, and not that of a neighbour
    for clip in found.clips:
        assert clip.artifacts, clip.warnings
        pictures = all_frames(out / clip.artifacts[0])
        assert len(pictures) == clip.end_frame - clip.start_frame > 0
        for number, picture in enumerate(pictures, start=clip.start_frame):
            likeness = likeness_db(picture, truth[number])
            assert likeness > ENOUGH_DB
            for neighbour in {number - 1, number + 1} & set(range(len(truth))):
                assert likeness > likeness_db(picture, truth[neighbour]) + SHARP_DB
    assert found.clips[-1].end_frame == len(truth)
