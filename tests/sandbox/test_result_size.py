"""MAX_RESULT_MB in the media process: estimated before the work, and counted while it is written."""

import io
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.models.job_config import JobConfig, ThumbnailOptions
from clipzy_worker.analysis.result_estimate import least_result_bytes
from clipzy_worker.decode.geometry import Geometry
from clipzy_worker.errors import ResultTooLarge
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest
from clipzy_worker.sandbox.protocol import Report
from tests.sandbox.test_limits import analysed
from tests.support.media import clips
from tests.support.media.nothing_found import nothing_found

HD = Geometry(1280, 720, Fraction(1))
EVERY_HALF_SECOND = JobConfig(thumbnails=ThumbnailOptions(per="interval", interval_seconds=0.5, width=1280))


def files_in(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def bytes_in(directory: Path) -> int:
    return sum(path.stat().st_size for path in files_in(directory))


@pytest.mark.parametrize(
    ("changes", "seconds", "frames", "images"),
    [
        ({"thumbnails": ThumbnailOptions(per="none"), "sprites": False}, 60, 1500, 1),
        ({"thumbnails": ThumbnailOptions(width=1280), "sprites": False}, 60, 1500, 2),
        ({"thumbnails": EVERY_HALF_SECOND.thumbnails, "sprites": False}, 60, 1500, 1 + 121),
        ({"thumbnails": EVERY_HALF_SECOND.thumbnails, "sprites": False}, 60, 10, 1 + 10),
        ({"thumbnails": EVERY_HALF_SECOND.thumbnails, "sprites": False}, 43_200, 1_000_000, 1 + 338),
        ({"thumbnails": ThumbnailOptions(per="none"), "sprites": True}, 160, 4000, 1 + 160 / 16),
    ],
    ids=["the poster alone", "one shot", "an image each half second", "few frames", "many images", "sprites"],
)
def test_the_estimate_counts_the_images_that_are_sure(
    changes: dict[str, Any], seconds: float, frames: int, images: float
) -> None:
    estimate = least_result_bytes(JobConfig(**changes), HD, seconds=seconds, frames=frames)
    assert estimate == pytest.approx(images * 1280 * 720 * 0.015, rel=0.01)


def test_the_estimate_is_below_what_is_written(tmp_path: Path) -> None:
    """Else a job would be refused whose result is not too large."""
    # Given a video of one colour, which no other compresses better than
    path = tmp_path / "grey.mp4"
    clips.ffmpeg("-f", "lavfi", "-i", "color=gray:size=1280x720:rate=10:duration=10", str(path))
    request = MediaRequest(path, "mp4", tmp_path / "out", config=EVERY_HALF_SECOND)
    # When it is analysed, Then the result has at least as many bytes as estimated, and not many times as many
    analysed(request)
    estimate = least_result_bytes(EVERY_HALF_SECOND, HD, seconds=10, frames=100)
    assert estimate < bytes_in(request.out_directory) < 2 * estimate


def test_a_result_that_is_certain_to_be_too_large_is_not_begun(tmp_path: Path, clips_directory: Path) -> None:
    # Given a config that asks for more than the limit
    clip = clips.long_clip(clips_directory, seconds=20)
    limits = MediaLimits(output_bytes=100_000)
    request = MediaRequest(clip.path, "mp4", tmp_path / "out", config=EVERY_HALF_SECOND, limits=limits)
    # When it is analysed, Then it fails with what it would need, and nothing was written
    with pytest.raises(ResultTooLarge, match=r"at least 0\.\d+ MiB; at most 0\.0953674 MiB .*\(MAX_RESULT_MB\)"):
        analysed(request)
    assert files_in(request.out_directory) == []


def test_a_result_that_turns_out_too_large_ends_the_work(tmp_path: Path, clips_directory: Path) -> None:
    # Given a limit above the estimate, and below what is really written
    clip = clips.long_clip(clips_directory, seconds=20)
    request = MediaRequest(clip.path, "mp4", tmp_path / "out", config=EVERY_HALF_SECOND)
    analysed(request)
    limit = bytes_in(request.out_directory) - 1
    assert least_result_bytes(EVERY_HALF_SECOND, HD, seconds=20, frames=500) < limit
    # When it is analysed, Then it is too large; and with one byte more it is not
    limited = replace(request, out_directory=tmp_path / "limited", limits=MediaLimits(output_bytes=limit))
    with pytest.raises(ResultTooLarge, match=r"is larger; at most .*\(MAX_RESULT_MB\)"):
        analysed(limited)
    analysed(replace(request, out_directory=tmp_path / "enough", limits=MediaLimits(output_bytes=limit + 1)))


def test_more_figures_than_an_index_may_have_are_too_large() -> None:
    """Otherwise the parent takes it for a crash, and tries the job once more."""
    stream = io.BytesIO()
    with pytest.raises(ResultTooLarge, match=r"output\.json would be over 32 MiB"):
        Report(stream).result(nothing_found(warnings=["x" * (32 << 20)]))
    assert stream.getvalue() == b""


def test_a_result_that_the_media_process_gives_up_is_too_large(tmp_path: Path, clips_directory: Path) -> None:
    script = 'print(\'{"result_too_large": "by far"}\')'
    request = MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path)
    with MediaProcess(request, command=(sys.executable, "-I", "-c", script)) as media:
        for _fraction in media.updates():
            pass
        with pytest.raises(ResultTooLarge, match="by far"):
            media.result()
