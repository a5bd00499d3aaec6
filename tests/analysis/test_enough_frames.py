"""Which frames of a high rate are examined."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from clipzy_worker.analysers.base import Frame, Pixels
from clipzy_worker.analysers.enough_frames import EnoughFrames

FOOTAGE = Path(__file__).parents[1] / "footage"
SCENE, OTHER = (
    np.asarray(cv2.resize(np.asarray(cv2.imread(str(FOOTAGE / name))), (320, 180)), np.uint8)
    for name in ("coffee.jpg", "china.jpg")
)


@pytest.mark.parametrize(("rate", "expected"), [(24, 24), (30, 30), (50, 25), (60, 30), (240, 30)])
def test_frames_that_are_alike_are_not_all_examined(rate: int, expected: int) -> None:
    # Given a second of one picture, when its frames are chosen
    chosen = chosen_of(rate, lambda _index: SCENE)

    # Then those of ordinary rates are all, and those of higher ones as many as of 24 to 30; they are counted
    assert len(chosen) == pytest.approx(expected, abs=7)
    assert len(chosen) == rate or rate > 31
    assert [frame.index for frame in chosen] == list(range(len(chosen)))


@pytest.mark.parametrize("rate", [50, 60, 240])
@pytest.mark.parametrize("cut_index", range(20, 28))
def test_both_frames_of_a_cut_are_examined(rate: int, cut_index: int) -> None:
    # Given a cut between any two frames of a high rate, when frames are chosen
    chosen = chosen_of(rate, lambda index: SCENE if index < cut_index else OTHER)

    # Then the last one before it is followed by the first one after it
    before = [frame.seconds for frame in chosen if frame.pixels is SCENE]
    after = [frame.seconds for frame in chosen if frame.pixels is OTHER]
    assert (before[-1], after[0]) == ((cut_index - 1) / rate, cut_index / rate)


def test_nothing_waits_for_long_whatever_the_timestamps_say() -> None:
    # Given frames that follow each other after a millisecond, when frames are chosen, Then few wait at a time
    assert len(chosen_of(1000, lambda _index: SCENE, frames=30)) >= 3


def chosen_of(rate: int, picture: Callable[[int], Pixels], *, frames: int | None = None) -> list[Frame]:
    enough = EnoughFrames()
    all_frames = [
        Frame(0, index / rate, (index + 1) / rate, partial(picture, index), _unused) for index in range(frames or rate)
    ]
    found = [one for frame in all_frames for one in enough.process(frame, may_wait=True)]
    return found + enough.finish()


def _unused(_size: tuple[int, int]) -> Pixels:
    raise AssertionError("no full picture is needed")
