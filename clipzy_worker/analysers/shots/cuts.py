"""Hard cuts: a picture that differs from the one before far more than its neighbours do from theirs.

The measure is that of PySceneDetect's adaptive detector (mean difference of hue, saturation and value, over the mean
of the two frames on each side; scenedetect.com), reckoned by OpenCV on 160x90 pixels at an eighth of its cost. What
stands out so is only a cut if the view is another one: not after a flash, a jolt of the camera, a lamp or a title.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from clipzy_worker.analysers.base import Frame, Pixels, Signature, distance
from clipzy_worker.analysers.shots.boundary import Boundary

_BESIDE = 2  # neighbours on each side
_STRANGERS = 0.5  # correlation of two pictures; below, three quarters of the sensitivity do: both shots may move fast
_MIN_DIFFERENCE = 8.0  # levels, of hue, saturation and value on average; a film without colour has only the last
_MIN_JUMP = 6.0  # levels; in the dark, hues change wildly where there is nothing to see
_MIN_VIEW_SPREAD = 4.0  # levels; a view with less is blank, and what comes of it may be the first step of a fade
_MIN_BLANK_JUMP = 14.0
_MIN_BREADTH = 0.1  # median over root mean square of the jump; below, a title or another thing has appeared in the view
# After a flash, a jolt of the camera or a damaged picture the scene comes back within this time.
_FLASH_SECONDS = 0.25
_FLASH_LIKENESS = 0.35  # of the jump at the cut
_SAME_VIEW = 0.9  # correlation of the two pictures where they fit best; above, the camera jolted or the light changed
_VIEW_SIZE = (48, 27)
_CORE = (slice(6, 21), slice(10, 38))  # its middle, which a jolt leaves in the picture


@dataclass(frozen=True)
class _Seen:
    index: int
    seconds: float
    difference: float  # to the frame before
    signature: Signature
    luma: Pixels

    @property
    def view(self) -> Pixels:
        return np.asarray(cv2.resize(self.luma, _VIEW_SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8)


class CutDetector:
    """Reports a cut about a quarter of a second after it, when it is clear that the old scene stays away.

    ``sensitivity`` is by how much a difference must exceed those around it.
    """

    undecided_since: float | None = None

    def __init__(self, sensitivity: float = 3.0) -> None:
        self._sensitivity = sensitivity
        self._colours: Pixels | None = None
        self._seen: deque[_Seen] = deque()
        self._waiting: deque[int] = deque()  # indexes of cuts that may yet prove to be flashes

    def process(self, frame: Frame) -> list[Boundary]:
        self._seen.append(_Seen(frame.index, frame.seconds, self._difference(frame), frame.signature, frame.small_luma))
        self._consider(frame.index - _BESIDE)
        found = self._decide(frame.seconds - _FLASH_SECONDS)
        self._forget()
        return found

    def finish(self) -> list[Boundary]:
        for index in range(self._seen[-1].index - _BESIDE + 1, self._seen[-1].index + 1) if self._seen else ():
            self._consider(index)
        return self._decide(float("inf"))

    def _difference(self, frame: Frame) -> float:
        colours = np.asarray(cv2.cvtColor(frame.small, cv2.COLOR_BGR2HSV), dtype=np.uint8)
        before, self._colours = self._colours, colours
        if before is None:
            return 0.0
        hue, saturation, value, _ = cv2.mean(cv2.absdiff(before, colours))
        return (hue + saturation + value) / 3

    def _consider(self, index: int) -> None:
        if index > self._seen[0].index and self._stands_out(index):
            self._waiting.append(index)

    def _stands_out(self, index: int) -> bool:
        difference = self._at(index).difference
        if difference < _MIN_DIFFERENCE:
            return False
        around = [seen.difference for seen in self._beside(index)]
        wanted = self._sensitivity * sum(around) / max(len(around), 1)
        return difference >= wanted or (difference >= 0.75 * wanted and self._are_strangers(index))

    def _are_strangers(self, index: int) -> bool:
        one, other = self._at(index - 1).signature, self._at(index).signature
        return min(one.std(), other.std()) > 1 and float(np.corrcoef(one, other)[0, 1]) < _STRANGERS

    def _beside(self, index: int) -> Iterator[_Seen]:
        first = max(index - _BESIDE, self._seen[0].index, 1)  # the film's first frame differs from nothing
        last = min(index + _BESIDE, self._seen[-1].index)
        return (self._at(other) for other in range(first, last + 1) if other != index)

    def _decide(self, until_seconds: float) -> list[Boundary]:
        found = []
        while self._waiting and (cut := self._at(self._waiting[0])).seconds <= until_seconds:
            self._waiting.popleft()
            if self._is_new_view(cut) and not self._is_flash(cut):
                found.append(Boundary(cut.seconds, "cut", cut.seconds, cut.seconds))
        return found

    def _at(self, index: int) -> _Seen:
        return self._seen[index - self._seen[0].index]

    def _is_new_view(self, cut: _Seen) -> bool:
        before = self._at(cut.index - 1)
        jump, views = distance(before.signature, cut.signature), (before.view, cut.view)
        if min(view.std() for view in views) < _MIN_VIEW_SPREAD:
            return jump >= _MIN_BLANK_JUMP and jump >= 2 * max(self._jumps_beside(cut.index), default=0.0)
        breadth = float(np.median(np.abs(cut.signature - before.signature)))
        return jump >= _MIN_JUMP and breadth >= _MIN_BREADTH * jump and not _is_same_view(*views)

    def _jumps_beside(self, index: int) -> list[float]:
        near = [other for other in (index - 1, index + 1) if self._seen[0].index < other <= self._seen[-1].index]
        return [distance(self._at(other - 1).signature, self._at(other).signature) for other in near]

    def _is_flash(self, cut: _Seen) -> bool:
        near = [seen for seen in self._seen if abs(seen.seconds - cut.seconds) <= _FLASH_SECONDS]
        before = np.array([seen.signature for seen in near if seen.index < cut.index])
        after = [seen.signature for seen in near if seen.index >= cut.index]
        if len(before) == 0:
            return False  # so few frames a second that a flash cannot be told from a shot
        nearest = min(float(np.sqrt(np.mean(np.square(before - one), axis=1)).min()) for one in after)
        return nearest < _FLASH_LIKENESS * distance(self._at(cut.index - 1).signature, cut.signature)

    def _forget(self) -> None:
        # Enough for a cut that is found two frames late and looked at from both sides.
        oldest = max(min([self._seen[-1].index - _BESIDE, *self._waiting]), self._seen[0].index)
        needed_since = self._at(oldest).seconds - _FLASH_SECONDS
        while self._seen[0].index < oldest - _BESIDE and self._seen[0].seconds < needed_since:
            self._seen.popleft()


def _is_same_view(one: Pixels, other: Pixels) -> bool:
    """Whether the middle of one picture lies somewhere in the other, whatever the light."""
    fits = (cv2.matchTemplate(b, a[_CORE], cv2.TM_CCOEFF_NORMED).max() for a, b in ((one, other), (other, one)))
    return bool(max(fits) >= _SAME_VIEW)
