"""Poster and thumbnails."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from clipzy_worker.analysers.base import Pixels
from tests.analysis.conftest import Analyse
from tests.support.media import clips


def picture(path: Path) -> Pixels:
    return np.asarray(cv2.imread(str(path)), dtype=np.uint8)


def test_every_shot_has_a_thumbnail_of_its_own(clips_directory: Path, tmp_path: Path, analyse: Analyse) -> None:
    # Given a clip of five scenes, none like another
    clip = clips.cuts_clip(clips_directory, shot_frames=(12, 10, 14, 9, 30))

    # When it is analysed
    artifacts = analyse(clip.path)["artifacts"]

    # Then there is one thumbnail a shot, each of another scene
    names = [(one["shot"], one["file"]) for one in artifacts if one["kind"] == "thumbnail"]
    assert names == [(shot, f"shots/000{shot}.jpg") for shot in range(5)]
    pictures = [picture(tmp_path / name).astype(int) for _shot, name in names]
    assert all(shown.shape == (180, 320, 3) for shown in pictures)
    differences = [np.abs(one - other).mean() for i, one in enumerate(pictures) for other in pictures[:i]]
    assert min(differences) > 20


def test_a_thumbnail_comes_from_the_middle_of_its_shot(clips_directory: Path, tmp_path: Path, analyse: Analyse) -> None:
    # Given one scene between black and black, each of a second
    clip = clips.faded_ends_clip(clips_directory)

    # When it is analysed
    artifacts = analyse(clip.path)["artifacts"]

    # Then poster and thumbnail show the scene
    for name in ("poster.jpg", "shots/0000.jpg"):
        assert picture(tmp_path / name).mean() > 60
    assert {one["content_type"] for one in artifacts if one["kind"] in ("poster", "thumbnail")} == {"image/jpeg"}


@pytest.mark.parametrize("degrees", [90, -90])
def test_stills_stand_upright(degrees: int, clips_directory: Path, tmp_path: Path, analyse: Analyse) -> None:
    # Given a clip that is stored lying; what is to be shown on top is red
    clip = clips.rotated_clip(clips_directory, degrees=degrees)

    # When it is analysed
    analyse(clip.path)

    # Then poster and thumbnail are as a viewer sees them
    for name in ("poster.jpg", "shots/0000.jpg"):
        shown = picture(tmp_path / name)
        assert shown.shape[:2] == (320, 180)
        assert shown[2, 90, 2] > 150 > shown[300, 90, 2]


def test_stills_have_square_pixels(clips_directory: Path, tmp_path: Path, analyse: Analyse) -> None:
    # Given pixels twice as wide as high
    clip = clips.wide_pixels_clip(clips_directory)

    # When it is analysed
    analyse(clip.path)

    # Then the poster is as wide as a viewer sees it, and the thumbnail in the same shape
    assert picture(tmp_path / "poster.jpg").shape[:2] == (180, 640)
    assert picture(tmp_path / "shots/0000.jpg").shape[:2] == (90, 320)
