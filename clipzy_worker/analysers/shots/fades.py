"""Fades through black or white: the picture empties by and by, or fills by and by, or both."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipzy_worker.analysers.base import Frame, Signature, distance
from clipzy_worker.analysers.shots.boundary import Boundary

_RAMP_SECONDS = 2.0  # how far around the blank picture a ramp is looked for
_MIN_RAMP_SECONDS = 0.12
_SLACK_SECONDS = 0.15  # by which the line through a ramp may miss the blank stretch
_MIN_RAMP_FRAMES = 3
_MIN_SPREAD = 12.0  # of a picture that can be said to have emptied
_FULL = 0.85  # of the spread before or after the fade: the ramp ends here
_HALF = 0.7  # of it; a picture that begins with more did not fade
_MIN_LIKENESS = 0.8  # of the half-filled picture to the full one; below, a camera has left a blank wall
_MAX_BLANK_SECONDS = 5.0  # what comes after it is judged as if the film began there
_NEARLY_BLANK_SPREAD = 12.0  # a quick fade has no frame that is emptier
_NEARLY_BLANK_LEVELS = (34.0, 221.0)
_AS_GOOD_AS_NOTHING = 1.0  # levels
_FLASH_SECONDS = 0.7
_SAME_SCENE = 0.35  # of the picture's own spread


@dataclass(frozen=True)
class _Seen:
    seconds: float
    spread: float
    visible: float  # how much there is to see; 0 is pure black or white
    signature: Signature


class FadeDetector:
    """The new shot begins at the first of the darkest (or whitest) frames between two scenes.

    A blank beginning or end of the film is no boundary; neither is a short flash within one scene.
    """

    def __init__(self) -> None:
        self._before: deque[_Seen] = deque()
        self._blanks: list[_Seen] = []
        self._after: list[_Seen] = []

    @property
    def undecided_since(self) -> float | None:
        return self._before[0].seconds if self._blanks and self._before else None

    def process(self, frame: Frame) -> list[Boundary]:
        visible = frame.spread + min(frame.mean, 255 - frame.mean)
        seen = _Seen(frame.seconds, frame.spread, visible, frame.signature)
        if _is_nearly_blank(frame):
            found = self._conclude() if self._after or self._lasts_too_long(frame.seconds) else []
            self._blanks.append(seen)
            return found
        if not self._blanks:
            self._remember(seen)
            return []
        self._after.append(seen)
        return self._conclude() if frame.seconds - self._blanks[-1].seconds >= _RAMP_SECONDS else []

    def finish(self) -> list[Boundary]:
        return self._conclude() if self._after else []

    def _lasts_too_long(self, now_seconds: float) -> bool:
        return bool(self._blanks) and now_seconds - self._blanks[0].seconds > _MAX_BLANK_SECONDS

    def _remember(self, seen: _Seen) -> None:
        self._before.append(seen)
        while seen.seconds - self._before[0].seconds > _RAMP_SECONDS:
            self._before.popleft()

    def _conclude(self) -> list[Boundary]:
        """Judge the blank stretch that lies between ``_before`` and ``_after``, and begin anew behind it."""
        before, blanks, after = list(self._before), self._blanks, self._after
        self._before, self._blanks, self._after = deque(after), [], []
        return _judged(before, blanks, after) if before and blanks else []


def _judged(before: list[_Seen], blanks: list[_Seen], after: list[_Seen]) -> list[Boundary]:
    first_empty, last_empty = _hollow(blanks)
    emptying = [*reversed(blanks[:first_empty]), *reversed(before)]
    filling = [*blanks[last_empty + 1 :], *after]
    out, back = _Ramp.of(emptying), _Ramp.of(filling)
    empty = blanks[first_empty].seconds - _SLACK_SECONDS, blanks[last_empty].seconds + _SLACK_SECONDS
    if not any(ramp is not None and ramp.is_fade(empty) for ramp in (out, back)):
        return []
    first = out.full_at if out else emptying[0].seconds
    last = back.full_at if back else filling[0].seconds if filling else blanks[-1].seconds
    if filling and last - first < _FLASH_SECONDS and _same_scene(_full(emptying, out), _full(filling, back)):
        return []
    return [Boundary(blanks[first_empty].seconds, "fade", first, last)]


def _hollow(blanks: list[_Seen]) -> tuple[int, int]:
    """The first and the last place where there is as good as nothing to see, or the least there is."""
    least = min(seen.visible for seen in blanks) + _AS_GOOD_AS_NOTHING
    empty = [place for place, seen in enumerate(blanks) if seen.visible <= least]
    return empty[0], empty[-1]


@dataclass(frozen=True)
class _Ramp:
    """One picture that fills, seen from the blank outward. Its spread lies on a line that is 0 at ``empty_at``."""

    pictures: Sequence[_Seen]  # the last one is nearly full
    empty_at: float
    full_at: float

    @classmethod
    def of(cls, outward: Sequence[_Seen]) -> "_Ramp | None":
        """``None`` where the picture is full at once, or never."""
        most = max((seen.spread for seen in outward), default=0.0)
        if most < _MIN_SPREAD or outward[0].spread > _HALF * most:
            return None
        length = next(place for place in range(len(outward)) if _is_full(outward, place, most))
        seconds, spreads = np.array([(seen.seconds, seen.spread) for seen in outward[: length + 1]]).T
        rise, start = np.polyfit(seconds - seconds[0], spreads, 1)
        if abs(rise) < 1e-6:
            return None
        full = max(seen.spread for seen in outward[: length + length // 3 + 2])
        empty_at, full_at = (float(seconds[0] + (level - start) / rise) for level in (0.0, full))
        return cls(outward[: length + 1], empty_at, full_at)

    def is_fade(self, stretch: tuple[float, float]) -> bool:
        """Whether one scene fills by and by, beginning within the blank stretch: not a camera that leaves a wall."""
        length = len(self.pictures) - 1
        spreads = [seen.spread for seen in self.pictures]
        rises = all(spreads[i + 1] >= 0.9 * spreads[i] - 1 for i in range(length))
        lasts = abs(self.pictures[-1].seconds - self.pictures[0].seconds) >= _MIN_RAMP_SECONDS
        if length < _MIN_RAMP_FRAMES or not rises or not lasts or not stretch[0] <= self.empty_at <= stretch[1]:
            return False
        likeness = np.corrcoef(self.pictures[length // 2].signature, self.pictures[length].signature)[0, 1]
        return bool(likeness >= _MIN_LIKENESS)


def _is_full(outward: Sequence[_Seen], place: int, most: float) -> bool:
    spread = outward[place].spread
    ceases = place >= _MIN_RAMP_FRAMES and place + 1 < len(outward) and outward[place + 1].spread <= spread
    return spread >= _FULL * most or (ceases and spread >= _HALF * most)


def _full(outward: Sequence[_Seen], ramp: _Ramp | None) -> _Seen:
    return ramp.pictures[-1] if ramp else outward[0]


def _same_scene(one: _Seen, other: _Seen) -> bool:
    return distance(one.signature, other.signature) < _SAME_SCENE * max(one.spread, other.spread)


def _is_nearly_blank(frame: Frame) -> bool:
    dark, bright = _NEARLY_BLANK_LEVELS
    return frame.is_blank or (frame.spread < _NEARLY_BLANK_SPREAD and not dark <= frame.mean <= bright)
