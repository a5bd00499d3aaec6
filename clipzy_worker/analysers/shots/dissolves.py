"""Dissolves: one scene is mixed into another.

Two things tell a dissolve from motion. Every picture is a mixture of the one before and the one after it, in shares
that rise evenly with time; and fine detail fades: where two scenes that have nothing in common are mixed, variances
add up with the squares of their shares, so that half-way only half of the detail is left. (The first is the linear
model of dissolves, the second its parabola: A. Hanjalic, "Shot-boundary detection: unraveled and resolved?", IEEE
Transactions on Circuits and Systems for Video Technology 12(2), 2002.) Motion within the scenes disturbs the first,
hardly the second; a pan looks like the first at times, never like both.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.shots.boundary import Boundary
from clipzy_worker.analysers.shots.frame_history import Glimpses, History, Numbers, RangeReader

_LOOK_EVERY_SECONDS = 0.12
_DECIDE_AFTER_SECONDS = 0.5  # without a better window
_MIN_CHANGE = 18.0  # levels between the two scenes
_MIN_SPREAD = 8.0  # of each scene: a blank one belongs to a fade
_MIN_BREADTH = 0.4  # median over root mean square of the change; below, it is a title that appears over the scene
_MAX_LIKENESS = 0.85  # correlation of the two scenes; above, it is one scene that changes
_MAX_MISFIT = 0.5  # of the mixed pictures on average, in parts of the change
# Correlation of the share with time, and the detail that was lost, in parts of what should be (see above): where one
# is beyond doubt, motion may have disturbed the other.
_BELIEVABLE = ((0.96, 0.7), (0.85, 0.85))
_MAX_STEP = 0.3  # of the mixture between two pictures; above, it is a cut
_MAX_STEP_BACK = 0.12
_REST = 0.2  # of the mixture, that motion may pretend at both ends
_MIN_MIXED = 4
_MIN_MIXED_SECONDS = 0.16


@dataclass(frozen=True)
class _Candidate:
    boundary: Boundary
    strength: float

    def meets(self, other: Boundary | None) -> bool:
        return other is not None and self.boundary.first <= other.last and other.first <= self.boundary.last


class DissolveDetector:
    """Reports a dissolve, beginning the new shot at its middle, once no window shows it better."""

    undecided_since: float | None = None

    def __init__(self) -> None:
        self._history = History()
        self._best: _Candidate | None = None
        self._told: Boundary | None = None
        self._looked_at = 0.0
        self._improved_at = 0.0

    def process(self, frame: Frame) -> list[Boundary]:
        if frame.is_blank:  # what comes of it or goes to it is a fade
            self._history.clear()
        if not self._history.add(frame) or frame.seconds - self._looked_at < _LOOK_EVERY_SECONDS:
            return []
        self._looked_at = frame.seconds
        return self._look(frame.seconds)

    def finish(self) -> list[Boundary]:
        best, self._best = self._best, None
        if best is None:
            return []
        self._told = best.boundary
        return [best.boundary]

    def _look(self, now_seconds: float) -> list[Boundary]:
        found: list[Boundary] = []
        for window in self._history.windows():
            candidate = _mixture(window)
            if candidate is None or candidate.meets(self._told):
                continue
            if self._best is not None and not candidate.meets(self._best.boundary):
                found += self.finish()
            if self._best is None or candidate.strength > self._best.strength:
                self._best, self._improved_at = candidate, now_seconds
        return found if now_seconds - self._improved_at < _DECIDE_AFTER_SECONDS else found + self.finish()


def _mixture(window: RangeReader) -> _Candidate | None:
    """The dissolve that this window shows from before its begin to after its end, if it does.

    What is cheap to ask and says no most often is asked first.
    """
    signatures, seconds = window.signatures, window.seconds
    way = signatures[-1] - signatures[0]
    length = float(np.sqrt(way @ way))
    if length < _MIN_CHANGE * len(way) ** 0.5:
        return None
    along = signatures @ way
    shares = (along - along[0]).astype(np.float64) / length**2
    if not _rises(shares):
        return None
    mixed = (shares > 0.1) & (shares < 0.9)
    fading = _fading(window.details, shares, mixed)
    if not (_lasts(seconds[mixed]) and _is_believable(_correlation(seconds[mixed], shares[mixed]), fading)):
        return None
    off_the_way = signatures[mixed] - signatures[0] - np.outer(shares[mixed], way)
    misfit = float(np.linalg.norm(off_the_way, axis=1).mean()) / length
    if misfit > _MAX_MISFIT or not _are_two_scenes(signatures[0], signatures[-1]):
        return None
    return _Candidate(_boundary(seconds, shares, mixed), length * (1 - misfit) * min(fading, 1.0))


def _boundary(seconds: Numbers, shares: Numbers, mixed: NDArray[np.bool_]) -> Boundary:
    """Its begin and end are where the line through the shares meets none and all."""
    rise, start = np.polyfit(seconds[mixed] - seconds[0], shares[mixed], 1)
    first, last = (float(seconds[0] + (share - start) / rise) for share in (0.0, 1.0))
    middle = int(np.abs(shares - 0.5).argmin())
    return Boundary(float(seconds[middle]), "dissolve", first, last)


def _fading(details: Numbers, shares: Numbers, mixed: NDArray[np.bool_]) -> float:
    """How much detail was lost, in parts of what mixing two scenes that are strangers to each other loses."""
    margin = max(2, len(details) // 8)
    one, other = float(details[:margin].mean()), float(details[-margin:].mean())
    share = shares[mixed]
    kept = (1 - share) * one + share * other
    mixing = (1 - share) ** 2 * one + share**2 * other
    return float((kept - details[mixed]).sum() / max((kept - mixing).sum(), 1e-6))


def _are_two_scenes(one: Glimpses, other: Glimpses) -> bool:
    change = np.abs(other - one)
    size = float(np.sqrt(np.mean(np.square(change))))
    if min(one.std(), other.std()) < _MIN_SPREAD or np.median(change) < _MIN_BREADTH * size:
        return False
    return _correlation(one, other) < _MAX_LIKENESS


def _rises(shares: Numbers) -> bool:
    """From nothing to all of it, with a pause at both ends, in small steps."""
    margin = max(2, len(shares) // 8) + 1
    head, tail, steps = shares[:margin], shares[-margin:], shares[1:] - shares[:-1]
    rests = max(head.max(), -head.min()) <= _REST and max(tail.max() - 1, 1 - tail.min()) <= _REST
    return bool(rests and steps.min() >= -_MAX_STEP_BACK and steps.max() <= _MAX_STEP)


def _lasts(seconds: Numbers) -> bool:
    return len(seconds) >= _MIN_MIXED and bool(seconds[-1] - seconds[0] >= _MIN_MIXED_SECONDS)


def _is_believable(evenness: float, fading: float) -> bool:
    return any(evenness >= least_evenness and fading >= least for least_evenness, least in _BELIEVABLE)


def _correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    # The formula itself: numpy's function takes ten times as long for so few numbers.
    a, b = one - one.sum() / one.size, other - other.sum() / other.size
    return float(a @ b) / max(math.sqrt(float(a @ a) * float(b @ b)), 1e-9)
