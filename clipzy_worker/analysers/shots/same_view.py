"""Whether two frames show one view, although the camera jolted, the light changed or the page was scrolled. Pure.

A camera that is thrown displaces all of its view alike, and a lamp displaces nothing: one movement of the picture
(shifted, turned, enlarged) explains what is seen. A jump cut leaves the place where it is and changes who is before it:
no one movement explains both. What is explained is measured by local correlation, whatever the light.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Pixels

_WIDTH, _HEIGHT = 96, 54
# Patches of one view are searched in the other.
_PATCH_WIDTH, _PATCH_HEIGHT = 20, 12
_STEP_X, _STEP_Y = 12, 7
_MIN_PATCH_SPREAD_LEVELS = 5.0
_MIN_PATCH_CORRELATION = 0.75
# Of patches that move together; and how far they move while a hand holds the camera still.
_MAX_APART = 3.0
_IN_PLACE = 5
_MIN_TOGETHER = 4
_SCALES = (0.7, 1.4)
# What is explained is measured in windows of this size, where there is anything to be seen in one of the two.
_WINDOW = (9, 9)
_MIN_WINDOW_VARIANCE = 25.0
_MIN_TEXTURED_RATIO = 0.01
_MIN_OVERLAP_RATIO = 0.25
_EXPLAINED, _NEARLY_EQUAL, _EQUAL = 0.5, 0.7, 0.85

# At rest, and where the change hardly stands out from the movement around it.
_MIN_EXPLAINED_RATIOS = (0.85, 0.75)
# The same for a view that is thrown so far: blur takes part of it, and chance explains little.
_FAR = 8.0
_MIN_EXPLAINED_RATIOS_FAR = (0.75, 0.6)
_MAX_STANDING_OUT_IN_MOTION = 5.0
_MIN_EXPLAINED_RATIO_MOVED = 0.9
# If so much stays where it is, the camera was not thrown.
_MAX_EQUAL_IN_PLACE_RATIO = 0.25
# Of a page that is scrolled, of which much comes and goes.
_MAX_ASIDE = 1.0
_MIN_NEARLY_EQUAL_RATIO_OF_PAGE = 0.35


class View:
    """A frame's luma, made small."""

    width, height = _WIDTH, _HEIGHT

    def __init__(self, luma: Pixels) -> None:
        self.luma = np.asarray(cv2.resize(luma, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)

    @cached_property
    def spread(self) -> float:
        return float(self.luma.std())


@dataclass(frozen=True)
class Movement:
    """One movement of the picture, and how much of the texture in both it explains."""

    explained: float
    nearly_equal: float
    equal: float
    across: float = 0.0
    down: float = 0.0

    def distance(self, other: "Movement") -> float:
        return max(abs(self.across - other.across), abs(self.down - other.down))

    @property
    def is_scroll(self) -> bool:
        return abs(self.across) <= _MAX_ASIDE and self.nearly_equal >= _MIN_NEARLY_EQUAL_RATIO_OF_PAGE


def is_same_view(one: View, other: View, *, stands_out: float, is_part: bool) -> bool:
    """``stands_out`` is how many times the change exceeds those around it; a part of a frame is not thrown."""
    in_motion = stands_out < _MAX_STANDING_OUT_IN_MOTION
    enough = _MIN_EXPLAINED_RATIOS[in_motion]
    resting = _at_rest(one, other, enough)
    if resting.explained >= enough:
        return True
    thrown = _thrown(one, other)
    if thrown.distance(resting) < _FAR:
        return thrown.explained >= enough
    if resting.equal >= _MAX_EQUAL_IN_PLACE_RATIO:
        return False
    is_jolt = not is_part and thrown.explained >= _MIN_EXPLAINED_RATIOS_FAR[in_motion]
    return is_jolt or thrown.is_scroll


def is_one_movement(one: View, other: View) -> bool:
    """Whether all that differs is that the camera moved a little."""
    return _at_rest(one, other, _MIN_EXPLAINED_RATIO_MOVED).explained >= _MIN_EXPLAINED_RATIO_MOVED


def movement_between(one: View, other: View) -> Movement:
    """The one that explains most, of any distance."""
    resting = _at_rest(one, other, _MIN_EXPLAINED_RATIOS[False])
    if resting.explained >= _MIN_EXPLAINED_RATIOS[False]:
        return resting
    return _best([resting, _thrown(one, other)])


def _thrown(one: View, other: View) -> Movement:
    return _best([_explained(one, other, movement) for movement in _movements(one.luma, other.luma, None)])


def _at_rest(one: View, other: View, enough: float) -> Movement:
    """The movement within the reach of a hand that explains most, or the first that explains enough."""
    still = _explained(one, other, np.array([[1.0, 0, 0], [0, 1, 0]]))
    if still.explained >= enough:
        return still
    moved = [_explained(one, other, movement) for movement in _movements(one.luma, other.luma, _IN_PLACE)]
    return _best([still, *moved])


def _best(movements: list[Movement]) -> Movement:
    return max(movements, key=lambda movement: movement.explained, default=Movement(0.0, 0.0, 0.0))


def _movements(one: Pixels, other: Pixels, reach: int | None) -> list[NDArray[np.float64]]:
    """What most patches agree on: one shift, and the similarity that fits best."""
    places, targets = _matches(one, other, reach)
    if len(places) < _MIN_TOGETHER:
        return []
    shifts = targets - places
    together = np.abs(shifts[:, None] - shifts[None]).max(axis=2) <= _MAX_APART
    shift = shifts[together[together.sum(axis=1).argmax()]].mean(axis=0)
    found = [np.array([[1, 0, shift[0]], [0, 1, shift[1]]], dtype=np.float64)]
    similarity, _inliers = cv2.estimateAffinePartial2D(places, targets, ransacReprojThreshold=2.5)
    if similarity is not None and _SCALES[0] < np.hypot(similarity[0, 0], similarity[0, 1]) < _SCALES[1]:
        found.append(np.asarray(similarity, dtype=np.float64))
    return found


def _matches(one: Pixels, other: Pixels, reach: int | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    places, targets = [], []
    for y in range(0, _HEIGHT - _PATCH_HEIGHT + 1, _STEP_Y):
        for x in range(0, _WIDTH - _PATCH_WIDTH + 1, _STEP_X):
            patch = one[y : y + _PATCH_HEIGHT, x : x + _PATCH_WIDTH]
            if cv2.meanStdDev(patch)[1][0, 0] < _MIN_PATCH_SPREAD_LEVELS:
                continue
            left, top = (max(x - reach, 0), max(y - reach, 0)) if reach is not None else (0, 0)
            right, bottom = (x + _PATCH_WIDTH + reach, y + _PATCH_HEIGHT + reach) if reach is not None else (None, None)
            fits = cv2.matchTemplate(other[top:bottom, left:right], patch, cv2.TM_CCOEFF_NORMED)
            _low, fit, _where, (found_x, found_y) = cv2.minMaxLoc(fits)
            if fit >= _MIN_PATCH_CORRELATION:
                places.append((x, y))
                targets.append((found_x + left, found_y + top))
    return np.array(places, np.float32), np.array(targets, np.float32)


def _explained(one: View, other: View, movement: NDArray[np.float64]) -> Movement:
    size = (_WIDTH, _HEIGHT)
    moved = cv2.warpAffine(one.luma, movement, size, flags=cv2.INTER_LINEAR).astype(np.float32)
    inside = cv2.warpAffine(np.full((_HEIGHT, _WIDTH), 255, np.uint8), movement, size) > 200
    inside = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    seen = other.luma.astype(np.float32)
    means = _smooth(moved), _smooth(seen)
    variances = _smooth(moved * moved) - means[0] ** 2, _smooth(seen * seen) - means[1] ** 2
    textured = inside & (np.maximum(*variances) > _MIN_WINDOW_VARIANCE)
    if inside.mean() < _MIN_OVERLAP_RATIO or textured.mean() < _MIN_TEXTURED_RATIO:
        return Movement(0.0, 0.0, 0.0)
    product = np.maximum(variances[0], 0) * np.maximum(variances[1], 0)
    correlation = ((_smooth(moved * seen) - means[0] * means[1]) / np.sqrt(np.maximum(product, 1)))[textured]
    middle = np.array([_WIDTH / 2, _HEIGHT / 2, 1])
    across, down = movement @ middle - middle[:2]
    explained, nearly_equal, equal = (
        float((correlation > least).mean()) for least in (_EXPLAINED, _NEARLY_EQUAL, _EQUAL)
    )
    return Movement(explained, nearly_equal, equal, float(across), float(down))


def _smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.blur(values, _WINDOW), dtype=np.float32)
