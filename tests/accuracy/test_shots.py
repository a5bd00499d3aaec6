"""Shots against joins of real takes (see ``tests/footage``), side by side with PySceneDetect's detectors.

A cut is right within one frame. A fade or dissolve is right if the boundary lies inside it, or within one frame of it.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.models.job_config import JobConfig, ThumbnailOptions
from clipzy_worker.sandbox.request import MediaRequest
from tests.accuracy.shot_score import Found, Score, scenedetect, score
from tests.support.media import everyday_sets, shot_sets
from tests.support.media.analysis import analysed
from tests.support.media.everyday_joined import GROUPS
from tests.support.media.everyday_material import Material
from tests.support.media.joined_films import FOOTAGE, Film, Truth

Films = Callable[[str], Film]

ONLY_SHOTS = JobConfig(analyses=[], sprites=False, thumbnails=ThumbnailOptions(per="none"))
AT_LEAST = {"cut": 0.98, "fade": 0.9, "dissolve": 0.9}  # F1
CUT_AND_GRADUAL = [name for name in shot_sets.ALL if name not in shot_sets.NONE]
MOST_FALSE = {"tuned": 0, "tuned too": 0, "held-out": 2}  # of 72 single takes each; there should be none
QUICK = "a few of all kinds"

# Seen on the trailer's frames, one by one: its frames have 24 a second. In the last fade the two shots overlap, dim.
TRAILER = (
    *(Truth("fade", 216 / 24, 264 / 24), Truth("fade", 312 / 24, 360 / 24), Truth("cut", 593 / 24, 593 / 24)),
    *(Truth("fade", 744 / 24, 792 / 24), Truth("cut", 864 / 24, 864 / 24), Truth("cut", 900 / 24, 900 / 24)),
    *(Truth("cut", 988 / 24, 988 / 24), Truth("cut", 1049 / 24, 1049 / 24), Truth("fade", 1097 / 24, 1165 / 24)),
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """Makes each video once."""
    directory = tmp_path_factory.mktemp("films")
    return cache(lambda name: shot_sets.ALL[name](directory))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name", [name if name == QUICK else pytest.param(name, marks=pytest.mark.long) for name in CUT_AND_GRADUAL]
)
def test_boundaries_are_found_as_well_as_by_the_best_detector(name: str, films: Films, tmp_path: Path) -> None:
    # Given a video joined from real video
    film = films(name)

    # When it is analysed, and PySceneDetect's detectors look at it too
    found = _shots(film.path, tmp_path)
    ours = _scored(film, found)
    theirs = {detector: _scored(film, found) for detector, found in scenedetect(film.path).items()}

    # Then each kind is found as often as it must be, and no detector does better
    print(name, "ours", _told(ours), {detector: _told(each) for detector, each in theirs.items()})  # noqa: T201
    for kind, least in AT_LEAST.items():
        assert _of_kind(film, found, kind).f1 >= least, kind
    assert ours.f1 >= max(each.f1 for each in theirs.values())


QUICK_NONE = (
    "take lawn",
    "whip over china",
    "shake over coffee",
    "flash of 2 over bird",
    "light 0.5 within 1 over bunny",
)


@pytest.mark.parametrize(
    "name", [name if name in QUICK_NONE else pytest.param(name, marks=pytest.mark.long) for name in shot_sets.NONE]
)
def test_nothing_is_found_where_nothing_is(name: str, films: Films, tmp_path: Path) -> None:
    # Given one scene with movement of the camera, flashes, titles or changes of light
    film = films(name)

    # When it is analysed
    found = _shots(film.path, tmp_path)

    # Then it is one shot
    assert found == []


MATERIALS = (everyday_sets.TUNED, everyday_sets.TUNED_TOO, everyday_sets.HELD_OUT)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("material", MATERIALS, ids=lambda one: one.name)
def test_everyday_takes_are_left_whole(material: Material, tmp_path: Path) -> None:
    # Given single takes from hands, cars and screens
    takes = {name: make(tmp_path) for name, make in everyday_sets.single_takes(material).items()}

    # When they are analysed
    false = {name: found for name, film in takes.items() if (found := _shots(film.path, tmp_path))}

    # Then none is cut
    print(material.name, len(takes), false)  # noqa: T201
    assert len(false) <= MOST_FALSE[material.name]


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("material", MATERIALS, ids=lambda one: one.name)
def test_everyday_videos_are_taken_apart(material: Material, tmp_path: Path) -> None:
    # Given such takes joined, by groups
    total = Score()
    for group in GROUPS:
        films = [make(tmp_path) for make in everyday_sets.joined(material, group).values()]

        # When they are analysed, and PySceneDetect's detectors look at them too
        ours = sum((_scored(film, _shots(film.path, tmp_path)) for film in films), Score())
        theirs = _scored_theirs(films)

        # Then no detector does better in any group
        print(material.name, group, _told(ours), {name: _told(one) for name, one in theirs.items()})  # noqa: T201
        assert ours.f1 >= max(one.f1 for one in theirs.values()), group
        total += ours

    # And nearly all boundaries are found
    print(material.name, _told(total))  # noqa: T201
    assert total.f1 >= 0.95


@pytest.mark.long
def test_a_trailer_is_taken_apart_as_it_was_put_together(tmp_path: Path) -> None:
    # Given a video that others edited, with titles
    path = FOOTAGE / "trailer.mp4"

    # When it is analysed
    shots = _analysed(path, tmp_path)[1:]

    # Then every boundary is there and no other, and the fades last as long as they do
    assert score(TRAILER, _found(shots), tolerance_seconds=1 / 24 + 0.001) == Score(right=len(TRAILER))
    lasts = [shot["transition_seconds"] for shot in shots if shot["transition"] == "fade"]
    assert lasts == pytest.approx([truth.seconds for truth in TRAILER if truth.kind == "fade"], rel=0.3)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(tuple(shot_sets.FADES), marks=pytest.mark.long, id="fades"),
        pytest.param(tuple(shot_sets.DISSOLVES), marks=pytest.mark.long, id="dissolves"),
        pytest.param((QUICK,), id="a few"),
    ],
)
def test_a_transition_lasts_as_long_as_it_does(names: tuple[str, ...], films: Films, tmp_path: Path) -> None:
    # Given videos with fades and dissolves of known length
    measured = []
    for film in map(films, names):
        # When they are analysed
        for shot in _analysed(film.path, tmp_path):
            gradual = [one for one in film.truths if one.kind != "cut"]
            truths = [one for one in gradual if one.first <= shot["start_seconds"] <= one.last]
            measured += [shot["transition_seconds"] / one.seconds for one in truths if one.kind == shot["transition"]]

    # Then nine of ten lengths are right within 30 %
    right = [0.7 <= share <= 1.3 for share in measured]
    assert len(right) >= 4
    assert sum(right) / len(right) >= 0.9


def _analysed(path: Path, directory: Path) -> list[dict[str, Any]]:
    request = MediaRequest(path, path.suffix[1:], directory, config=ONLY_SHOTS)
    shots: list[dict[str, Any]] = analysed(request)["shots"]
    return shots


def _shots(path: Path, directory: Path) -> list[Found]:
    return _found(_analysed(path, directory)[1:])


def _found(shots: list[dict[str, Any]]) -> list[Found]:
    return [Found(shot["start_seconds"], shot["transition"]) for shot in shots]


def _scored(film: Film, found: list[Found]) -> Score:
    return score(film.truths, found, tolerance_seconds=1 / film.rate + 0.001)


def _scored_theirs(films: list[Film]) -> dict[str, Score]:
    """The sum over the films, for each detector."""
    scores: dict[str, Score] = {}
    for film in films:
        for name, found in scenedetect(film.path).items():
            scores[name] = scores.get(name, Score()) + _scored(film, found)
    return scores


def _of_kind(film: Film, found: list[Found], kind: str) -> Score:
    truths = [truth for truth in film.truths if truth.kind == kind]
    return score(truths, [one for one in found if one.kind == kind], tolerance_seconds=1 / film.rate + 0.001)


def _told(one: Score) -> str:
    return f"{one.f1:.3f} ({one.missed} missed, {one.wrong} wrong)"
