"""Shots against clips whose boundaries are known."""

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipzy_storage.models.job_config import JobConfig, ShotOptions
from clipzy_worker.analysers.base import Frame, Pixels
from clipzy_worker.analysers.shots.cuts import CutDetector
from clipzy_worker.analysers.shots.shots import Shots
from clipzy_worker.sandbox.request import MediaRequest
from tests.analysis.conftest import Analyse
from tests.support.media import clips, joined_films
from tests.support.media.analysis import analysed
from tests.support.media.clips import Clip
from tests.support.media.joined_films import Join, Piece

Make = Callable[[Path], Clip]

CUTS: dict[str, Make] = {
    "three shots": lambda directory: clips.cuts_clip(directory),
    "short shots": lambda directory: clips.cuts_clip(directory, shot_frames=(12, 10, 14, 9, 30)),
    "NTSC": lambda directory: clips.cuts_clip(directory, rate="30000/1001"),
    "3 a second": lambda directory: clips.cuts_clip(directory, rate="3", shot_frames=(9, 9), sound=False),
    "10 a second": lambda directory: clips.cuts_clip(directory, rate="10", shot_frames=(10, 15, 9), sound=False),
    "60 a second": lambda directory: clips.cuts_clip(directory, rate="60"),
    "240 a second": lambda directory: clips.cuts_clip(directory, rate="240", shot_frames=(100, 140, 90), sound=False),
    "WebM, VP9": lambda directory: clips.cuts_clip(directory, suffix="webm", codec="libvpx-vp9"),
    "AVI": lambda directory: clips.cuts_clip(directory, suffix="avi"),
    "stream without an index": clips.endless_clip,
    "variable rate": clips.vfr_clip,
}

GRADUAL: dict[str, Make] = {
    "fade through black": clips.fade_clip,
    "fade through white": lambda directory: clips.fade_clip(directory, colour="white"),
    "fade with hardly a black frame": lambda directory: clips.fade_clip(directory, ramp_seconds=0.4, hold_seconds=0.04),
    "cut to black, fade in": clips.fade_to_cut_clip,
    "short dissolve": lambda directory: clips.dissolve_clip(directory, duration_seconds=0.6),
    "dissolve": clips.dissolve_clip,
}

ONE_SHOT: dict[str, Make] = {
    "flash of one frame": lambda directory: clips.flash_clip(directory, frames=1),
    "flash of four frames": lambda directory: clips.flash_clip(directory, frames=4),
    "pan": clips.pan_clip,
    "shake": clips.shake_clip,
    "zoom": clips.zoom_clip,
    "title that appears": clips.title_clip,
    "black at both ends": clips.faded_ends_clip,
    "one frame": clips.one_frame_clip,
}


@pytest.mark.parametrize("name", CUTS)
def test_finds_every_cut_at_its_frame(name: str, clips_directory: Path, analyse: Analyse) -> None:
    # Given a clip of hard cuts
    clip = CUTS[name](clips_directory)

    # When it is analysed
    shots = analyse(clip.path)["shots"]

    # Then each cut is at the time of its frame, to what the container can say
    assert [shot["transition"] for shot in shots] == ["start", *(kind for _seconds, kind in clip.boundaries)]
    found = [shot["start_seconds"] for shot in shots[1:]]
    assert found == pytest.approx([seconds for seconds, _kind in clip.boundaries], abs=0.001)


@pytest.mark.parametrize("name", GRADUAL)
def test_finds_gradual_transitions(name: str, clips_directory: Path, analyse: Analyse) -> None:
    # Given two scenes with a gradual transition between them
    clip = GRADUAL[name](clips_directory)

    # When the clip is analysed
    shots = analyse(clip.path)["shots"]

    # Then there are two shots, which part near the transition's middle
    assert [shot["transition"] for shot in shots] == ["start", clip.boundaries[0][1]]
    assert shots[1]["start_seconds"] == pytest.approx(clip.boundaries[0][0], abs=0.21)


@pytest.mark.parametrize(
    ("make", "seconds"),
    [(clips.cuts_clip, 0.0), (clips.fade_clip, 1.4), (clips.dissolve_clip, 1.0)],
    ids=["cuts", "fade", "dissolve"],
)
def test_a_transition_has_its_length(make: Make, seconds: float, clips_directory: Path, analyse: Analyse) -> None:
    # Given a clip with a transition of known length
    clip = make(clips_directory)

    # When it is analysed
    first, *others = analyse(clip.path)["shots"]

    # Then the shots after it say how long it took, and the first has none
    assert first["transition_seconds"] == 0
    assert [shot["transition_seconds"] for shot in others] == pytest.approx([seconds] * len(others), rel=0.25)


@pytest.mark.parametrize("name", ONE_SHOT)
def test_motion_and_light_are_no_boundaries(name: str, clips_directory: Path, analyse: Analyse) -> None:
    # Given one scene in which much happens
    clip = ONE_SHOT[name](clips_directory)

    # When it is analysed
    shots = analyse(clip.path)["shots"]

    # Then it is one shot
    assert [(shot["start_seconds"], shot["transition"]) for shot in shots] == [(0.0, "start")]


def test_an_object_that_appears_in_the_same_scene_is_no_cut() -> None:
    # Given a quiet scene into whose middle a bright box comes, on one twentieth of the view
    scene = np.full((180, 320, 3), 60, np.uint8)
    scene[:, 160:] = 80
    with_box = scene.copy()
    with_box[70:110, 124:196] = (255, 255, 0)

    # When cuts are looked for, Then there is none, and there is one where another scene comes
    assert cuts_between(scene, with_box) == []
    assert cuts_between(scene, np.ascontiguousarray(with_box[:, ::-1] // 2 + 120)) == [1.0]


def cuts_between(one: Pixels, other: Pixels) -> list[float]:
    """The times of the cuts in a second of each."""
    detector = CutDetector()
    frames = (
        Frame(index, index / 25, (index + 1) / 25, partial(_same, one if index < 25 else other), _unused)
        for index in range(50)
    )
    found = [boundary for frame in frames for boundary in detector.process(frame)]
    return [boundary.seconds for boundary in found + detector.finish()]


@pytest.mark.parametrize("make", [clips.cuts_clip, clips.fade_clip, clips.dissolve_clip, clips.vfr_clip])
def test_shots_follow_each_other_to_the_end(make: Make, clips_directory: Path, analyse: Analyse) -> None:
    # Given any clip
    clip = make(clips_directory)

    # When it is analysed
    result = analyse(clip.path)
    shots = result["shots"]

    # Then shots are numbered, begin at 0, leave no gap and end with the video
    assert [shot["index"] for shot in shots] == list(range(len(shots)))
    assert [0.0, *(shot["end_seconds"] for shot in shots[:-1])] == [shot["start_seconds"] for shot in shots]
    assert shots[-1]["end_seconds"] == result["source"]["duration_seconds"]


def test_the_same_file_gives_the_same_result(clips_directory: Path, analyse: Analyse) -> None:
    # Given one clip
    clip = clips.dissolve_clip(clips_directory)

    # When it is analysed twice
    first, second = (_timeless(analyse(clip.path)) for _ in range(2))

    # Then nothing but the time it took differs
    assert first == second


def test_the_demo_video_shows_what_its_readme_says(analyse: Analyse) -> None:
    # Given the video of the demo
    path = Path(__file__).parents[2] / "demo" / "demo.mp4"

    # When it is analysed
    shots = analyse(path)["shots"]

    # Then its shots are those it was made of
    assert [(shot["start_seconds"], shot["transition"]) for shot in shots] == [
        (0.0, "start"),
        (3.0, "cut"),
        (5.4, "fade"),
        (8.4, "cut"),
        (10.8, "cut"),
    ]
    assert path.stat().st_size <= 400 << 10


@pytest.mark.parametrize(
    ("options", "starts"),
    [
        (ShotOptions(), [0.0, 1.4]),
        (ShotOptions(min_seconds=0), [0.0, 1.2, 1.4]),
        (ShotOptions(min_seconds=1.3), [0.0, 1.4]),
        (ShotOptions(min_seconds=1.5), [0.0]),
    ],
    ids=["as it is", "no shot is too short", "the last is long enough", "the last is not long enough"],
)
def test_a_shot_that_is_too_short_is_part_of_the_one_before(
    options: ShotOptions, starts: list[float], clips_directory: Path, tmp_path: Path
) -> None:
    # Given a shot of 0.2 s between two longer ones
    clip = clips.cuts_clip(clips_directory, shot_frames=(30, 5, 35), sound=False)

    # When it is analysed with a least length
    found = _analysed_with(options, clip.path, tmp_path)

    # Then what is shorter belongs to the shot before it
    assert found == pytest.approx(starts, abs=0.001)


def test_a_cut_amid_motion_takes_more_sensitivity(tmp_path: Path) -> None:
    # Given a cut between two views of a camera that shakes
    shaken = [Piece("coffee", 24, camera="shake"), Piece("china", 24, camera="shake")]
    film = joined_films.film(tmp_path / "shaken.mp4", shaken, Join())

    # When it is analysed as it is by default and with the least sensitivity
    found = [_analysed_with(ShotOptions(sensitivity=by), film.path, tmp_path) for by in (3, 20)]

    # Then it is found by the first alone
    assert found == [[0.0, 1.0], [0.0]]


@pytest.mark.parametrize("film", ["still", "black", "dark", "cuts"])
def test_memory_and_delay_do_not_grow_with_the_video(film: str) -> None:
    # Given hours of one frame, or of a cut each second
    shots, sizes, delays = Shots(ShotOptions()), [], []

    # When they run by
    for index in range(1200):
        shots.process(_painted(film, index))
        delays.append(index / 4 - shots.settled_until)
        if index in (599, 1199):
            shots.settled.clear()
            sizes.append(len(pickle.dumps(shots)))

    # Then what is kept does not grow, and what is settled follows a few seconds behind
    assert sizes[1] <= 1.05 * sizes[0] < 2e6
    assert max(delays) < 10


def _analysed_with(options: ShotOptions, path: Path, directory: Path) -> list[float]:
    request = MediaRequest(path, path.suffix[1:], directory, config=JobConfig(analyses=[], shots=options))
    return [shot["start_seconds"] for shot in analysed(request)["shots"]]


def _same(pixels: Pixels) -> Pixels:
    return pixels


def _unused(_size: tuple[int, int]) -> Pixels:
    raise AssertionError("no full picture is needed to find shots")


def _painted(film: str, index: int) -> Frame:
    """Four a second; but for the cuts, a scene of 2 s and then one that lasts."""
    scene, level, spread = {
        "still": (0, 90, 60),
        "black": (0, 0, 0),
        "dark": (0, 14, 10),
        "cuts": (index // 4 % 2, 60 + 90 * (index // 4 % 2), 60),
    }[film if index >= 8 else "cuts"]
    pattern = np.random.default_rng(scene).integers(0, spread + 1, (18, 32, 3))
    pixels = np.repeat(np.repeat(level + pattern, 5, 0), 5, 1).astype(np.uint8)
    return Frame(index, index / 4, (index + 1) / 4, partial(_same, pixels), _unused)


def _timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "timings"}
