"""Every display matrix: what is measured and shown is what ffmpeg shows."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clipzy_worker.decode.geometry import UPRIGHT, Geometry, Orientation, orientation_of
from tests.analysis.conftest import Analyse
from tests.support.media import geometries
from tests.support.media.clips import ffmpeg

MATRICES = geometries.ORIENTATIONS | geometries.DEGENERATE


def assert_shown_like_ffmpeg(path: Path, out_directory: Path, found: dict[str, Any]) -> None:
    """Size and poster are those of ffmpeg's first frame."""
    expected = geometries.as_ffmpeg_shows(path)
    assert (found["source"]["width"], found["source"]["height"]) == expected.shape[1::-1]
    poster = geometries.picture(out_directory / "poster.jpg")
    assert poster.shape == expected.shape
    assert np.abs(small(poster) - small(expected)).mean() < 6
    # And the thumbnail, which is taken from the pass
    thumbnail = geometries.picture(out_directory / "shots" / "0000.jpg")
    assert np.abs(small(thumbnail) - small(expected)).mean() < 8


def small(pixels: Any) -> Any:
    return cv2.resize(pixels, (16, 16), interpolation=cv2.INTER_AREA).astype(float)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_is_obeyed(name: str, suffix: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given a file whose track header has this matrix
    path = geometries.chart(tmp_path / f"chart.{suffix}")
    geometries.with_matrix(path, MATRICES[name])

    # When it is analysed, Then all is as ffmpeg shows it
    assert_shown_like_ffmpeg(path, tmp_path, analyse(path))


@pytest.mark.parametrize("name", ["mirrored", "transposed", "turned to the left"])
def test_wide_pixels_are_widened_before_the_matrix_is_applied(name: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given a file with pixels twice as wide as high, and this matrix
    square = geometries.chart(tmp_path / "square.mp4")
    path = tmp_path / "wide.mp4"
    ffmpeg("-i", str(square), "-vf", "setsar=2", "-c:v", "libx264", str(path))
    geometries.with_matrix(path, geometries.ORIENTATIONS[name])

    # When it is analysed
    source = analyse(path)["source"]

    # Then its size is that of square pixels
    expected = (640, 180) if name == "mirrored" else (180, 640)
    assert (source["width"], source["height"]) == expected


@pytest.mark.parametrize("options", [(90,), (180,), (-90,), (0, "h"), (0, "v"), (90, "h"), (-90, "h")])
def test_what_matroska_can_say_is_obeyed(options: tuple[Any, ...], tmp_path: Path, analyse: Analyse) -> None:
    # Given a Matroska file with a projection that turns or mirrors it
    degrees, *flips = options
    asked = ["-display_rotation", str(degrees), *[part for flip in flips for part in (f"-display_{flip}flip",)]]
    path = tmp_path / "chart.mkv"
    ffmpeg(*asked, "-i", str(geometries.chart(tmp_path / "plain.mp4")), "-c", "copy", str(path))

    # When it is analysed, Then all is as ffmpeg shows it
    assert_shown_like_ffmpeg(path, tmp_path, analyse(path))


@pytest.mark.parametrize("bits", ["rotate=90", "rotate=180", "flip=horizontal", "flip=vertical"])
def test_what_the_codec_says_is_obeyed(bits: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given H.264 with a message about its display orientation, in a container that says nothing
    path = tmp_path / "chart.mp4"
    plain = geometries.chart(tmp_path / "plain.mp4")
    ffmpeg("-i", str(plain), "-c", "copy", "-bsf:v", f"h264_metadata=display_orientation=insert:{bits}", str(path))

    # When it is analysed, Then all is as ffmpeg shows it
    assert_shown_like_ffmpeg(path, tmp_path, analyse(path))


def test_a_turn_in_the_middle_is_obeyed(tmp_path: Path, analyse: Analyse) -> None:
    """A phone that is turned while it records, in H.264: the container says nothing, the frames do."""
    # Given a second of upright frames, and two that are to be turned
    parts = []
    for number, (seconds, bits) in enumerate([(1, "remove"), (2, "insert:rotate=90")]):
        plain = geometries.chart(tmp_path / f"plain-{number}.mp4", seconds=seconds)
        part = tmp_path / f"part-{number}.mp4"
        how = f"h264_metadata=display_orientation={bits}"
        ffmpeg("-i", str(plain), "-c", "copy", "-bsf:v", how, str(part))
        parts.append(part)
    path = geometries.joined(parts, tmp_path / "turned.mp4")

    # When it is analysed
    found = analyse(path)

    # Then its size is that of the longer part, as ffmpeg shows it, and a warning says that it changes
    expected = geometries.as_ffmpeg_shows(path, seconds=1)  # with the key frame, which says it
    assert expected.shape == (320, 180, 3)
    assert (found["source"]["width"], found["source"]["height"]) == (180, 320)
    assert any("320x180, 180x320" in warning for warning in found["warnings"])
    assert np.abs(small(geometries.picture(tmp_path / "poster.jpg")) - small(expected)).mean() < 8


@pytest.mark.parametrize(("degrees", "turns"), [(30, 0), (45, 0), (60, 1), (120, 1), (135, 2), (200, 2), (300, 3)])
def test_other_angles_are_rounded(degrees: float, turns: int) -> None:
    angle = np.radians(-degrees)  # counter-clockwise
    numbers = [np.cos(angle), np.sin(angle), 0, -np.sin(angle), np.cos(angle), 0, 0, 0, 1]
    matrix = np.array([round(number * geometries.ONE) for number in numbers], np.int32).tobytes()
    assert orientation_of(matrix) == Orientation(turns)


def test_a_matrix_that_is_not_whole_means_none() -> None:
    assert orientation_of(b"\0\0\1\0") == UPRIGHT


def test_a_shape_is_kept_but_for_rounding() -> None:
    assert Geometry(426, 240, Fraction(1)).within((640, 360)) == (640, 360)
    assert Geometry(360, 640, Fraction(1)).within((640, 360)) == (202, 360)
    assert Geometry(640, 480, Fraction(1)).within((640, 360)) == (480, 360)
