"""The thread that gives deliveries to threads: how many at once, what it survives, how it stops."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.webhooks.due_deliveries import DueDeliveries
from clipzy_worker.runtime.webhooks import AT_ONCE, WebhookDispatcher
from tests.support.waiting import eventually
from tests.support.webhook_deployment import WebhookDeployment
from tests.support.webhook_receiver import Receiver, running_receiver, silence


@pytest.fixture
def due(redis_url: str) -> DueDeliveries:
    """30 deliveries that are due."""
    redis = RedisDatabase(redis_url)
    redis.client.zadd(redis.key("webhooks:due"), {f"job_{number:026}": 1 for number in range(30)})
    return DueDeliveries(redis)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def eventually_dispatched(dispatcher: WebhookDispatcher, ask: Callable[[], object]) -> None:
    """What a thread does until that is so."""

    def has_come() -> object:
        dispatcher.run_once()
        return ask()

    eventually(has_come)


class Attempts:
    """Attempts that last until they may end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = threading.Event()

    def __call__(self, job_id: str, *, token: str) -> None:
        assert token
        self.begun.append(job_id)
        self.may_end.wait(60)


def test_as_many_attempts_run_as_may_and_each_once(due: DueDeliveries) -> None:
    # Given attempts that do not end
    attempts = Attempts()
    dispatcher = WebhookDispatcher(due, attempts)
    # When much is due, Then as many are begun as may run, and none is taken that is not begun
    dispatcher.run_once()
    dispatcher.run_once()
    eventually(lambda: len(attempts.begun) == AT_ONCE)
    # And the others once those have ended
    attempts.may_end.set()
    eventually_dispatched(dispatcher, lambda: len(attempts.begun) == 30)
    assert len(set(attempts.begun)) == 30
    assert due.claim(limit=100, token="t") == []


def test_a_stop_waits_a_moment_and_begins_nothing(due: DueDeliveries) -> None:
    attempts = Attempts()
    dispatcher = WebhookDispatcher(due, attempts, at_once=2)
    dispatcher.run_once()
    attempts.may_end.set()
    dispatcher.stop()
    dispatcher.run_once()
    assert len(attempts.begun) == 2


def test_an_attempt_that_fails_ends_nothing(due: DueDeliveries) -> None:
    failed: list[str] = []

    def fail(job_id: str, *, token: str) -> None:
        failed.append(job_id + token)
        raise StorageUnavailable("the disk is gone") if len(failed) % 2 else RuntimeError("a mistake")

    dispatcher = WebhookDispatcher(due, fail)
    with structlog.testing.capture_logs() as logged:
        eventually_dispatched(dispatcher, lambda: len(logged) == 30)
    assert {line["event"] for line in logged} == {"thread.storage_unavailable", "thread.failed"}
    assert {line["thread"] for line in logged} == {"webhooks"}


def test_threads_that_cannot_be_started_occupy_nothing(due: DueDeliveries, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a machine that has no room for another thread for a while
    attempts = Attempts()
    attempts.may_end.set()
    dispatcher = WebhookDispatcher(due, attempts, at_once=2)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        for _ in range(4):
            with pytest.raises(RuntimeError):
                dispatcher.run_once()
    # When it has, Then as many attempts are made as ever
    eventually_dispatched(dispatcher, lambda: len(attempts.begun) == 30 - 4 * 2)


def test_a_receiver_that_hangs_does_not_delay_another(tmp_path: Path, redis_url: str, receiver: Receiver) -> None:
    # Given a worker whose attempts are all taken by a receiver that never answers
    over = threading.Event()
    deployment = WebhookDeployment(tmp_path / "storage", redis_url, {"ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8"}, 1.2)
    with running_receiver("127.0.0.2") as hanging:
        hanging.otherwise = silence(over)
        for _ in range(2 * AT_ONCE):
            deployment.completed(hanging.url(), pictures={})
        dispatcher = WebhookDispatcher(deployment.due, deployment.delivery.attempt)
        dispatcher.run_once()
        eventually(lambda: len(hanging.received) == AT_ONCE)
        # When these attempts are over, Then it gets few at a time, and another receiver what is due for it at once
        eventually_dispatched(dispatcher, lambda: len(hanging.received) > AT_ONCE)
        job = deployment.completed(receiver.url(), pictures={})
        eventually_dispatched(dispatcher, lambda: receiver.of(job.job_id))
        assert len(hanging.received) < 2 * AT_ONCE
        over.set()
        dispatcher.stop()
