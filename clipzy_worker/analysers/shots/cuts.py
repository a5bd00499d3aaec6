"""Hard cuts: a frame that differs from the one before far more than its neighbours do from theirs.

The measure is that of PySceneDetect's adaptive detector (mean difference of hue, saturation and value, over the mean
of the two different frames on each side; scenedetect.com), on 160x90 pixels. Such a frame is a cut only if the scene
changes: not after a flash, a camera jolt, a lamp, a title or a scrolled page. If all but one half of the frame stays
as it is, that half is looked at alone.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice

import cv2
import numpy as np

from clipzy_worker.analysers.base import Frame, Pixels, Signature, distance
from clipzy_worker.analysers.shots.boundary import Boundary
from clipzy_worker.analysers.shots.changed_part import WHOLE, area_ratio, changed_part, of_picture, of_signature
from clipzy_worker.analysers.shots.same_view import View, is_one_movement, is_same_view

_NEIGHBOURS_PER_SIDE = 2
# A frame that repeats the one before is no neighbour: connections and animation show each several times.
_MAX_REPEATED_DISTANCE_LEVELS = 0.25
_MAX_NEIGHBOUR_SECONDS = 0.5
# Below this correlation three quarters of the sensitivity suffice, since both shots may have fast motion.
_UNRELATED_CORRELATION = 0.5
_REDUCED_SENSITIVITY_RATIO = 0.75
# And half of it, if all that the camera does before and after is to move.
_MOVED_SENSITIVITY_RATIO = 0.5
# The mean over hue, saturation and value; video without colour changes in the last only. Of the part that changes.
_MIN_DIFFERENCE_LEVELS = 8.0
# In dark frames, hue is noise.
_MIN_JUMP_LEVELS = 6.0
# Of the whole frame; where less of it changes, no cut is possible in a part either.
_MIN_CONSIDERED_JUMP_LEVELS = 3.2
# A scene with less is blank, and the frame after it may be the first step of a fade.
_MIN_SCENE_SPREAD_LEVELS = 4.0
_MIN_JUMP_FROM_BLANK_LEVELS = 14.0
# Median over root mean square of the jump. Below, a title or an object has appeared in the same scene.
_MIN_JUMP_BREADTH = 0.1
# After a flash or a damaged frame the scene returns within this time, and after a jolt the view is clear again.
_FLASH_SECONDS = 0.25
_JOLT_SECONDS = 0.33
_JOLT_FRAMES = 4  # where there are few in that time
_MAX_FLASH_DISTANCE_RATIO = 0.35


@dataclass(frozen=True)
class _FrameData:
    index: int
    seconds: float
    jump: float  # from the frame before
    signature: Signature
    small: Pixels
    luma: Pixels

    @property
    def is_repeated(self) -> bool:
        return self.jump <= _MAX_REPEATED_DISTANCE_LEVELS

    @cached_property
    def hsv(self) -> Pixels:
        return np.asarray(cv2.cvtColor(self.small, cv2.COLOR_BGR2HSV), dtype=np.uint8)

    @cached_property
    def view(self) -> View:
        return View(self.luma)


class CutDetector:
    """Reports a cut a third of a second after it, once it is clear that the old scene does not return.

    ``sensitivity`` is the factor by which a difference must exceed the mean of those around it.
    """

    undecided_since: float | None = None

    def __init__(self, sensitivity: float = 3.0) -> None:
        self._sensitivity = sensitivity
        self._recent: deque[_FrameData] = deque()
        self._waiting: deque[int] = deque()  # indexes of cuts that may still turn out to be flashes

    def process(self, frame: Frame) -> list[Boundary]:
        jump = distance(self._recent[-1].signature, frame.signature) if self._recent else 0.0
        data = _FrameData(frame.index, frame.seconds, jump, frame.signature, frame.small, frame.small_luma)
        self._recent.append(data)
        if jump >= _MIN_CONSIDERED_JUMP_LEVELS:
            self._waiting.append(frame.index)
        found = self._decide(frame.seconds - _JOLT_SECONDS, frame.index - _NEIGHBOURS_PER_SIDE)
        self._drop_old()
        return found

    def finish(self) -> list[Boundary]:
        return self._decide(float("inf"), self._recent[-1].index) if self._recent else []

    def _difference(self, data: _FrameData) -> float:
        """To the frame before. Most frames are never asked for it."""
        before = self._at(data.index - 1)
        return 0.0 if data.is_repeated else cv2.norm(before.hsv, data.hsv, cv2.NORM_L1) / data.hsv.size

    def _decide(self, until_seconds: float, until_index: int) -> list[Boundary]:
        found = []
        while self._waiting and self._waiting[0] <= until_index:
            cut = self._at(self._waiting[0])
            if cut.seconds > until_seconds:
                break
            self._waiting.popleft()
            if self._is_cut(cut):
                found.append(Boundary(cut.seconds, "cut", cut.seconds, cut.seconds))
        return found

    def _is_cut(self, cut: _FrameData) -> bool:
        difference = self._difference(cut)
        stands_out = self._standing_out(cut, difference)
        ratio = stands_out / self._sensitivity
        if ratio < _MOVED_SENSITIVITY_RATIO:
            return False
        part = changed_part(self._at(cut.index - 1).signature, cut.signature)
        if difference < _MIN_DIFFERENCE_LEVELS * area_ratio(part) or not self._is_new_scene(cut, part, stands_out):
            return False
        suffices = ratio >= 1 or (ratio >= _REDUCED_SENSITIVITY_RATIO and self._are_unrelated(cut.index))
        return (suffices or self._is_amid_movement(cut.index)) and not self._is_flash(cut)

    def _standing_out(self, cut: _FrameData, difference: float) -> float:
        """How many times the difference exceeds those around it."""
        around = list(self._neighbours(cut, difference))
        return difference * len(around) / max(sum(around), 1e-6) if around else float("inf")

    def _is_amid_movement(self, index: int) -> bool:
        first, last = index - 2, index + 1
        if first < self._recent[0].index or last > self._recent[-1].index:
            return False
        return all(is_one_movement(self._at(near).view, self._at(near + 1).view) for near in (first, index))

    def _are_unrelated(self, index: int) -> bool:
        one, other = self._at(index - 1).signature, self._at(index).signature
        return min(one.std(), other.std()) > 1 and float(np.corrcoef(one, other)[0, 1]) < _UNRELATED_CORRELATION

    def _neighbours(self, cut: _FrameData, difference: float) -> Iterator[float]:
        """The differences nearest on each side, of frames that are no repetition as far as there are any."""
        place = cut.index - self._recent[0].index
        sides = range(place - 1, 0, -1), range(place + 1, len(self._recent))  # the first has none before it
        for side in sides:
            near = [self._recent[at] for at in side]
            close = [data for data in near if abs(data.seconds - cut.seconds) <= _MAX_NEIGHBOUR_SECONDS]
            near = close if len(close) >= _NEIGHBOURS_PER_SIDE else near[:_NEIGHBOURS_PER_SIDE]
            moving = list(islice(self._moving(near, cut.index, difference), _NEIGHBOURS_PER_SIDE))
            yield from moving or [self._difference(data) for data in near[:_NEIGHBOURS_PER_SIDE]]

    def _moving(self, near: list[_FrameData], index: int, most: float) -> Iterator[float]:
        """Further away there may be another cut: what differs more than this one is left out there."""
        for data in near:
            if not data.is_repeated:
                difference = self._difference(data)
                if abs(data.index - index) <= _NEIGHBOURS_PER_SIDE or difference <= most:
                    yield difference

    def _at(self, index: int) -> _FrameData:
        return self._recent[index - self._recent[0].index]

    def _is_new_scene(self, cut: _FrameData, part: tuple[slice, slice], stands_out: float) -> bool:
        before = self._at(cut.index - 1)
        one, other = (of_signature(data.signature, part) for data in (before, cut))
        jump, views = distance(one, other), [_view(data, part) for data in (before, cut)]
        if min(view.spread for view in views) < _MIN_SCENE_SPREAD_LEVELS:
            return jump >= _MIN_JUMP_FROM_BLANK_LEVELS and jump >= 2 * max(self._adjacent_jumps(cut.index), default=0.0)
        if jump < _MIN_JUMP_LEVELS or float(np.median(np.abs(other - one))) < _MIN_JUMP_BREADTH * jump:
            return False
        pairs = chain([views], self._jolt(cut, part))
        return not any(is_same_view(*pair, stands_out=stands_out, is_part=part != WHOLE) for pair in pairs)

    def _jolt(self, cut: _FrameData, part: tuple[slice, slice]) -> Iterator[tuple[View, View]]:
        """A view before and one after, once the blur of a thrown camera is over."""
        near = [
            data
            for data in self._recent
            if abs(data.seconds - cut.seconds) <= _JOLT_SECONDS or abs(data.index - cut.index) <= _JOLT_FRAMES
        ]
        before, after = ([data for data in near if (data.index < cut.index) is early] for early in (True, False))
        if before:
            between = before[len(before) // 2], after[len(after) // 2]
            pairs = [(before[-1], after[-1]), between, (before[0], after[-1]), (before[0], after[0])]
            yield from ((_view(one, part), _view(other, part)) for one, other in pairs)

    def _adjacent_jumps(self, index: int) -> list[float]:
        return [
            self._at(near).jump
            for near in (index - 1, index + 1)
            if self._recent[0].index < near <= self._recent[-1].index
        ]

    def _is_flash(self, cut: _FrameData) -> bool:
        near = [data for data in self._recent if abs(data.seconds - cut.seconds) <= _FLASH_SECONDS]
        before = np.array([data.signature for data in near if data.index < cut.index])
        after = [data.signature for data in near if data.index >= cut.index]
        if len(before) == 0:
            return False  # at this frame rate a flash is indistinguishable from a shot
        nearest = min(float(np.sqrt(np.mean(np.square(before - one), axis=1)).min()) for one in after)
        return nearest < _MAX_FLASH_DISTANCE_RATIO * cut.jump

    def _drop_old(self) -> None:
        # A cut is decided late and then compared with both sides.
        oldest = max(min([self._recent[-1].index - _NEIGHBOURS_PER_SIDE, *self._waiting]), self._recent[0].index)
        needed_since = self._at(oldest).seconds - _MAX_NEIGHBOUR_SECONDS
        while self._recent[0].index < oldest - _JOLT_FRAMES and self._recent[0].seconds < needed_since:
            self._recent.popleft()


def _view(data: _FrameData, part: tuple[slice, slice]) -> View:
    return data.view if part == WHOLE else View(of_picture(data.luma, part))
