"""Cells of half a second, what is measured in each of them, and how much of it there is between two times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Indexes = NDArray[np.intp]

CELL_SECONDS = 0.5

_ROUNDING = 1e-6  # of a step


def cell_count(end_seconds: float) -> int:
    """As many as begin before the end."""
    return max(int(np.ceil(end_seconds / CELL_SECONDS - _ROUNDING)), 0)


def cell_middles(count: int) -> Numbers:
    return (np.arange(count, dtype=np.float64) + 0.5) * CELL_SECONDS


def sampled(curve: Numbers, seconds: Numbers, *, step_seconds: float) -> Numbers:
    """The value of the step in which each of these times lies; the nearest one before the curve begins or after."""
    steps = np.floor(seconds / step_seconds + _ROUNDING).astype(np.intp)
    return curve[np.clip(steps, 0, len(curve) - 1)]


def ranks(values: Numbers, counted: NDArray[np.bool_], *, plain: float) -> Numbers:
    """The share of the ``counted`` cells that are lower, 0 for cells that are not counted.

    One that is lower by less than ``plain`` counts in part, so that noise has no ranks: where nothing stands out, all
    are near 0.
    """
    found, others = np.zeros(len(values)), np.count_nonzero(counted) - 1
    if others > 0:
        own = values[counted]
        ordered = np.sort(own)
        sums = np.concatenate([[0.0], np.cumsum(ordered)])
        plainly, lower = np.searchsorted(ordered, own - plain), np.searchsorted(ordered, own)
        in_part = ((lower - plainly) * own - (sums[lower] - sums[plainly])) / plain
        found[counted] = np.clip((plainly + in_part) / others, 0, 1)
    return found


@dataclass(frozen=True)
class Integral:
    """Of a value that is constant from one edge to the next, and 0 outside of them."""

    edges: Numbers
    sums: Numbers

    @classmethod
    def of(cls, edges: Numbers, values: Numbers) -> "Integral":
        """``edges`` are in order, one more than ``values``."""
        return cls(edges, np.concatenate([[0.0], np.cumsum(np.diff(edges) * values)]))

    @classmethod
    def of_cells(cls, values: Numbers) -> "Integral":
        return cls.of(np.arange(len(values) + 1, dtype=np.float64) * CELL_SECONDS, values)

    @classmethod
    def of_spans(cls, starts: Numbers, ends: Numbers) -> "Integral":
        """1 within spans that follow each other, 0 between."""
        if not len(starts):
            return cls(np.zeros(1), np.zeros(1))
        sums = np.concatenate([[0.0], np.cumsum(ends - starts)])
        return cls(np.stack([starts, ends], axis=1).ravel(), np.stack([sums[:-1], sums[1:]], axis=1).ravel())

    def until(self, seconds: Numbers) -> Numbers:
        """From the beginning to each of these times."""
        return np.asarray(np.interp(seconds, self.edges, self.sums))
