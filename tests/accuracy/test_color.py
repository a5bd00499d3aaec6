"""Colour: on graded copies of real video every measured shift has the sign and the order of the applied one."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.analysis.conftest import Analyse
from tests.support.media import clips

QUICK = ("-c:v", "libx264", "-preset", "ultrafast")
TAKES = Path(__file__).parents[1] / "footage"
FILMED, DRAWN, DARK = TAKES / "cockatoo.mp4", TAKES / "stream.mp4", TAKES / "burrow.mp4"

# From least to most of each, as ffmpeg applies it; the third is the video as it is.
GRADES = {
    "temperature": [f"colortemperature=temperature={kelvin}" for kelvin in (12000, 8500, 6500, 5000, 4000)],
    "tint": [f"colorbalance=gm={green}:gs={green}:gh={green}" for green in (0.3, 0.15, 0, -0.15, -0.3)],
    "saturation": [f"eq=saturation={factor}" for factor in (0, 0.5, 1, 1.4, 1.8)],
    "contrast": [f"eq=contrast={factor}" for factor in (0.5, 0.75, 1, 1.25, 1.5)],
    "highlights": [f"curves=all='0/0 0.5/0.5 1/{level}'" for level in (0.6, 0.8, 1)],
    "shadows": [f"curves=all='0/{level} 0.5/0.5 1/1'" for level in (0, 0.15, 0.3)],
    "brightness": [f"eq=brightness={offset}" for offset in (-0.2, -0.1, 0, 0.1, 0.2)],
}


@pytest.mark.parametrize(
    "clip",
    [FILMED, *(pytest.param(path, marks=pytest.mark.long) for path in (DRAWN, DARK))],
    ids=lambda path: path.stem,
)
@pytest.mark.parametrize("field", GRADES)
def test_a_shift_is_measured_as_it_was_applied(field: str, clip: Path, tmp_path: Path, analyse: Analyse) -> None:
    # Given copies of real video, each with more of one thing than the one before
    measured = []
    for place, grade in enumerate(GRADES[field]):
        path = tmp_path / f"{place}.mp4"
        clips.ffmpeg(
            "-t", "0.8", "-i", str(clip), "-an", *QUICK, "-vf", f"format=gbrp,{grade},format=yuv420p", str(path)
        )

        # When they are analysed
        measured.append(analyse(path)["color"][field])

    # Then the figures are in that order, and apart
    assert all(more - less > 1 for less, more in pairwise(measured)), measured


def test_grey_is_grey(tmp_path: Path, analyse: Analyse) -> None:
    # Given real video without its colours
    path = tmp_path / "grey.mp4"
    clips.ffmpeg("-t", "1", "-i", str(FILMED), "-an", "-vf", "hue=s=0", str(path))

    # When it is analysed
    color = analyse(path)["color"]

    # Then there is no colour in it, and no cast but for a level of rounding
    assert color["saturation"] < -95
    assert abs(color["temperature"]) < 8
    assert abs(color["tint"]) < 8


def test_the_dominant_colours_of_a_flag_are_its_own(tmp_path: Path, analyse: Analyse) -> None:
    # Given half of it red, three tenths white and a fifth blue
    graph = "color=0xc81e1e:size=320x180:rate=25,trim=duration=1"
    graph += ",drawbox=x=160:w=96:h=180:color=0xf0f0f0:t=fill,drawbox=x=256:w=64:h=180:color=0x1e3cb4:t=fill"
    path = tmp_path / "flag.mp4"
    clips.ffmpeg("-filter_complex", graph, "-c:v", "libx264", "-qp", "4", str(path))

    # When it is analysed
    dominant = analyse(path)["color"]["dominant"]

    # Then these are its colours, in these shares
    truth = [((200, 30, 30), 0.5), ((240, 240, 240), 0.3), ((30, 60, 180), 0.2)]
    assert len(dominant) == 3
    for found, (color, share) in zip(dominant, truth, strict=True):
        assert found["share"] == pytest.approx(share, abs=0.03)
        assert np.abs(np.array(rgb(found["hex"])) - color).max() <= 16


BARS = {
    "wide": ((640, 272), "pad=640:360:0:44", {"top": 44, "bottom": 44, "left": 0, "right": 0}),
    "narrow": ((480, 360), "pad=640:360:80:0", {"top": 0, "bottom": 0, "left": 80, "right": 80}),
    "both": ((560, 300), "pad=640:360:40:30", {"top": 30, "bottom": 30, "left": 40, "right": 40}),
    "none": ((640, 360), "null", None),
}


@pytest.mark.parametrize("name", BARS)
def test_black_bars_are_found_to_the_pixel(name: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given real video between black bars
    (width, height), pad, truth = BARS[name]
    path = tmp_path / "bars.mp4"
    crop = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1,{pad}"
    clips.ffmpeg("-t", "3", "-i", str(DRAWN), "-an", "-vf", crop, "-c:v", "libx264", "-crf", "20", str(path))

    # When it is analysed
    found: dict[str, Any] | None = analyse(path)["color"]["letterbox"]

    # Then they are found, two pixels of coding aside; and what lies between them alone gives the colours
    if truth is None or found is None:
        assert found == truth
    else:
        assert {side: pytest.approx(lines, abs=2) for side, lines in truth.items()} == found


def test_bars_do_not_count_for_the_grade(tmp_path: Path, analyse: Analyse) -> None:
    # Given a video, and the same between thick bars
    plain, barred = tmp_path / "plain.mp4", tmp_path / "barred.mp4"
    clips.ffmpeg("-t", "2", "-i", str(DRAWN), "-an", "-vf", "scale=640:272,setsar=1", str(plain))
    clips.ffmpeg("-t", "2", "-i", str(DRAWN), "-an", "-vf", "scale=640:272,setsar=1,pad=640:400:0:64", str(barred))

    # When both are analysed, Then they look alike
    one, other = analyse(plain)["color"], analyse(barred)["color"]
    for field in GRADES:
        assert one[field] == pytest.approx(other[field], abs=12 if field == "highlights" else 4), field


def rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
