"""When a worker sends the events that Flower shows."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from clipzy_worker.runtime.consumer import EVENT_DELAY_SECONDS, BatchingConsumer


class Recorded:
    """A consumer whose loop and dispatcher record in ``steps`` what it has them do."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.due: list[Callable[[], None]] = []
        self.consumer: Any = BatchingConsumer.__new__(BatchingConsumer)
        self.consumer.connection_errors = self.consumer.channel_errors = ()
        self.consumer.hub = SimpleNamespace(call_later=self._call_later)
        self.consumer.event_dispatcher = SimpleNamespace(flush=lambda: self.steps.append("flush"))
        self.consumer.blueprint = SimpleNamespace(stop=lambda _: self.steps.append("stop"))

    def _call_later(self, delay_seconds: float, call: Callable[[], None]) -> None:
        assert delay_seconds == EVENT_DELAY_SECONDS
        self.due.append(call)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def test_events_of_a_moment_are_sent_together(recorded: Recorded) -> None:
    for _ in range(2):
        # When several events come in before the first is due
        recorded.consumer.on_send_event_buffered()
        recorded.consumer.on_send_event_buffered()
        # Then they are sent once, and so are those after them
        (flush,) = recorded.due
        recorded.due.clear()
        flush()
    assert recorded.steps == ["flush", "flush"]


def test_events_that_are_not_due_are_sent_before_a_worker_stops(recorded: Recorded) -> None:
    """Otherwise Flower never hears of the last ones: the dispatcher is closed without them."""
    recorded.consumer.on_send_event_buffered()
    recorded.consumer.stop()
    assert recorded.steps == ["flush", "stop"]


def test_a_broker_that_is_gone_does_not_keep_a_worker_from_stopping(recorded: Recorded) -> None:
    def fail() -> None:
        raise ConnectionError

    recorded.consumer.connection_errors = (ConnectionError,)
    recorded.consumer.event_dispatcher.flush = fail
    recorded.consumer.stop()
    assert recorded.steps == ["stop"]
