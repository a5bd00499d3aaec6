"""Celery's consumer, which sends the events of tasks in batches: one by one they are a third of its work."""

from typing import Any

from celery.worker.consumer import Consumer
from kombu.common import ignore_errors

EVENT_DELAY_SECONDS = 0.25

_consumer: Any = Consumer  # celery is not typed here


class BatchingConsumer(_consumer):  # type: ignore[misc]
    """Sends what Flower shows of tasks up to ``EVENT_DELAY_SECONDS`` later, or as soon as there are 20 events."""

    _is_flush_due = False

    def on_send_event_buffered(self) -> None:
        """Called by the event dispatcher for every event."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self.hub.call_later(EVENT_DELAY_SECONDS, self._flush)

    def stop(self) -> None:
        ignore_errors(self, self._flush)
        super().stop()

    def _flush(self) -> None:
        self._is_flush_due = False
        self._flush_events()
