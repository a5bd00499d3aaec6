"""What players and pages need: sprites with their map, thumbnails at intervals, a contact sheet."""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.analysers.base import Frame, Pixels
from clipzy_worker.analysers.images.sprites import MAX_TILES, Sprites, web_vtt
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media import clips
from tests.support.media.analysis import analysed

CUE = re.compile(r"([\d:.]+) --> ([\d:.]+)\nsprites\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)\n")


def artifacts_of(path: Path, out_directory: Path, **config: Any) -> list[dict[str, Any]]:
    options = JobConfig.model_validate({"analyses": [], **config})
    artifacts: list[dict[str, Any]] = analysed(MediaRequest(path, "mp4", out_directory, options))["artifacts"]
    return artifacts


def picture(path: Path) -> Pixels:
    return np.asarray(cv2.imread(str(path)), dtype=np.uint8)


def seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_a_player_finds_the_frame_of_each_moment(tmp_path: Path, clips_directory: Path) -> None:
    # Given a video whose scene changes after 4 of 8 s
    clip = clips.cuts_clip(clips_directory, shot_frames=(100, 100), sound=False)

    # When it is analysed
    kinds = {one["kind"]: one["file"] for one in artifacts_of(clip.path, tmp_path)}

    # Then the map's cues cover the video without a gap, each with its own place on the sheet
    cues = CUE.findall((tmp_path / kinds["sprite_map"]).read_text())
    times = [(seconds(start), seconds(end)) for start, end, *_ in cues]
    assert [start for start, _ in times] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [end for _, end in times] == [1, 2, 3, 4, 5, 6, 7, 8]
    # And what lies there is the scene of that moment
    sheet = picture(tmp_path / kinds["sprite"])
    tiles = [sheet[int(y) : int(y) + int(h), int(x) : int(x) + int(w)].astype(int) for *_, x, y, w, h in cues]
    assert all(tile.shape == (90, 160, 3) for tile in tiles)
    assert np.abs(tiles[0] - tiles[3]).mean() < 0.5 * np.abs(tiles[3] - tiles[4]).mean()
    assert np.abs(tiles[4] - tiles[7]).mean() < 0.5 * np.abs(tiles[3] - tiles[4]).mean()


@pytest.mark.parametrize(("film_seconds", "step_seconds"), [(190, 1), (390, 2), (12 * 3600, 256)])
def test_a_long_video_has_a_sheet_of_bounded_size(film_seconds: int, step_seconds: int, tmp_path: Path) -> None:
    # Given a video so long, of a frame a second
    sprites = Sprites(tmp_path)
    pixels = np.zeros((90, 160, 3), np.uint8)

    # When its sprites are made
    for second in range(film_seconds):
        sprites.process(Frame(second, float(second), second + 1.0, lambda: pixels, lambda _size: pixels))
    sprites.finish(float(film_seconds))

    # Then they stand at even steps, and there are not too many
    cues = CUE.findall((tmp_path / "sprites.vtt").read_text())
    assert len(cues) <= MAX_TILES
    assert seconds(cues[1][0]) == step_seconds
    assert seconds(cues[-1][1]) == film_seconds


@pytest.mark.parametrize(("tiles", "rows", "columns"), [(1, 1, 1), (9, 1, 9), (10, 1, 10), (11, 2, 10), (20, 2, 10)])
def test_a_sheet_has_no_empty_row(tiles: int, rows: int, columns: int, tmp_path: Path) -> None:
    # Given a video of so many seconds
    sprites = Sprites(tmp_path)
    pixels = np.full((90, 160, 3), 200, np.uint8)

    # When its sprites are made
    for second in range(tiles):
        sprites.process(Frame(second, float(second), second + 1.0, lambda: pixels, lambda _size: pixels))
    sprites.finish(float(tiles))

    # Then the sheet is as large as its tiles need it
    assert picture(tmp_path / "sprites.jpg").shape == (rows * 90, columns * 160, 3)


def test_stamps_have_hours_and_milliseconds() -> None:
    assert "01:00:00.500 --> 01:00:00.750\n" in web_vtt(7202, (16, 9), step_seconds=0.5, end_seconds=3600.75)


def test_thumbnails_at_intervals(tmp_path: Path, clips_directory: Path) -> None:
    # Given a video of 8 s
    clip = clips.cuts_clip(clips_directory, shot_frames=(100, 100), sound=False)

    # When a thumbnail is wanted every 2.5 s, of this width
    options = {"per": "interval", "interval_seconds": 2.5, "width": 128}
    found = [one for one in artifacts_of(clip.path, tmp_path, thumbnails=options) if one["kind"] == "thumbnail"]

    # Then there are four, at these moments
    assert [one["time_seconds"] for one in found] == [0.0, 2.52, 5.0, 7.52]
    assert all(one["shot"] is None for one in found)
    assert all(picture(tmp_path / one["file"]).shape == (72, 128, 3) for one in found)


def test_a_contact_sheet_shows_every_shot(tmp_path: Path, clips_directory: Path) -> None:
    # Given a video in seven shots
    clip = clips.cuts_clip(clips_directory, shot_frames=(12, 10, 14, 9, 30, 12, 11), sound=False)

    # When it is analysed
    artifacts_of(clip.path, tmp_path)

    # Then they stand on two rows of one page, each unlike the paper
    page = picture(tmp_path / "contact-sheet.jpg")
    assert page.shape[:2] == (2 * (135 + 28) + 8, 5 * (240 + 8) + 8)
    middles = [page[8 + row * 163 + 67, 8 + column * 248 + 120] for row, column in [(0, 0), (0, 4), (1, 0), (1, 1)]]
    assert all(np.abs(middle.astype(int) - 24).max() > 30 for middle in middles)
    assert np.abs(page[8 + 163 + 67, 8 + 2 * 248 + 120].astype(int) - 24).max() < 12


def test_nothing_is_made_that_is_not_wanted(tmp_path: Path, clips_directory: Path) -> None:
    clip = clips.cuts_clip(clips_directory, sound=False)
    found = artifacts_of(clip.path, tmp_path, thumbnails={"per": "none"}, sprites=False)
    assert {one["kind"] for one in found} == {"poster"}
