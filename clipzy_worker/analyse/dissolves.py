"""Dissolves: one scene is mixed into another.

In a dissolve every picture is a mixture of the one before and the one after it, in rising shares. Motion is not: what
moves is at a third place half-way. So pictures of a window are laid on the line between its first and last picture,
and what does not fit on it speaks against a dissolve. It is better to miss one than to call motion a dissolve.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analyse.base import Frame
from clipzy_worker.analyse.boundaries import Boundary

_WINDOWS_SECONDS = (0.6, 1.0, 1.8, 3.2)  # each finds dissolves of up to three quarters of it
_LOOK_EVERY_SECONDS = 0.12
_SAMPLE_EVERY_SECONDS = 1 / 31  # more pictures a second add cost and no evidence
_DECIDE_AFTER_SECONDS = 0.5  # without a better window
_MIN_CHANGE = 18.0  # levels between the two scenes
_MIN_SPREAD = 8.0  # of each scene: a blank one belongs to a fade
_MIN_BREADTH = 0.45  # median over root mean square of the change; below, it is a title that appears over the scene
_MAX_LIKENESS = 0.75  # correlation of the two scenes; above, it is one scene that changes
_MAX_MISFIT = 0.36
_MAX_MEAN_MISFIT = 0.18
_MAX_STEP = 0.35  # of the mixture between two pictures; above, it is a cut
_MIN_MIXED = 4
_MIN_MIXED_SECONDS = 0.16


@dataclass(frozen=True)
class _Candidate:
    boundary: Boundary
    strength: float


class DissolveDetector:
    """Reports a dissolve, beginning the new shot at its middle, once no window shows it better."""

    undecided_since: float | None = None

    def __init__(self) -> None:
        self._seconds: deque[float] = deque()
        self._glimpses: deque[NDArray[np.float32]] = deque()
        self._best: _Candidate | None = None
        self._looked_at = 0.0
        self._improved_at = 0.0

    def process(self, frame: Frame) -> list[Boundary]:
        if self._seconds and frame.seconds - self._seconds[-1] < _SAMPLE_EVERY_SECONDS:
            return []
        self._seconds.append(frame.seconds)
        self._glimpses.append(frame.glimpse)
        while frame.seconds - self._seconds[0] > _WINDOWS_SECONDS[-1]:
            self._seconds.popleft()
            self._glimpses.popleft()
        if frame.seconds - self._looked_at < _LOOK_EVERY_SECONDS:
            return []
        self._looked_at = frame.seconds
        return self._look(frame.seconds)

    def finish(self) -> list[Boundary]:
        best, self._best = self._best, None
        return [best.boundary] if best else []

    def _look(self, now_seconds: float) -> list[Boundary]:
        seconds, glimpses = np.array(self._seconds), np.array(self._glimpses)
        for window_seconds in _WINDOWS_SECONDS:
            start = int(np.searchsorted(seconds, now_seconds - window_seconds))
            candidate = _mixture(seconds[start:], glimpses[start:])
            if candidate and (self._best is None or candidate.strength > self._best.strength):
                self._best = candidate
                self._improved_at = now_seconds
        return self.finish() if now_seconds - self._improved_at >= _DECIDE_AFTER_SECONDS else []


def _mixture(seconds: NDArray[np.float64], glimpses: NDArray[np.float32]) -> _Candidate | None:
    """The dissolve that this window shows from before its begin to after its end, if it does."""
    if len(seconds) < _MIN_MIXED + 2 or not _are_two_scenes(glimpses[0], glimpses[-1]):
        return None
    way = glimpses[-1] - glimpses[0]
    length = float(np.linalg.norm(way))
    moved = glimpses - glimpses[0]
    shares = moved @ way / length**2
    misfits = np.linalg.norm(moved - np.outer(shares, way), axis=1) / length
    if not (_rises_evenly(seconds, shares) and misfits.max() < _MAX_MISFIT):
        return None
    mixed = (shares > 0.1) & (shares < 0.9)
    misfit = float(misfits[mixed].mean())
    if misfit > _MAX_MEAN_MISFIT:
        return None
    middle, (first, *_, last) = int(np.abs(shares - 0.5).argmin()), np.flatnonzero(mixed)
    boundary = Boundary(float(seconds[middle]), "dissolve", float(seconds[first]), float(seconds[last]))
    return _Candidate(boundary, length * (1 - misfit))


def _are_two_scenes(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    change = np.abs(other - one)
    size = float(np.sqrt(np.mean(np.square(change))))
    if size < _MIN_CHANGE or np.median(change) < _MIN_BREADTH * size or min(one.std(), other.std()) < _MIN_SPREAD:
        return False
    return float(np.corrcoef(one, other)[0, 1]) < _MAX_LIKENESS


def _rises_evenly(seconds: NDArray[np.float64], shares: NDArray[np.float64]) -> bool:
    """From nothing to all of it, with a pause at both ends, in small steps and about in proportion to time."""
    margin = max(2, len(shares) // 8)
    steps = np.diff(shares)
    mixed = (shares > 0.1) & (shares < 0.9)
    if shares[: margin + 1].max() > 0.1 or shares[-margin - 1 :].min() < 0.9:
        return False
    if mixed.sum() < _MIN_MIXED or np.ptp(seconds[mixed]) < _MIN_MIXED_SECONDS:
        return False
    if steps.min() < -0.08 or steps.max() > _MAX_STEP:
        return False
    return float(np.corrcoef(seconds[mixed], shares[mixed])[0, 1]) > 0.97
