"""Which windows become clips: those with high scores that do not overlap and do not repeat each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.moments.cells import Indexes, Integral, Numbers
from clipzy_worker.analysers.moments.measured import Measured
from clipzy_worker.analysers.moments.windows import Windows

Flags = NDArray[np.bool_]

_NEAR_SECONDS = 60.0
# What differs by two points of the score is equal.
_EQUAL_WORTH = 0.02
_ROUNDING_SECONDS = 1e-6
_DECIMALS = 9


@dataclass(frozen=True)
class Chosen:
    """Numbers of windows, the best first. ``is_short_of_time`` if there would be more but for the total."""

    windows: list[int]
    is_short_of_time: bool = False


def best_windows(windows: Windows, scores: Numbers, *, count: int, total_seconds: float) -> Chosen:
    """The windows, at most ``count``, that do not overlap and have the highest sum of scores, by dynamic programming.

    If they last longer than ``total_seconds`` together, those with the lowest scores are left out.
    """
    chosen = _schedule(windows, scores, count)
    chosen.sort(key=lambda window: (-scores[window], window))
    sums = np.cumsum(windows.seconds[chosen])
    kept = int(np.searchsorted(sums, total_seconds + _ROUNDING_SECONDS, side="right"))
    return Chosen(chosen[:kept], kept < len(chosen))


def diverse_windows(
    measured: Measured, windows: Windows, scores: Numbers, *, count: int, total_seconds: float, diversity: float
) -> Chosen:
    """One window after the other, by maximal marginal relevance: each time the one with the highest
    ``(1 - diversity) * score / 100 - diversity * similarity`` to that of the chosen ones which is most like it.

    Carbonell and Goldstein, "The use of MMR", SIGIR 1998. Of windows around each other that differ by less than two
    points the longest is taken, of other equal ones the first.
    """
    chosen: list[int] = []
    free, similarity = scores > 0, np.zeros(len(windows))
    left_seconds, is_short_of_time = total_seconds, False
    while len(chosen) < count and free.any():
        affordable = free & (windows.seconds <= left_seconds + _ROUNDING_SECONDS)
        if not affordable.any():
            is_short_of_time = True
            break
        worth = ((1 - diversity) * scores / 100 - diversity * similarity).round(_DECIMALS)
        window = _whole(windows, np.where(affordable, worth, -np.inf))
        chosen.append(window)
        left_seconds -= float(windows.seconds[window])
        free &= ~_overlapping(windows, window)
        similarity = np.maximum(similarity, _similarity(measured, windows, window))
    return Chosen(sorted(chosen, key=lambda one: (-scores[one], one)), is_short_of_time)


def _schedule(windows: Windows, scores: Numbers, count: int) -> list[int]:
    """``best[k][i]`` is the highest sum of at most ``k`` windows among the first ``i``, in the order of their ends."""
    order = np.lexsort((windows.first, windows.last))
    order = order[scores[order] > 0]
    starts, ends = windows.start_seconds[order], windows.end_seconds[order]
    before = np.searchsorted(ends, starts + _ROUNDING_SECONDS, side="right")
    best = [np.zeros(len(order) + 1)]
    for _ in range(count):
        with_each = scores[order] + best[-1][before]
        best.append(np.concatenate([[0.0], np.maximum.accumulate(with_each)]) if len(order) else best[-1])
    return _backtracked(order, before, best)


def _backtracked(order: Indexes, before: Indexes, best: list[Numbers]) -> list[int]:
    chosen, upto = [], len(order)
    for sums in best[:0:-1]:
        if sums[upto] <= 0:
            break
        # The first window with which the highest sum is reached.
        at = int(np.searchsorted(sums[: upto + 1], sums[upto])) - 1
        chosen.append(int(order[at]))
        upto = int(before[at])
    return chosen


def _whole(windows: Windows, worth: Numbers) -> int:
    """The longest window around the best one that is as good: a mean is highest over a part of a moment."""
    best = int(np.argmax(worth))
    is_around = (windows.first <= windows.first[best]) & (windows.last >= windows.last[best])
    is_as_good = worth >= worth[best] - _EQUAL_WORTH
    return int(np.argmax(np.where(is_around & is_as_good, windows.seconds.round(_DECIMALS), 0.0)))


def _overlapping(windows: Windows, chosen: int) -> Flags:
    start, end = windows.start_seconds[chosen], windows.end_seconds[chosen]
    begins_before = windows.start_seconds < end - _ROUNDING_SECONDS
    return np.asarray(begins_before & (windows.end_seconds > start + _ROUNDING_SECONDS))


def _similarity(measured: Measured, windows: Windows, chosen: int) -> Numbers:
    """Half of it is what the pictures have in common, half how near in time they are."""
    start, end = float(windows.start_seconds[chosen]), float(windows.end_seconds[chosen])
    gap = np.maximum(np.maximum(windows.start_seconds - end, start - windows.end_seconds), 0)
    return 0.5 * _common_pictures(measured, windows, chosen) + 0.5 * np.exp(-gap / _NEAR_SECONDS)


def _common_pictures(measured: Measured, windows: Windows, chosen: int) -> Numbers:
    """The intersection of the histogram of each window with that of the chosen one, bin by bin."""
    common = np.zeros(len(windows))
    edges = np.clip(measured.shot_edges, windows.start_seconds[chosen], windows.end_seconds[chosen])
    histograms = measured.pictures.histograms
    for column in np.flatnonzero(histograms[np.diff(edges) > 0].any(axis=0)):
        shares = windows.means(Integral.of(measured.shot_edges, histograms[:, column].astype(np.float64)))
        common += np.minimum(shares, shares[chosen])
    return common
