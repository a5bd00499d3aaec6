"""Videos whose frames change their size midway, as calls do when they grow and phones when they are turned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.sandbox.request import MediaRequest
from tests.analysis.conftest import Analyse
from tests.support.media import geometries
from tests.support.media.analysis import analysed
from tests.support.media.clips import QUICK_VP8, QUICK_VP9

VP8 = (*QUICK_VP8, "-b:v", "400k")
VP9 = (*QUICK_VP9, "-b:v", "400k")
# With parameters in the stream, since the container has those of the first part only.
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bsf:v", "dump_extra")


@dataclass(frozen=True)
class Changing:
    """Sizes with the seconds of each; ``main`` is displayed longest."""

    suffix: str
    coding: tuple[str, ...]
    parts: tuple[tuple[str, float], ...]
    main: tuple[int, int]


CALLS = {
    "grows early": Changing("webm", VP8, (("160x90", 1), ("320x180", 2), ("640x360", 4)), (640, 360)),
    "grows late": Changing("webm", VP9, (("320x180", 3), ("640x360", 1)), (320, 180)),
    "grows for a bit more than half": Changing("mkv", VP8, (("320x180", 2), ("640x360", 2.6)), (640, 360)),
    "about equal": Changing("webm", VP8, (("160x90", 2), ("640x360", 2), ("360x640", 2)), (640, 360)),
    "is turned": Changing("webm", VP8, (("320x180", 1), ("180x320", 3)), (180, 320)),
    "is turned and back": Changing("mkv", VP9, (("320x180", 1.6), ("180x320", 2), ("320x180", 1)), (320, 180)),
    "shrinks, in H.264": Changing("mkv", H264, (("640x360", 1), ("320x180", 3)), (320, 180)),
    "is turned, in mp4": Changing("mp4", H264, (("320x180", 3), ("180x320", 1)), (320, 180)),
    "grows, in mp4": Changing("mp4", H264, (("320x180", 1), ("640x360", 3)), (640, 360)),
}


def made(call: Changing, directory: Path) -> Path:
    parts = [
        geometries.chart(directory / f"part-{number}.{call.suffix}", *call.coding, size=size, seconds=seconds)
        for number, (size, seconds) in enumerate(call.parts)
    ]
    return geometries.joined(parts, directory / f"whole.{call.suffix}")


@pytest.mark.parametrize("name", CALLS)
def test_the_size_displayed_longest_counts(name: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given a video of these parts
    call = CALLS[name]
    path = made(call, tmp_path)

    # When it is analysed
    found = analyse(path)

    # Then its size and its poster are those of the part that is longest, a warning says so, and all of it is there
    assert (found["source"]["width"], found["source"]["height"]) == call.main
    assert geometries.picture(tmp_path / "poster.jpg").shape[1::-1] == call.main
    sizes = ", ".join(dict.fromkeys(size for size, _ in call.parts))
    [warning] = [warning for warning in found["warnings"] if "fitted" in warning]
    assert f"({sizes})" in warning
    assert f"it is {call.main[0]}x{call.main[1]}," in warning
    assert found["source"]["duration_seconds"] == pytest.approx(sum(seconds for _, seconds in call.parts), abs=0.1)


def test_nothing_is_squashed(tmp_path: Path) -> None:
    # Given three seconds of lying frames and one of standing ones
    path = made(CALLS["is turned, in mp4"], tmp_path)

    # When it is analysed
    options = {"analyses": [], "thumbnails": {"per": "interval", "interval_seconds": 1}}
    analysed(MediaRequest(path, "mp4", tmp_path, JobConfig.model_validate(options)))

    # Then the standing frames stand in the middle, with black beside them
    thumbnail = geometries.picture(tmp_path / "intervals" / "00003.jpg")
    height, width = thumbnail.shape[:2]
    assert height / width == pytest.approx(9 / 16, abs=0.02)
    lit = np.flatnonzero(thumbnail.max(axis=(0, 2)) > 60)
    assert (lit[-1] - lit[0] + 1) / height == pytest.approx(9 / 16, abs=0.03)
    assert abs(lit[0] - (width - 1 - lit[-1])) <= 2
    # And the columns of its upper half are red and green, each of half the width
    row = thumbnail[height // 4].astype(int)
    red, green = (np.count_nonzero(row[:, channel] > 150) for channel in (2, 1))
    assert red == pytest.approx(green, abs=3)


def test_black_beside_a_frame_does_not_count(tmp_path: Path, analyse: Analyse) -> None:
    # Given a chart that is turned for two seconds of five
    path = made(CALLS["is turned and back"], tmp_path)

    # When it is analysed, and its first part alone
    turned, upright = (analyse(one)["color"] for one in (path, tmp_path / "part-0.mkv"))

    # Then the colours are the same, and there are no black bars
    for name in ("brightness", "temperature", "tint", "saturation", "contrast", "highlights", "shadows"):
        assert turned[name] == pytest.approx(upright[name], abs=1), name
    assert turned["letterbox"] is None


def test_files_of_a_pass_that_was_given_up_are_gone(tmp_path: Path, analyse: Analyse) -> None:
    # Given a video that grows
    path = made(CALLS["grows early"], tmp_path)

    # When it is analysed
    found: dict[str, Any] = analyse(path)

    # Then there are thumbnails of its shots, and no others
    listed = {artifact["file"] for artifact in found["artifacts"] if artifact["kind"] == "thumbnail"}
    assert {f"shots/{one.name}" for one in (tmp_path / "shots").iterdir()} == listed


def test_a_video_of_one_size_has_no_warning(tmp_path: Path, analyse: Analyse) -> None:
    assert analyse(geometries.chart(tmp_path / "chart.mp4"))["warnings"] == []
