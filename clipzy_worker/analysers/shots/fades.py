"""Fades through black, white or a colour: a scene fades out, another fades in, or both."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from clipzy_worker.analysers.base import Frame, Signature, distance
from clipzy_worker.analysers.shots.boundary import Boundary

# A ramp is searched this far before and after the blank frames.
_RAMP_WINDOW_SECONDS = 2.0
_MIN_RAMP_SECONDS = 0.12
_MIN_RAMP_FRAMES = 3
# The line through a ramp may miss the blank frames by this much.
_RAMP_TOLERANCE_SECONDS = 0.15
_MIN_SCENE_SPREAD_LEVELS = 12.0
# The ramp ends at this share of the spread of the scene.
_FULL_SPREAD_RATIO = 0.85
# A ramp that begins with a larger share of it is no fade.
_MAX_INITIAL_SPREAD_RATIO = 0.7
# Of the frame in the middle of the ramp to the full one. Below, the camera has left a blank wall.
_MIN_CORRELATION = 0.75
# If one scene fades out and another in, both may move.
_MIN_CORRELATION_OF_BOTH = 0.45
# No wall is as even as this.
_MAX_FLAT_SPREAD_LEVELS = 1.0
_MIN_CORRELATION_OF_BOTH_TO_FLAT = 0.3
# After a longer time without a scene the next one is treated like the beginning of the video.
_MAX_BLANK_SECONDS = 5.0
# The darkest frame of a fast fade may be this far from blank.
_NEARLY_BLANK_SPREAD_LEVELS = 15.0
_NEARLY_BLANK_MEAN_LEVELS = (36.0, 219.0)
_EMPTY_TOLERANCE_LEVELS = 1.0
# Of a frame of one colour other than black and white, in each of its channels.
_MAX_COLOURED_SPREAD_LEVELS = 4.0
_MAX_FLASH_SECONDS = 0.7
# Distance of the signatures before and after, relative to the spread of the frame.
_SAME_SCENE_DISTANCE_RATIO = 0.35


@dataclass(frozen=True)
class _FrameData:
    seconds: float
    spread: float
    visible: float  # levels; 0 is pure black or white
    signature: Signature
    is_coloured: bool


class FadeDetector:
    """The new shot begins at the first of the darkest (or whitest) frames between two scenes.

    A blank beginning or end of the video is no boundary; neither is a short flash within one scene.
    """

    def __init__(self) -> None:
        self._before: deque[_FrameData] = deque()
        self._blanks: list[_FrameData] = []
        self._after: list[_FrameData] = []

    @property
    def undecided_since(self) -> float | None:
        return self._before[0].seconds if self._blanks and self._before else None

    def process(self, frame: Frame) -> list[Boundary]:
        is_blank = _is_nearly_blank(frame)
        is_coloured = not is_blank and _is_of_one_colour(frame)
        visible = frame.spread + (0.0 if is_coloured else min(frame.mean, 255 - frame.mean))
        data = _FrameData(frame.seconds, frame.spread, visible, frame.signature, is_coloured)
        if is_blank or is_coloured:
            found = self._evaluate() if self._after or self._lasts_too_long(frame.seconds) else []
            self._blanks.append(data)
            return found
        if not self._blanks:
            self._keep_recent(data)
            return []
        self._after.append(data)
        return self._evaluate() if frame.seconds - self._blanks[-1].seconds >= _RAMP_WINDOW_SECONDS else []

    def finish(self) -> list[Boundary]:
        return self._evaluate() if self._after else []

    def _lasts_too_long(self, now_seconds: float) -> bool:
        return bool(self._blanks) and now_seconds - self._blanks[0].seconds > _MAX_BLANK_SECONDS

    def _keep_recent(self, data: _FrameData) -> None:
        self._before.append(data)
        while data.seconds - self._before[0].seconds > _RAMP_WINDOW_SECONDS:
            self._before.popleft()

    def _evaluate(self) -> list[Boundary]:
        """Decide on the blank frames between ``_before`` and ``_after``, and start again after them."""
        before, blanks, after = list(self._before), self._blanks, self._after
        self._before, self._blanks, self._after = deque(after), [], []
        return _boundaries(before, blanks, after) if before and blanks else []


def _boundaries(before: list[_FrameData], blanks: list[_FrameData], after: list[_FrameData]) -> list[Boundary]:
    first_empty, last_empty = _empty_range(blanks)
    emptying = [*reversed(blanks[:first_empty]), *reversed(before)]
    filling = [*blanks[last_empty + 1 :], *after]
    out, back = _Ramp.of(emptying), _Ramp.of(filling)
    empty = blanks[first_empty].seconds - _RAMP_TOLERANCE_SECONDS, blanks[last_empty].seconds + _RAMP_TOLERANCE_SECONDS
    ramps = [ramp for ramp in (out, back) if ramp is not None]
    is_flat = blanks[first_empty].spread <= _MAX_FLAT_SPREAD_LEVELS
    least = _MIN_CORRELATION_OF_BOTH_TO_FLAT if is_flat else _MIN_CORRELATION_OF_BOTH
    are_both = len(ramps) == 2 and all(ramp.is_fade(empty, least) for ramp in ramps)
    # A camera may come to rest on a wall, but hardly leave it in the same way.
    is_one = not blanks[first_empty].is_coloured and any(ramp.is_fade(empty, _MIN_CORRELATION) for ramp in ramps)
    if not (are_both or is_one):
        return []
    first = out.full_at if out else emptying[0].seconds
    last = back.full_at if back else filling[0].seconds if filling else blanks[-1].seconds
    if filling and last - first < _MAX_FLASH_SECONDS and _same_scene(_full(emptying, out), _full(filling, back)):
        return []
    return [Boundary(blanks[first_empty].seconds, "fade", first, last)]


def _empty_range(blanks: list[_FrameData]) -> tuple[int, int]:
    """The indexes of the first and the last of the emptiest frames."""
    least = min(data.visible for data in blanks) + _EMPTY_TOLERANCE_LEVELS
    empty = [index for index, data in enumerate(blanks) if data.visible <= least]
    return empty[0], empty[-1]


@dataclass(frozen=True)
class _Ramp:
    """A scene that fades in, or fades out in reverse. Its spread lies on a line that is 0 at ``empty_at``."""

    frames: Sequence[_FrameData]  # the last one is nearly full
    empty_at: float
    full_at: float

    @classmethod
    def of(cls, outward: Sequence[_FrameData]) -> "_Ramp | None":
        """``None`` if the scene is full immediately, or never."""
        most = max((data.spread for data in outward), default=0.0)
        if most < _MIN_SCENE_SPREAD_LEVELS or outward[0].spread > _MAX_INITIAL_SPREAD_RATIO * most:
            return None
        length = next(index for index in range(len(outward)) if _is_full(outward, index, most))
        seconds, spreads = np.array([(data.seconds, data.spread) for data in outward[: length + 1]]).T
        rise, start = np.polyfit(seconds - seconds[0], spreads, 1)
        if abs(rise) < 1e-6:
            return None
        full = max(data.spread for data in outward[: length + length // 3 + 2])
        empty_at, full_at = (float(seconds[0] + (level - start) / rise) for level in (0.0, full))
        return cls(outward[: length + 1], empty_at, full_at)

    def is_fade(self, blank: tuple[float, float], min_correlation: float) -> bool:
        """Whether one scene appears gradually, from within the blank frames: not a camera that leaves a wall."""
        length = len(self.frames) - 1
        spreads = [data.spread for data in self.frames]
        rises = all(spreads[i + 1] >= 0.9 * spreads[i] - 1 for i in range(length))
        lasts = abs(self.frames[-1].seconds - self.frames[0].seconds) >= _MIN_RAMP_SECONDS
        if length < _MIN_RAMP_FRAMES or not rises or not lasts or not blank[0] <= self.empty_at <= blank[1]:
            return False
        correlation = np.corrcoef(self.frames[length // 2].signature, self.frames[length].signature)[0, 1]
        return bool(correlation >= min_correlation)


def _is_full(outward: Sequence[_FrameData], index: int, most: float) -> bool:
    spread = outward[index].spread
    flattens = index >= _MIN_RAMP_FRAMES and index + 1 < len(outward) and outward[index + 1].spread <= spread
    return spread >= _FULL_SPREAD_RATIO * most or (flattens and spread >= _MAX_INITIAL_SPREAD_RATIO * most)


def _full(outward: Sequence[_FrameData], ramp: _Ramp | None) -> _FrameData:
    return ramp.frames[-1] if ramp else outward[0]


def _same_scene(one: _FrameData, other: _FrameData) -> bool:
    return distance(one.signature, other.signature) < _SAME_SCENE_DISTANCE_RATIO * max(one.spread, other.spread)


def _is_of_one_colour(frame: Frame) -> bool:
    if frame.spread > _MAX_COLOURED_SPREAD_LEVELS:
        return False
    return bool(cv2.meanStdDev(frame.small)[1].max() <= _MAX_COLOURED_SPREAD_LEVELS)


def _is_nearly_blank(frame: Frame) -> bool:
    dark, bright = _NEARLY_BLANK_MEAN_LEVELS
    return frame.is_blank or (frame.spread < _NEARLY_BLANK_SPREAD_LEVELS and not dark <= frame.mean <= bright)
