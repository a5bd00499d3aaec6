"""Figures weigh by display time, and a still is the frame displayed at its time: the same film at a variable and at a
constant rate is the same."""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.display_moments import DisplayMoments
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media import timelines
from tests.support.media.analysis import analysed

FOOTAGE = Path(__file__).parents[1] / "footage"
GRADE = ("brightness", "temperature", "tint", "saturation", "contrast", "highlights", "shadows")
BY_INTERVAL: dict[str, Any] = {"per": "interval", "interval_seconds": 5}


def seen(path: Path, **config: Any) -> dict[str, Any]:
    """The result; its artifacts lie beside the file, in a directory with its name."""
    out_directory = path.with_suffix("")
    out_directory.mkdir(exist_ok=True)
    return analysed(
        MediaRequest(path, path.suffix[1:], out_directory, JobConfig(analyses=["motion", "color"], **config))
    )


def figures(found: dict[str, Any]) -> list[float]:
    """Of scales of 100 or 200."""
    return [*(found["color"][name] for name in GRADE), found["motion"]["intensity"]]


def tile_means(directory: Path) -> list[float]:
    """Of the luma of each sprite."""
    sheet = cv2.imread(str(directory / "sprites.jpg"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    places = re.findall(r"xywh=(\d+),(\d+),(\d+),(\d+)", (directory / "sprites.vtt").read_text())
    return [float(sheet[y : y + h, x : x + w].mean()) for x, y, w, h in (map(int, place) for place in places)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_slides_are_the_same_at_both_rates(suffix: str, tmp_path: Path) -> None:
    # Given a page that is two pictures for 28 s, and the same at 25 pictures per second
    variable = timelines.slides(tmp_path / f"variable.{suffix}")
    constant = timelines.at_constant_rate(tmp_path / "constant.mp4", variable, rate=25)

    # When both are analysed
    one, other = seen(variable, thumbnails=BY_INTERVAL), seen(constant, thumbnails=BY_INTERVAL)

    # Then their figures are the same, of the video and of each page
    assert figures(one) == pytest.approx(figures(other), abs=1)
    assert one["color"]["brightness"] == pytest.approx(29.5, abs=0.5)
    brightness = [[shot["color"]["brightness"] for shot in found["shots"]] for found in (one, other)]
    assert brightness[0] == pytest.approx(brightness[1], rel=0.02)
    # And each tile shows the page of its second
    tiles = tile_means(variable.with_suffix(""))
    assert len(tiles) == 30
    assert max(tiles[:28]) < 70 < 140 < min(tiles[28:])
    # And so does each interval
    times = [still["time_seconds"] for still in one["artifacts"] if still["kind"] == "thumbnail"]
    assert times == [0, 5, 10, 15, 20, 25]
    stills = [cv2.imread(str(tmp_path / "variable" / f"intervals/{number:05}.jpg")) for number in range(6)]
    assert max(float(np.mean(still)) for still in stills if still is not None) < 80


@pytest.mark.parametrize("take", ["lawn", "bird", "tree", "meadow"])
def test_pictures_that_are_left_out_change_no_figure(take: str, tmp_path: Path) -> None:
    # Given a take of which pictures are left out, at a variable and at a constant rate
    variable = timelines.some_pictures(tmp_path / "variable.mp4", FOOTAGE / f"{take}.mp4", share=0.4)
    constant = timelines.at_constant_rate(tmp_path / "constant.mp4", variable, rate=50)

    # When both are analysed, Then their figures differ by at most 2 % of their scales
    one, other = figures(seen(variable)), figures(seen(constant))
    assert one == pytest.approx(other, abs=2)


def test_a_frame_has_as_many_moments_as_its_display_lasts() -> None:
    # Given a film of frames that are displayed for 0.1, 0.4 and 0.5 s, and the same of frames of 0.02 s
    moments, fine = DisplayMoments(0.25), DisplayMoments(0.25)
    pixels = np.zeros((9, 16, 3), np.uint8)
    spans = [(3.0, 3.1), (3.1, 3.5), (3.5, 4.0)]
    steps = [(3 + number / 50, 3 + (number + 1) / 50) for number in range(50)]

    # When moments are taken every quarter of a second from the first frame on
    def frame(begin: float, end: float) -> Frame:
        return Frame(0, begin, end, lambda: pixels, lambda _size: pixels)

    found = [list(moments.within(frame(*span))) for span in spans]
    shown = {moment: begin for begin, end in steps for moment in fine.within(frame(begin, end))}

    # Then both show the same at each
    assert found == [[0], [1], [2, 3]]
    assert shown == pytest.approx({0: 3.0, 1: 3.24, 2: 3.5, 3: 3.74})
