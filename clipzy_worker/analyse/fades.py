"""Fades through black or white: the picture empties by and by, or fills by and by, or both."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipzy_worker.analyse.base import Frame, Glimpse, distance
from clipzy_worker.analyse.boundaries import Boundary

_RAMP_SECONDS = 2.0  # how far around the blank picture a ramp is looked for
_MIN_RAMP_SECONDS = 0.12
_MIN_RAMP_FRAMES = 3
_MIN_SPREAD = 12.0  # of a picture that can be said to have emptied
_FULL = 0.85  # of the spread before or after the fade: the ramp ends here
_MIN_LIKENESS = 0.8  # of the half-filled picture to the full one; below, a camera has left a blank wall
_FLASH_SECONDS = 0.7
_SAME_SCENE = 0.35  # of the picture's own spread


@dataclass(frozen=True)
class _Seen:
    seconds: float
    spread: float
    glimpse: Glimpse


class FadeDetector:
    """The new shot begins at the first of the darkest (or whitest) frames between two scenes.

    A blank beginning or end of the film is no boundary; neither is a short flash within one scene.
    """

    def __init__(self) -> None:
        self._before: deque[_Seen] = deque()
        self._after: list[_Seen] = []
        self._blank: Frame | None = None  # the emptiest of this blank stretch
        self._last_blank_seconds = 0.0

    @property
    def undecided_since(self) -> float | None:
        if self._blank is None:
            return None
        return self._before[0].seconds if self._before else 0.0

    def process(self, frame: Frame) -> list[Boundary]:
        if frame.is_blank:
            found = self._conclude() if self._after else []
            self._take_blank(frame)
            return found
        seen = _Seen(frame.seconds, frame.spread, frame.glimpse)
        if self._blank is None:
            self._remember(seen)
            return []
        self._after.append(seen)
        if frame.seconds - self._last_blank_seconds < _RAMP_SECONDS:
            return []
        return self._conclude()

    def finish(self) -> list[Boundary]:
        return self._conclude() if self._after else []

    def _take_blank(self, frame: Frame) -> None:
        if self._blank is None or _visible(frame) < _visible(self._blank) - 0.5:
            self._blank = frame
        self._last_blank_seconds = frame.seconds

    def _remember(self, seen: _Seen) -> None:
        self._before.append(seen)
        while seen.seconds - self._before[0].seconds > _RAMP_SECONDS:
            self._before.popleft()

    def _conclude(self) -> list[Boundary]:
        """Judge the blank stretch that lies between ``_before`` and ``_after``, and begin anew behind it."""
        blank, before, after = self._blank, list(reversed(self._before)), self._after
        self._blank, self._before, self._after = None, deque(after), []
        if blank is None or not before:
            return []
        out, back = _ramp(before), _ramp(after)
        if not (out or back):
            return []
        first = before[out].seconds if out else before[0].seconds
        last = after[back].seconds if back else after[0].seconds
        if last - first < _FLASH_SECONDS and _same_scene(before[out], after[back]):
            return []
        return [Boundary(blank.seconds, "fade", first, last)]


def _ramp(outward: Sequence[_Seen]) -> int:
    """How many frames one picture took to fill, seen from the blank outward; 0 where that is not what happened."""
    full = max(seen.spread for seen in outward)
    if full < _MIN_SPREAD:
        return 0
    length = next(place for place, seen in enumerate(outward) if seen.spread >= _FULL * full)
    rises = all(outward[i + 1].spread >= 0.9 * outward[i].spread - 1 for i in range(length))
    lasts = abs(outward[length].seconds - outward[0].seconds) >= _MIN_RAMP_SECONDS
    if length < _MIN_RAMP_FRAMES or not rises or not lasts:
        return 0
    likeness = np.corrcoef(outward[length // 2].glimpse, outward[length].glimpse)[0, 1]
    return length if likeness >= _MIN_LIKENESS else 0


def _same_scene(one: _Seen, other: _Seen) -> bool:
    return distance(one.glimpse, other.glimpse) < _SAME_SCENE * max(one.spread, other.spread)


def _visible(frame: Frame) -> float:
    """How much there is to see on a blank frame; 0 is pure black or white."""
    return frame.spread + min(frame.mean, 255 - frame.mean)
