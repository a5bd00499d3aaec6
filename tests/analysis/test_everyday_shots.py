"""Shots of takes that hands, cars and screens make, and of one take from which something was left out."""

import random
from pathlib import Path

import pytest

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media import joined_films
from tests.support.media.analysis import analysed
from tests.support.media.everyday_people import Interview, drawn_posture, jumps
from tests.support.media.everyday_takes import Drive, Handheld, Jolt
from tests.support.media.joined_films import Join, Take
from tests.support.media.screen_recordings import Screen, paged

LOW_QUALITY = ("-c:v", "libx264", "-preset", "medium", "-crf", "36", "-bf", "0")
ONE_KEY_FRAME = ("-g", "100000", "-keyint_min", "100000", "-sc_threshold", "0")


@pytest.mark.parametrize(
    "coding", [(*LOW_QUALITY, *ONE_KEY_FRAME), ("-c:v", "libx264", "-crf", "23")], ids=["one key frame", "fine"]
)
def test_a_jump_cut_within_one_view_is_a_cut(coding: tuple[str, ...], tmp_path: Path) -> None:
    # Given a take that begins anew every 6.08 s: the same place, and somebody stands there differently
    path = joined_films.repeated(tmp_path / "again.mp4", "bunny", 20, *coding)

    # When it is analysed
    found = _starts(path, tmp_path)

    # Then it is cut where it begins anew
    assert found == pytest.approx([0.0, 6.083, 12.167, 18.25], abs=0.001)


def test_an_interview_whose_pauses_are_left_out_is_cut(tmp_path: Path) -> None:
    # Given somebody before a camera in a hand, and three parts of what they say
    dice = random.Random(6)
    talk = Interview("coffee", "astronaut", drawn_posture(dice), 1, 24, 3, sway=0.008)
    film = joined_films.film(tmp_path / "talk.mp4", jumps(talk, dice, [1.5, 1.0, 1.5]), Join())

    # When it is analysed
    found = _starts(film.path, tmp_path)

    # Then each pause that was left out is a cut
    assert found == pytest.approx([0.0, *(truth.first for truth in film.truths)], abs=0.001)


ONE_TAKE: dict[str, Take] = {
    "thrown and caught": Handheld("china", 60, 24, 7, jolts=[Jolt(1.0, 0.25, -0.1, 5.0)]),
    "thrown, and stays there": Handheld("coffee", 60, 24, 8, jolts=[Jolt(1.0, -0.28, 0.2, -4.0, 0.05, returns=False)]),
    "tilted with a jolt": Handheld(
        "rocket", 72, 24, 9, down=0.4, jolts=[Jolt(1.5, 0.05, 0.4, 4.0, 0.06, returns=False)]
    ),
    "driven past": Drive(("china", "flower", "coffee", "astronaut"), 96, 24, 11, speed=0.6, near=4),
    "a page that is scrolled": Screen(4, 60, 15, "china", scroll=paged(1.0, 150)),
}


@pytest.mark.parametrize("name", ONE_TAKE)
def test_a_camera_that_is_thrown_and_a_page_are_one_take(name: str, tmp_path: Path) -> None:
    # Given one take of a camera in a hand or a car, or of a screen
    take = ONE_TAKE[name]
    film = joined_films.film(tmp_path / "take.mp4", [take], [], rate=15 if isinstance(take, Screen) else 24)

    # When it is analysed, Then it is one shot
    assert _starts(film.path, tmp_path) == [0.0]


def _starts(path: Path, directory: Path) -> list[float]:
    request = MediaRequest(path, path.suffix[1:], directory, config=JobConfig(analyses=[]))
    return [shot["start_seconds"] for shot in analysed(request)["shots"]]
