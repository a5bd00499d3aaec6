"""Dissolves: one scene is mixed into another.

Two criteria separate dissolves from motion. Every frame is a mixture of the two scenes, with weights that change
linearly in time; and fine detail fades: if two uncorrelated scenes are mixed, their variances add up with the squares
of the weights, so that half of the detail is left at the midpoint. (The first is the linear model of dissolves, the
second its parabola: A. Hanjalic, "Shot-boundary detection: unraveled and resolved?", IEEE Transactions on Circuits and
Systems for Video Technology 12(2), 2002.) Motion within the scenes disturbs the first and hardly the second; a pan may
fulfil the first, but never both.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.shots.boundary import Boundary
from clipzy_worker.analysers.shots.frame_history import FrameHistory, HistoryWindow, Numbers, Signatures
from clipzy_worker.analysers.shots.travel import Travel

_CHECK_INTERVAL_SECONDS = 0.12
_DECIDE_WITHOUT_IMPROVEMENT_SECONDS = 0.5
_MIN_CHANGE_LEVELS = 18.0
# A scene with less is blank, and the transition a fade.
_MIN_SPREAD_LEVELS = 8.0
# Median over root mean square of the change. Below, a title appears over the scene.
_MIN_CHANGE_BREADTH = 0.4
# Above, it is one scene that changes.
_MAX_SCENE_CORRELATION = 0.85
# Mean distance of the mixed frames from the mixture, relative to the change.
_MAX_MISFIT_RATIO = 0.38
# A camera that moves on may look linear or fit the mixture, but hardly both.
_MAX_UNCERTAIN_MISFIT_RATIO = 0.28
_CERTAIN_LINEARITY = 0.99
# Minimum correlation of the weight with time, and of the detail lost relative to the parabola: if one criterion is
# certain, motion may have disturbed the other.
_CRITERIA = ((0.98, 0.7), (0.85, 1.0))
_MIN_LINEARITY = 0.85
_MAX_LIGHT_ERROR_LEVELS = 8.0
# How far detail falls below the lower of both scenes, relative to what the parabola says.
_MIN_DIP_RATIO = 0.6
# Change of the weight from one frame to the next. Above, it is a cut.
_MAX_WEIGHT_STEP = 0.3
_MAX_WEIGHT_STEP_BACK = 0.12
# Motion may look like this much of the mixture before and after the dissolve.
_MAX_WEIGHT_AT_REST = 0.2
_MAX_WEIGHT_AT_REST_IF_EXACT = 0.3
# Of a mixture so exact that nothing in it moves, as of pages on a screen, whose paper stays white.
_EXACT_MISFIT_RATIO = 0.13
_MIN_EXACT_FADING = 0.35
_MIN_EXACT_CHANGE_BREADTH = 0.08
_MAX_EXACT_CORRELATION = 0.75
# If detail says so without doubt, motion may have disturbed all else.
_CERTAIN_FADING, _CERTAIN_DIP = 1.05, 1.0
_MAX_MISFIT_RATIO_IF_FADED = 0.5
_MIN_MIXED_FRAMES = 4
_MIN_MIXED_SECONDS = 0.16


@dataclass(frozen=True)
class _Candidate:
    boundary: Boundary
    strength: float

    def overlaps(self, other: Boundary | None) -> bool:
        return other is not None and self.boundary.first <= other.last and other.first <= self.boundary.last


class DissolveDetector:
    """Reports a dissolve, with the new shot beginning at its midpoint, once no window matches it better."""

    undecided_since: float | None = None

    def __init__(self) -> None:
        self._history = FrameHistory()
        self._travel = Travel()
        self._best: _Candidate | None = None
        self._last_reported: Boundary | None = None
        self._checked_at = 0.0
        self._improved_at = 0.0

    def process(self, frame: Frame) -> list[Boundary]:
        if frame.is_blank:  # a transition to or from a blank frame is a fade
            self._history.clear()
        self._travel.add(frame)
        if not self._history.add(frame) or frame.seconds - self._checked_at < _CHECK_INTERVAL_SECONDS:
            return []
        self._checked_at = frame.seconds
        return self._check(frame.seconds)

    def finish(self) -> list[Boundary]:
        best, self._best = self._best, None
        if best is None:
            return []
        self._last_reported = best.boundary
        return [] if self._travel.explains(best.boundary.first, best.boundary.last) else [best.boundary]

    def _check(self, now_seconds: float) -> list[Boundary]:
        found: list[Boundary] = []
        for window in self._history.windows():
            candidate = _mixture(window)
            if candidate is None or candidate.overlaps(self._last_reported):
                continue
            if self._best is not None and not candidate.overlaps(self._best.boundary):
                found += self.finish()
            if self._best is None or candidate.strength > self._best.strength:
                self._best, self._improved_at = candidate, now_seconds
        return found if now_seconds - self._improved_at < _DECIDE_WITHOUT_IMPROVEMENT_SECONDS else found + self.finish()


def _mixture(window: HistoryWindow) -> _Candidate | None:
    """The dissolve that lies completely in this window, if there is one.

    The checks are ordered by cost, and by how often they fail.
    """
    signatures, seconds = window.signatures, window.seconds
    path = signatures[-1] - signatures[0]
    length = float(np.sqrt(path @ path))
    if length < _MIN_CHANGE_LEVELS * len(path) ** 0.5:
        return None
    along = signatures @ path
    weights = (along - along[0]).astype(np.float64) / length**2
    if not _rises(weights, _MAX_WEIGHT_AT_REST_IF_EXACT):
        return None
    mixed = (weights > 0.1) & (weights < 0.9)
    fading = _fading(window.details, weights, mixed)
    if not _lasts(seconds[mixed]):
        return None
    linearity = _correlation(seconds[mixed], weights[mixed])
    if linearity < _MIN_LINEARITY or fading < _MIN_EXACT_FADING:
        return None
    off_path = signatures[mixed] - signatures[0] - np.outer(weights[mixed], path)
    misfit = float(np.linalg.norm(off_path, axis=1).mean()) / length
    is_exact = misfit <= _EXACT_MISFIT_RATIO and linearity >= _CERTAIN_LINEARITY
    dip = _dip(window.details)
    is_faded = fading >= _CERTAIN_FADING and dip >= _CERTAIN_DIP and misfit <= _MAX_MISFIT_RATIO_IF_FADED
    is_linear = (
        _meets_criteria(linearity, fading)
        and _fits(misfit, linearity)
        and dip >= _MIN_DIP_RATIO
        and (misfit <= _MAX_UNCERTAIN_MISFIT_RATIO or _is_lit_evenly(signatures, weights, mixed))
    )
    if not is_exact and not ((is_faded or is_linear) and _rises(weights, _MAX_WEIGHT_AT_REST)):
        return None
    if not _are_two_scenes(signatures[0], signatures[-1], is_exact=not (is_faded or is_linear)):
        return None
    return _Candidate(_boundary(seconds, weights, mixed), length * (1 - misfit) * min(fading, 1.0))


def _boundary(seconds: Numbers, weights: Numbers, mixed: NDArray[np.bool_]) -> Boundary:
    """It begins and ends where the line through the weights is 0 and 1."""
    rise, start = np.polyfit(seconds[mixed] - seconds[0], weights[mixed], 1)
    first, last = (float(seconds[0] + (weight - start) / rise) for weight in (0.0, 1.0))
    middle = int(np.abs(weights - 0.5).argmin())
    return Boundary(float(seconds[middle]), "dissolve", first, last)


def _fading(details: Numbers, weights: Numbers, mixed: NDArray[np.bool_]) -> float:
    """The detail lost, relative to what a mixture of two uncorrelated scenes loses."""
    margin = max(2, len(details) // 8)
    one, other = float(details[:margin].mean()), float(details[-margin:].mean())
    weight = weights[mixed]
    kept = (1 - weight) * one + weight * other
    mixing = (1 - weight) ** 2 * one + weight**2 * other
    return float((kept - details[mixed]).sum() / max((kept - mixing).sum(), 1e-6))


def _is_lit_evenly(signatures: Signatures, weights: Numbers, mixed: NDArray[np.bool_]) -> bool:
    """Whether the mean level goes from one scene to the other with the weights: an exposure or a glare goes its way."""
    levels = signatures.mean(axis=1)
    expected = levels[0] + weights * (levels[-1] - levels[0])
    return float(np.abs(levels - expected)[mixed].max()) <= _MAX_LIGHT_ERROR_LEVELS


def _dip(details: Numbers) -> float:
    """How far detail falls below the lower of both scenes, relative to what the parabola says; a lens stays at it."""
    margin = max(2, len(details) // 8)
    one, other = float(details[:margin].mean()), float(details[-margin:].mean())
    lower, mixed = min(one, other), one * other / max(one + other, 1e-6)
    return (lower - float(details.min())) / max(lower - mixed, 1e-6)


def _are_two_scenes(one: Signatures, other: Signatures, *, is_exact: bool) -> bool:
    change = np.abs(other - one)
    min_breadth = _MIN_EXACT_CHANGE_BREADTH if is_exact else _MIN_CHANGE_BREADTH
    size = float(np.sqrt(np.mean(np.square(change))))
    spreads = [each.reshape(-1, 3).std(axis=0).max() for each in (one, other)]
    if min(spreads) < _MIN_SPREAD_LEVELS or np.median(change) < min_breadth * size:
        return False
    return _correlation(one, other) < (_MAX_EXACT_CORRELATION if is_exact else _MAX_SCENE_CORRELATION)


def _rises(weights: Numbers, max_at_rest: float) -> bool:
    """Whether the weight goes from 0 to 1 in small steps, with a rest at both ends."""
    margin = max(2, len(weights) // 8) + 1
    head, tail, steps = weights[:margin], weights[-margin:], weights[1:] - weights[:-1]
    at_rest = max(head.max(), -head.min(), tail.max() - 1, 1 - tail.min()) <= max_at_rest
    return bool(at_rest and steps.min() >= -_MAX_WEIGHT_STEP_BACK and steps.max() <= _MAX_WEIGHT_STEP)


def _lasts(seconds: Numbers) -> bool:
    return len(seconds) >= _MIN_MIXED_FRAMES and bool(seconds[-1] - seconds[0] >= _MIN_MIXED_SECONDS)


def _meets_criteria(linearity: float, fading: float) -> bool:
    return any(linearity >= min_linearity and fading >= min_fading for min_linearity, min_fading in _CRITERIA)


def _fits(misfit: float, linearity: float) -> bool:
    return misfit <= (_MAX_MISFIT_RATIO if linearity >= _CERTAIN_LINEARITY else _MAX_UNCERTAIN_MISFIT_RATIO)


def _correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    # numpy.corrcoef takes ten times as long for so few numbers.
    a, b = one - one.sum() / one.size, other - other.sum() / other.size
    return float(a @ b) / max(math.sqrt(float(a @ a) * float(b @ b)), 1e-9)
