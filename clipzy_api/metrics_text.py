"""The answer to `GET /metrics`: the sums of all processes and the state of the deployment, in Prometheus' formats."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from clipzy_storage.fleet.counters import Sums
from clipzy_storage.fleet.fleet import Fleet
from clipzy_storage.metrics.definitions import METRICS, LabelValues


@dataclass(frozen=True)
class Measured:
    """Everything that the answer shows."""

    sums: Sums
    fleet: Fleet
    redis_memory_bytes: int
    storage_free_bytes: int | None
    """None if it is unknown."""

    def gauges(self) -> dict[str, dict[LabelValues, float]]:
        """By name and label values; those of a gauge whose value is unknown are missing."""
        fleet, free_bytes = self.fleet, self.storage_free_bytes
        queues = fleet.jobs.queues
        return {
            "clipzy_jobs": {(status.value,): jobs for status, jobs in fleet.jobs.counts.items()},
            "clipzy_queue_jobs": {(one.queue.value,): one.jobs for one in queues},
            "clipzy_queue_oldest_seconds": {(one.queue.value,): one.oldest_seconds for one in queues},
            "clipzy_queue_bytes": {(one.queue.value,): one.size_bytes for one in queues},
            "clipzy_workers": {(): len(fleet.workers)},
            "clipzy_worker_slots": {("busy",): fleet.busy_slots, ("free",): fleet.slots - fleet.busy_slots},
            "clipzy_storage_free_bytes": {} if free_bytes is None else {(): free_bytes},
            "clipzy_redis_memory_bytes": {(): self.redis_memory_bytes},
        }


def rendered(measured: Measured, *, accept: str) -> tuple[bytes, str]:
    """The text, and its content type: that of the formats which the header ``Accept`` prefers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(measured))
    try:
        encode, content_type = choose_encoder(accept)
    except TypeError:  # it asks for a version that is no number
        encode, content_type = choose_encoder("")
    return encode(registry), content_type


class _Families(Collector):
    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def describe(self) -> list[Metric]:
        return []  # so that registering it reads nothing

    def collect(self) -> Iterator[Metric]:
        gauges, sums = self._measured.gauges(), self._measured.sums
        for name, metric in METRICS.items():
            match metric.kind:
                case "gauge":
                    gauge = GaugeMetricFamily(name, metric.help, labels=metric.labels)
                    for values, value in gauges[name].items():
                        gauge.add_metric(values, value)
                    yield gauge
                case "counter":
                    counter = CounterMetricFamily(name, metric.help, labels=metric.labels)
                    for values, number in sorted(sums.counters[name].items()):
                        counter.add_metric(values, number)
                    yield counter
                case "histogram":
                    histogram = HistogramMetricFamily(name, metric.help, labels=metric.labels)
                    for values, found in sorted(sums.histograms[name].items()):
                        histogram.add_metric(values, found.cumulative(metric.buckets), found.sum_seconds)
                    yield histogram
