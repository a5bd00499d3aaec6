"""Shots against clips whose boundaries are known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import clips
from tests.clips import Clip
from tests.media.conftest import Analyse

Make = Callable[[Path], Clip]

CUTS: dict[str, Make] = {
    "three shots": lambda folder: clips.cuts_clip(folder),
    "short shots": lambda folder: clips.cuts_clip(folder, shot_frames=(12, 10, 14, 9, 30)),
    "NTSC": lambda folder: clips.cuts_clip(folder, rate="30000/1001"),
    "3 a second": lambda folder: clips.cuts_clip(folder, rate="3", shot_frames=(9, 9), sound=False),
    "60 a second": lambda folder: clips.cuts_clip(folder, rate="60"),
    "WebM, VP9": lambda folder: clips.cuts_clip(folder, suffix="webm", codec="libvpx-vp9"),
    "AVI": lambda folder: clips.cuts_clip(folder, suffix="avi"),
    "stream without an index": clips.endless_clip,
    "variable rate": clips.vfr_clip,
}

GRADUAL: dict[str, Make] = {
    "fade through black": clips.fade_clip,
    "fade through white": lambda folder: clips.fade_clip(folder, colour="white"),
    "fade with hardly a black frame": lambda folder: clips.fade_clip(folder, ramp_seconds=0.4, hold_seconds=0.04),
    "cut to black, fade in": clips.fade_to_cut_clip,
    "short dissolve": lambda folder: clips.dissolve_clip(folder, duration_seconds=0.6),
    "dissolve": clips.dissolve_clip,
}

ONE_SHOT: dict[str, Make] = {
    "flash of one frame": lambda folder: clips.flash_clip(folder, frames=1),
    "flash of four frames": lambda folder: clips.flash_clip(folder, frames=4),
    "pan": clips.pan_clip,
    "shake": clips.shake_clip,
    "zoom": clips.zoom_clip,
    "title that appears": clips.title_clip,
    "black at both ends": clips.faded_ends_clip,
    "one frame": clips.one_frame_clip,
}


@pytest.mark.parametrize("name", CUTS)
def test_finds_every_cut_at_its_frame(name: str, clips_folder: Path, analyse: Analyse) -> None:
    # Given a clip of hard cuts
    clip = CUTS[name](clips_folder)

    # When it is analysed
    shots = analyse(clip.path)["shots"]

    # Then each cut is at the time of its frame, to what the container can say
    assert [shot["transition"] for shot in shots] == ["start", *(kind for _seconds, kind in clip.boundaries)]
    found = [shot["start_seconds"] for shot in shots[1:]]
    assert found == pytest.approx([seconds for seconds, _kind in clip.boundaries], abs=0.001)


@pytest.mark.parametrize("name", GRADUAL)
def test_finds_gradual_transitions(name: str, clips_folder: Path, analyse: Analyse) -> None:
    # Given two scenes with a gradual transition between them
    clip = GRADUAL[name](clips_folder)

    # When the clip is analysed
    shots = analyse(clip.path)["shots"]

    # Then there are two shots, which part near the transition's middle
    assert [shot["transition"] for shot in shots] == ["start", clip.boundaries[0][1]]
    assert shots[1]["start_seconds"] == pytest.approx(clip.boundaries[0][0], abs=0.21)


@pytest.mark.parametrize("name", ONE_SHOT)
def test_motion_and_light_are_no_boundaries(name: str, clips_folder: Path, analyse: Analyse) -> None:
    # Given one scene in which much happens
    clip = ONE_SHOT[name](clips_folder)

    # When it is analysed
    shots = analyse(clip.path)["shots"]

    # Then it is one shot
    assert [(shot["start_seconds"], shot["transition"]) for shot in shots] == [(0.0, "start")]


@pytest.mark.parametrize("make", [clips.cuts_clip, clips.fade_clip, clips.dissolve_clip, clips.vfr_clip])
def test_shots_follow_each_other_to_the_end(make: Make, clips_folder: Path, analyse: Analyse) -> None:
    # Given any clip
    clip = make(clips_folder)

    # When it is analysed
    result = analyse(clip.path)
    shots = result["shots"]

    # Then shots are numbered, begin at 0, leave no gap and end with the film
    assert [shot["index"] for shot in shots] == list(range(len(shots)))
    assert [0.0, *(shot["end_seconds"] for shot in shots[:-1])] == [shot["start_seconds"] for shot in shots]
    assert shots[-1]["end_seconds"] == result["source"]["duration_seconds"]


def test_the_same_file_gives_the_same_result(clips_folder: Path, analyse: Analyse) -> None:
    # Given one clip
    clip = clips.dissolve_clip(clips_folder)

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


def _timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "timings"}
