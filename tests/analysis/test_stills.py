"""Poster and thumbnails."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from clipzy_storage.models.job_config import ShotOptions, ThumbnailOptions
from clipzy_worker.analysers.base import Frame, Pixels
from clipzy_worker.analysers.images.thumbnails import MAX_THUMBNAILS, thumbnails
from clipzy_worker.analysers.shots.shots import Shot, Shots
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


def test_a_thumbnail_is_not_blank_where_its_shot_is_for_a_while(tmp_path: Path) -> None:
    # Given a shot of 4 s that is black for a second in its middle
    shots = Shots(ShotOptions())
    made = thumbnails(ThumbnailOptions(), shots=shots, size=(32, 18), out_directory=tmp_path)
    assert made is not None
    scene = np.tile(np.arange(0, 240, 15).astype(np.uint8)[None, :, None], (9, 1, 3))
    for quarter in range(16):
        made.process(still(quarter / 4, np.zeros_like(scene) if 6 <= quarter < 10 else scene))

    # When its thumbnail is chosen
    shots.settled.append(Shot(0, 0.0, 4.0, "start", 0.0))
    made.finish(4.0)

    # Then it shows the scene, as near to the middle as there is a good picture
    assert [one.seconds for one in made.written] == [2.5]
    assert picture(tmp_path / "shots/0000.jpg").mean() > 60


def test_thumbnails_that_are_dropped_are_deleted(tmp_path: Path) -> None:
    # Given a video with one interval more than there may be thumbnails
    options = ThumbnailOptions(per="interval", interval_seconds=1)
    made = thumbnails(options, shots=Shots(ShotOptions()), size=(16, 9), out_directory=tmp_path)
    assert made is not None

    # When it is analysed
    for second in range(MAX_THUMBNAILS + 1):
        made.process(still(float(second), np.full((9, 16, 3), 100, np.uint8)))
    made.finish(MAX_THUMBNAILS + 1.0)

    # Then every second one is kept, and no other file
    kept = [f"intervals/{number:05}.jpg" for number in range(0, MAX_THUMBNAILS + 1, 2)]
    assert [one.file for one in made.written] == kept
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")) == kept


def still(seconds: float, pixels: Pixels) -> Frame:
    def show(size: tuple[int, int]) -> Pixels:
        return np.asarray(cv2.resize(pixels, size), np.uint8)

    return Frame(round(seconds * 25), seconds, seconds + 1 / 25, lambda: pixels, show)


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
