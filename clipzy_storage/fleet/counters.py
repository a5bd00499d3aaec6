"""The counters and histograms of the deployment: sums in Redis, to which every process adds its own counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipzy_storage.metrics.counts import INFINITE, SUM, parts_of
from clipzy_storage.metrics.definitions import METRICS, LabelValues
from clipzy_storage.redis_client import RedisDatabase, translated

COUNTS_KEY = "metrics:counts"
_ADD = Path(__file__).parent / "lua" / "add_counts.lua"


@dataclass
class Histogram:
    """How many durations fell into which bucket, by its upper bound, and their sum."""

    counts: dict[float, int] = field(default_factory=dict)
    sum_seconds: float = 0.0

    def cumulative(self, bounds: tuple[float, ...]) -> list[tuple[str, int]]:
        """For each of these bounds, and without any, how many were at most that; as the text format has it."""
        by_bound = [(f"{bound:g}", sum(n for at, n in self.counts.items() if at <= bound)) for bound in bounds]
        return [*by_bound, (INFINITE, sum(self.counts.values()))]


@dataclass(frozen=True)
class Sums:
    """What all processes have counted, by metric and label values; at least what is shown always."""

    counters: dict[str, dict[LabelValues, int]]
    histograms: dict[str, dict[LabelValues, Histogram]]


class CounterStore:
    """The sums in one Redis. Both methods may raise ``QueueUnavailable``."""

    def __init__(self, redis: RedisDatabase) -> None:
        self._redis = redis

    def add(self, sender: str, number: int, counts: Mapping[str, int]) -> None:
        """Add one process' batch of counts, by field; a batch that is sent twice counts once."""
        self._redis.run(_ADD, sender, number, *(part for pair in counts.items() for part in pair))

    def read(self) -> Sums:
        """The sums now."""
        with translated():
            found: Any = self._redis.client.hgetall(self._redis.key(COUNTS_KEY))
        return _sums({name: int(value) for name, value in found.items()})


def _sums(counts: Mapping[str, int]) -> Sums:
    counters: dict[str, dict[LabelValues, int]] = {}
    histograms: dict[str, dict[LabelValues, Histogram]] = {}
    for name, metric in METRICS.items():
        if metric.kind == "counter":
            counters[name] = dict.fromkeys(metric.always, 0)
        elif metric.kind == "histogram":
            histograms[name] = {values: Histogram() for values in metric.always}
    for text, number in counts.items():
        if (parts := parts_of(text)) is None:
            continue
        name, values, part = parts
        if name in counters:
            counters[name][values] = number
        else:
            _add_part(histograms[name].setdefault(values, Histogram()), part, number)
    return Sums(counters, histograms)


def _add_part(histogram: Histogram, part: str, number: int) -> None:
    if part == SUM:
        histogram.sum_seconds = number / 1_000_000
    else:
        histogram.counts[float(part)] = number
