"""Sends what the processes of one worker count: the main process from the start, each pool process by itself."""

from typing import Any

from celery import signals

from clipzy_storage.fleet.counters import CounterStore
from clipzy_storage.metrics.sender import MetricsSender
from clipzy_storage.redis_client import RedisDatabase


class WorkerMetrics:
    """The sender of whichever process this is. Each pool process starts its own after its fork, and stops it."""

    def __init__(self, redis: RedisDatabase) -> None:
        self._send = CounterStore(redis).add
        self._sender = MetricsSender(self._send)
        signals.worker_process_init.connect(self._begin, weak=False)
        signals.worker_process_shutdown.connect(self._end, weak=False)

    def start(self) -> None:
        self._sender.start()

    def flush(self) -> None:
        """Send what this process has counted. Raises nothing."""
        self._sender.flush()

    def stop(self) -> None:
        self._sender.stop()

    def _begin(self, **_: Any) -> None:
        self._sender = MetricsSender(self._send)
        self._sender.start()

    def _end(self, **_: Any) -> None:
        self._sender.stop()
