"""Windows between the edges that a clip may have: all pairs of a start and an end."""

from dataclasses import dataclass

import numpy as np

from clipzy_worker.analysers.moments.cells import Indexes, Integral, Numbers

_ROUNDING_SECONDS = 1e-6


@dataclass(frozen=True)
class Windows:
    """Window ``i`` lasts from ``starts[first[i]]`` to ``ends[last[i]]``; in the order of their starts, then of their
    ends."""

    starts: Numbers
    ends: Numbers
    first: Indexes
    last: Indexes

    @classmethod
    def between(cls, starts: Numbers, ends: Numbers, *, min_seconds: float, max_seconds: float) -> "Windows":
        """All windows of a length within these bounds; ``starts`` and ``ends`` are in order."""
        lowest, counts = _reach(starts, ends, min_seconds, max_seconds)
        first = np.repeat(np.arange(len(starts)), counts)
        within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(starts, ends, first, np.repeat(lowest, counts) + within)

    def __len__(self) -> int:
        return len(self.first)

    @property
    def start_seconds(self) -> Numbers:
        return self.starts[self.first]

    @property
    def end_seconds(self) -> Numbers:
        return self.ends[self.last]

    @property
    def seconds(self) -> Numbers:
        return self.end_seconds - self.start_seconds

    def means(self, integral: Integral) -> Numbers:
        return (integral.until(self.ends)[self.last] - integral.until(self.starts)[self.first]) / self.seconds

    def counts(self, seconds: Numbers) -> Indexes:
        """How many of these times, which are in order, each window has, from its start up to but without its end."""
        return np.searchsorted(seconds, self.ends)[self.last] - np.searchsorted(seconds, self.starts)[self.first]


def count_between(starts: Numbers, ends: Numbers, *, min_seconds: float, max_seconds: float) -> int:
    """How many windows ``Windows.between`` has."""
    return int(_reach(starts, ends, min_seconds, max_seconds)[1].sum())


def _reach(starts: Numbers, ends: Numbers, min_seconds: float, max_seconds: float) -> tuple[Indexes, Indexes]:
    """The first end for each start, and how many there are."""
    lowest = np.searchsorted(ends, starts + min_seconds - _ROUNDING_SECONDS)
    highest = np.searchsorted(ends, starts + max_seconds + _ROUNDING_SECONDS, side="right")
    return lowest, np.maximum(highest - lowest, 0)
