"""How much moves, in videos in which that is known, and in the same video in another size or at another rate."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipzy_worker.analysers.motion.motion import MAX_VALUES, FlowCurve
from tests.accuracy.test_camera import FOOTAGE
from tests.analysis.conftest import Analyse
from tests.support.media import clips
from tests.support.media.camera_moves import (
    Film,
    Pixels,
    Pose,
    encode,
    pan,
    pictures,
    shake,
    steady,
    still,
    write,
    zoom,
)

MOVING = Film(shake(0.5, pan_percent_per_second=8), passer=True, duration_seconds=1.6)
SAME = {
    "HD": replace(MOVING, size=(1280, 720)),
    "small": replace(MOVING, size=(320, 180)),
    "24 a second": replace(MOVING, rate=24),
    "30 a second": replace(MOVING, rate=30000 / 1001),
    "50 a second": replace(MOVING, rate=50),
    "60 a second": replace(MOVING, rate=60),
}
OFTEN: dict[str, tuple[()]] = {"50 a second": ()}  # the others only by `make test-all`
TOLERANCE = 3.0  # of 100; pairs of frames are samples, taken at other moments at another rate


@pytest.fixture(scope="module")
def coffee() -> Pixels:
    return still(FOOTAGE / "coffee.jpg")


def test_is_nothing_where_the_frame_stands_still(coffee: Pixels, tmp_path: Path, analyse: Analyse) -> None:
    # Given a video of one still, coded coarsely
    path = write(tmp_path / "still.mp4", coffee, Film(steady(), crf=30))

    # When it is analysed
    motion = analyse(path)["motion"]

    # Then nothing moves
    assert motion["intensity"] < 0.5
    assert motion["zoom_percent"] == 0


@pytest.mark.long
def test_grows_with_speed_and_has_room_above(coffee: Pixels, tmp_path: Path, analyse: Analyse) -> None:
    # Given the same pan, ever quicker
    films = [write(tmp_path / f"{speed}.mp4", coffee, Film(pan(speed))) for speed in (2, 12, 100)]

    # When each is analysed
    found = [analyse(path)["motion"]["intensity"] for path in films]

    # Then intensity is 100 m / (m + 10), with m percent of the diagonal a second
    diagonal = (1 + (9 / 16) ** 2) ** 0.5
    assert found == pytest.approx([100 * v / (v + 10 * diagonal) for v in (2, 12, 100)], abs=2)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "50 a second" else [pytest.mark.long]) for name in SAME]
)
def test_is_the_same_in_another_size_and_at_another_rate(
    name: str, coffee: Pixels, tmp_path: Path, analyse: Analyse
) -> None:
    # Given a video and its like in another size or at another rate
    first, second = write(tmp_path / "a.mp4", coffee, MOVING), write(tmp_path / "b.mp4", coffee, SAME[name])

    # When both are analysed
    intensities = [analyse(path)["motion"]["intensity"] for path in (first, second)]

    # Then as much moves in the one as in the other
    assert intensities[0] == pytest.approx(intensities[1], abs=TOLERANCE)
    assert 20 < intensities[0] < 80


def test_does_not_count_the_jump_at_a_cut(coffee: Pixels, tmp_path: Path, analyse: Analyse) -> None:
    # Given stills, equally bright, that follow each other
    stills = [coffee, *(still(FOOTAGE / f"{name}.jpg") for name in ("china", "astronaut", "flower"))]
    find_cached = [np.clip(one * (110 / one.mean()), 0, 255).astype(np.uint8) for one in stills]
    each = Film(steady(), duration_seconds=0.6)
    path = tmp_path / "cuts.mp4"
    encode(path, (frame for one in find_cached for frame in pictures(one, each)), each)

    # When they are analysed
    result = analyse(path)

    # Then every shot is still
    assert len(result["shots"]) == 4
    assert [shot["motion"]["intensity"] for shot in result["shots"]] == pytest.approx([0] * 4, abs=1)
    assert {shot["motion"]["camera"]["movement"] for shot in result["shots"]} == {"static"}


def test_does_not_take_a_flash_for_movement(coffee: Pixels, tmp_path: Path, analyse: Analyse) -> None:
    # Given a still with two flashes that do not hide it
    frames = list(pictures(coffee, Film(steady())))
    for at in (12, 13, 30):
        frames[at] = (255 - (255 - frames[at].astype(int)) * 0.6).astype("uint8")
    path = tmp_path / "flash.mp4"
    encode(path, iter(frames), Film(steady()))

    # When it is analysed
    (shot,) = analyse(path)["shots"]

    # Then it is still
    assert shot["motion"]["intensity"] < 1
    assert shot["motion"]["camera"]["movement"] == "static"


@pytest.mark.long
def test_says_for_how_long_the_camera_zooms(coffee: Pixels, tmp_path: Path, analyse: Analyse) -> None:
    # Given a camera that zooms in for two of six seconds, rests, and pans
    zooming, panning = zoom(12), pan(10)

    def pose(seconds: float) -> Pose:
        near = zooming(min(seconds, 2.0))
        return replace(near, x=panning(max(seconds - 4.0, 0.0)).x)

    path = write(tmp_path / "zoom.mp4", coffee, Film(pose, duration_seconds=6))

    # When it is analysed
    motion = analyse(path)["motion"]

    # Then a third of the time goes to the zoom, to half a second
    assert motion["zoom_percent"] == pytest.approx(100 / 3, abs=100 / 12)


ODD: dict[str, tuple[Callable[[Path], clips.Clip], bool]] = {
    "one frame": (clips.one_frame_clip, False),
    "standing": (clips.rotated_clip, True),
    "three frames a second": (
        lambda directory: clips.cuts_clip(directory, rate="3", shot_frames=(9, 9), sound=False),
        True,
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_takes_odd_videos(name: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given a video out of the ordinary
    make, moves = ODD[name]
    clip = make(tmp_path)

    # When it is analysed, then there is a measurement wherever one frame follows another
    result = analyse(clip.path)
    assert (result["motion"] is not None) == moves
    assert all((shot["motion"] is not None) == moves for shot in result["shots"])


@pytest.mark.parametrize("size", [(16, 16), (2048, 16)])
def test_takes_tiny_and_narrow_frames(size: tuple[int, int], tmp_path: Path, analyse: Analyse) -> None:
    path = tmp_path / "narrow.mp4"
    clips.ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size[0]}x{size[1]}:rate=25:duration=1", str(path))
    assert analyse(path)["motion"]["intensity"] >= 0


def test_keeps_a_curve_that_does_not_grow_for_ever() -> None:
    # Given a video of twelve hours that begins to move in the middle
    curve = FlowCurve()
    for step in range(12 * 3600 * 2):
        curve.add(step * 0.5, step * 0.5 + 0.5, 0.2 if step >= 12 * 3600 else 0.0)

    # Then the curve is bounded, and moves from the middle on
    flows = curve.flows
    assert MAX_VALUES / 2 <= len(flows) <= MAX_VALUES
    assert len(flows) * curve.step_seconds == pytest.approx(12 * 3600, abs=curve.step_seconds)
    middle = len(flows) // 2
    assert flows[: middle - 1] == [0.0] * (middle - 1)
    assert flows[middle + 1 :] == pytest.approx([0.2] * (len(flows) - middle - 1))


def test_curve_shares_what_lies_across_steps_and_goes_on_over_gaps() -> None:
    curve = FlowCurve()
    curve.add(0.0, 0.25, 0.1)
    curve.add(0.25, 0.75, 0.3)
    curve.add(1.5, 2.0, 0.0)
    assert curve.flows == pytest.approx([0.2, 0.3, 0.3, 0.0])
