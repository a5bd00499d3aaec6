"""Hard cuts: a frame that differs from the one before far more than its neighbours do from theirs.

The measure is that of PySceneDetect's adaptive detector (mean difference of hue, saturation and value, over the mean
of the two frames on each side; scenedetect.com), computed by OpenCV on 160x90 pixels at an eighth of its cost. Such a
frame is a cut only if the scene changes: not after a flash, a camera jolt, a lamp or a title.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from clipzy_worker.analysers.base import Frame, Pixels, Signature, distance
from clipzy_worker.analysers.shots.boundary import Boundary

_NEIGHBOURS_PER_SIDE = 2
# Below this correlation three quarters of the sensitivity suffice, since both shots may have fast motion.
_UNRELATED_CORRELATION = 0.5
_REDUCED_SENSITIVITY_RATIO = 0.75
# The mean over hue, saturation and value; video without colour changes in the last only.
_MIN_DIFFERENCE_LEVELS = 8.0
# In dark frames, hue is noise.
_MIN_JUMP_LEVELS = 6.0
# A scene with less is blank, and the frame after it may be the first step of a fade.
_MIN_SCENE_SPREAD_LEVELS = 4.0
_MIN_JUMP_FROM_BLANK_LEVELS = 14.0
# Median over root mean square of the jump. Below, a title or an object has appeared in the same scene.
_MIN_JUMP_BREADTH = 0.1
# After a flash, a camera jolt or a damaged frame the scene returns within this time.
_FLASH_SECONDS = 0.25
_MAX_FLASH_DISTANCE_RATIO = 0.35
# At the best alignment of both frames. Above, the camera jolted or the light changed.
_SAME_SCENE_CORRELATION = 0.9
_THUMBNAIL_SIZE = (48, 27)
# The centre of the thumbnail, which stays in the frame during a jolt.
_CENTRE = (slice(6, 21), slice(10, 38))


@dataclass(frozen=True)
class _FrameData:
    index: int
    seconds: float
    difference: float  # to the frame before
    signature: Signature
    luma: Pixels

    @property
    def thumbnail(self) -> Pixels:
        return np.asarray(cv2.resize(self.luma, _THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8)


class CutDetector:
    """Reports a cut a quarter of a second after it, once it is clear that the old scene does not return.

    ``sensitivity`` is the factor by which a difference must exceed the mean of those around it.
    """

    undecided_since: float | None = None

    def __init__(self, sensitivity: float = 3.0) -> None:
        self._sensitivity = sensitivity
        self._hsv: Pixels | None = None
        self._recent: deque[_FrameData] = deque()
        self._waiting: deque[int] = deque()  # indexes of cuts that may still turn out to be flashes

    def process(self, frame: Frame) -> list[Boundary]:
        self._recent.append(
            _FrameData(frame.index, frame.seconds, self._difference(frame), frame.signature, frame.small_luma)
        )
        self._consider(frame.index - _NEIGHBOURS_PER_SIDE)
        found = self._decide(frame.seconds - _FLASH_SECONDS)
        self._drop_old()
        return found

    def finish(self) -> list[Boundary]:
        for index in (
            range(self._recent[-1].index - _NEIGHBOURS_PER_SIDE + 1, self._recent[-1].index + 1) if self._recent else ()
        ):
            self._consider(index)
        return self._decide(float("inf"))

    def _difference(self, frame: Frame) -> float:
        hsv = np.asarray(cv2.cvtColor(frame.small, cv2.COLOR_BGR2HSV), dtype=np.uint8)
        before, self._hsv = self._hsv, hsv
        if before is None:
            return 0.0
        hue, saturation, value, _ = cv2.mean(cv2.absdiff(before, hsv))
        return (hue + saturation + value) / 3

    def _consider(self, index: int) -> None:
        if index > self._recent[0].index and self._stands_out(index):
            self._waiting.append(index)

    def _stands_out(self, index: int) -> bool:
        difference = self._at(index).difference
        if difference < _MIN_DIFFERENCE_LEVELS:
            return False
        around = [data.difference for data in self._neighbours(index)]
        threshold = self._sensitivity * sum(around) / max(len(around), 1)
        if difference >= threshold:
            return True
        return difference >= _REDUCED_SENSITIVITY_RATIO * threshold and self._are_unrelated(index)

    def _are_unrelated(self, index: int) -> bool:
        one, other = self._at(index - 1).signature, self._at(index).signature
        return min(one.std(), other.std()) > 1 and float(np.corrcoef(one, other)[0, 1]) < _UNRELATED_CORRELATION

    def _neighbours(self, index: int) -> Iterator[_FrameData]:
        first = max(index - _NEIGHBOURS_PER_SIDE, self._recent[0].index, 1)  # the first frame has no difference
        last = min(index + _NEIGHBOURS_PER_SIDE, self._recent[-1].index)
        return (self._at(other) for other in range(first, last + 1) if other != index)

    def _decide(self, until_seconds: float) -> list[Boundary]:
        found = []
        while self._waiting and (cut := self._at(self._waiting[0])).seconds <= until_seconds:
            self._waiting.popleft()
            if self._is_new_scene(cut) and not self._is_flash(cut):
                found.append(Boundary(cut.seconds, "cut", cut.seconds, cut.seconds))
        return found

    def _at(self, index: int) -> _FrameData:
        return self._recent[index - self._recent[0].index]

    def _is_new_scene(self, cut: _FrameData) -> bool:
        before = self._at(cut.index - 1)
        jump, views = distance(before.signature, cut.signature), (before.thumbnail, cut.thumbnail)
        if min(view.std() for view in views) < _MIN_SCENE_SPREAD_LEVELS:
            return jump >= _MIN_JUMP_FROM_BLANK_LEVELS and jump >= 2 * max(self._adjacent_jumps(cut.index), default=0.0)
        breadth = float(np.median(np.abs(cut.signature - before.signature)))
        return jump >= _MIN_JUMP_LEVELS and breadth >= _MIN_JUMP_BREADTH * jump and not _is_same_scene(*views)

    def _adjacent_jumps(self, index: int) -> list[float]:
        near = [other for other in (index - 1, index + 1) if self._recent[0].index < other <= self._recent[-1].index]
        return [distance(self._at(other - 1).signature, self._at(other).signature) for other in near]

    def _is_flash(self, cut: _FrameData) -> bool:
        near = [data for data in self._recent if abs(data.seconds - cut.seconds) <= _FLASH_SECONDS]
        before = np.array([data.signature for data in near if data.index < cut.index])
        after = [data.signature for data in near if data.index >= cut.index]
        if len(before) == 0:
            return False  # at this frame rate a flash is indistinguishable from a shot
        nearest = min(float(np.sqrt(np.mean(np.square(before - one), axis=1)).min()) for one in after)
        return nearest < _MAX_FLASH_DISTANCE_RATIO * distance(self._at(cut.index - 1).signature, cut.signature)

    def _drop_old(self) -> None:
        # A cut is found two frames late and then compared with both sides.
        oldest = max(min([self._recent[-1].index - _NEIGHBOURS_PER_SIDE, *self._waiting]), self._recent[0].index)
        needed_since = self._at(oldest).seconds - _FLASH_SECONDS
        while self._recent[0].index < oldest - _NEIGHBOURS_PER_SIDE and self._recent[0].seconds < needed_since:
            self._recent.popleft()


def _is_same_scene(one: Pixels, other: Pixels) -> bool:
    """Whether the centre of one frame is found anywhere in the other, whatever the light."""
    fits = (cv2.matchTemplate(b, a[_CENTRE], cv2.TM_CCOEFF_NORMED).max() for a, b in ((one, other), (other, one)))
    return bool(max(fits) >= _SAME_SCENE_CORRELATION)
