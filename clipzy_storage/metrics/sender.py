"""The thread of a process that hands its counts on every few seconds, and at the end."""

import os
import threading
from collections.abc import Callable, Mapping

import structlog

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.metrics.counts import COUNTS, Counts

SEND_EVERY_SECONDS = 5.0

Send = Callable[[str, int, Mapping[str, int]], None]
"""Adds a batch of counts, by field, to the sums. It has a sender and a number: one that is sent again counts once.

Raises ``QueueUnavailable`` if that is uncertain.
"""

log = structlog.stdlib.get_logger(__name__)


class MetricsSender:
    """Sends nothing while nothing is counted. Made in the process whose counts it sends, not before a fork."""

    def __init__(self, send: Send, *, counts: Counts = COUNTS, interval_seconds: float = SEND_EVERY_SECONDS) -> None:
        self._send, self._counts, self._interval_seconds = send, counts, interval_seconds
        self._sender = os.urandom(8).hex()
        self._number = 0
        self._batch: dict[str, int] = {}
        self._sending = threading.Lock()
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Send the rest, and no more from the thread."""
        self._stopping.set()
        self.flush()

    def flush(self) -> None:
        """Send what there is now. Raises nothing: what Redis does not confirm is sent again, at the next call."""
        with self._sending:
            try:
                while batch := self._batch or self._counts.take():
                    self._batch = batch
                    self._send(self._sender, self._number, batch)
                    self._batch, self._number = {}, self._number + 1
            except QueueUnavailable as error:
                self._counts.has_any.set()  # so that the thread tries again
                log.debug("metrics.not_sent", reason=str(error))
            except Exception:  # the thread must outlive whatever one batch causes
                log.exception("metrics.failed")
                self._batch, self._number = {}, self._number + 1  # it may have been added under that number

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._counts.has_any.wait()
            if not self._stopping.wait(self._interval_seconds):
                self.flush()
