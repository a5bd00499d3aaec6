"""What this process has counted since it last handed its counts on.

A count is a whole number under a **field**: the metric and its label values, in the text by which Redis sums it up. A
histogram has a field for each bucket in which anything fell, and one for the sum, in microseconds.
"""

import os
import threading
from bisect import bisect_left
from collections import Counter

from clipzy_storage.metrics.definitions import METRICS, LabelValues

SUM = "sum"
INFINITE = "+Inf"
_SEPARATOR = "|"


def field_of(name: str, values: LabelValues, part: str = "") -> str:
    """Where this is counted; ``part`` is the upper bound of a bucket, or ``SUM``."""
    cells = [value.replace(_SEPARATOR, " ") for value in values]
    return _SEPARATOR.join([name, *cells, *([part] if part else [])])


def parts_of(field: str) -> tuple[str, LabelValues, str] | None:
    """The opposite of ``field_of``; None for a metric, or labels, of another version."""
    name, *cells = field.split(_SEPARATOR)
    metric = METRICS.get(name)
    is_histogram = metric is not None and metric.kind == "histogram"
    if metric is None or len(cells) != len(metric.labels) + is_histogram:
        return None
    return name, tuple(cells[: len(metric.labels)]), cells[-1] if is_histogram else ""


class Counts:
    """Safe for threads. ``has_any`` is set while there is something to hand on."""

    def __init__(self) -> None:
        self._fields: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.has_any = threading.Event()

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter. ``labels`` are all that the metric has."""
        self._add({field_of(name, _values(name, labels)): amount})

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add one duration to a histogram."""
        values, buckets = _values(name, labels), METRICS[name].buckets
        place = bisect_left(buckets, seconds)
        bound = f"{buckets[place]:g}" if place < len(buckets) else INFINITE
        microseconds = max(round(seconds * 1_000_000), 0)
        self._add({field_of(name, values, bound): 1, field_of(name, values, SUM): microseconds})

    def take(self) -> dict[str, int]:
        """What was counted since the last call, by field."""
        with self._lock:
            self.has_any.clear()
            taken, self._fields = self._fields, Counter()
        return dict(taken)

    def forget(self) -> None:
        """Begin anew: in a forked process, whose parent hands on what it has counted itself."""
        self.__init__()  # type: ignore[misc] # another thread may have held the lock

    def _add(self, fields: dict[str, int]) -> None:
        with self._lock:
            self._fields.update(fields)
            self.has_any.set()


def _values(name: str, labels: dict[str, str]) -> LabelValues:
    expected = METRICS[name].labels
    if labels.keys() != {*expected}:
        raise ValueError(f"{name} has the labels {expected}, and not {tuple(labels)}")
    return tuple(labels[label] for label in expected)


COUNTS = Counts()
"""Those of this process, as its log is: whatever counts need not be given them."""
count, observe = COUNTS.count, COUNTS.observe
os.register_at_fork(after_in_child=COUNTS.forget)
