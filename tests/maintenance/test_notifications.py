"""The reaper's notifications in a real broker: one for each waiting job, however often it looks."""

import base64
import json
from typing import Any

import pytest

from clipzy_api.task_queue import TaskQueue
from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import Queue
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.runtime.notification_queue import NotificationQueues
from clipzy_worker.runtime.reaper import Reaper
from tests.support.jobs import STORAGE_ID, new_job, submitted

JOBS, SLOTS, PASSES = 30, 2, 20
QUEUE = keys.broker_prefix(STORAGE_ID) + Queue.INTERACTIVE
WAITING = f"{keys.REDIS_PREFIX}jobs:queued"


class Backlog:
    """Waiting jobs, the broker with their notifications, and a reaper whose passes are a day apart."""

    def __init__(self, ctx: WorkerContext, client: Any, redis_url: str) -> None:
        queues = NotificationQueues(RedisDatabase(redis_url), storage_id=STORAGE_ID)
        self._ctx, self._client = ctx, client
        self._reaper = Reaper(ctx, queues=queues, grace_seconds=0, max_surplus=10)

    def submit(self, count: int) -> list[str]:
        job_ids = [submitted(self._ctx.store).job_id for _ in range(count)]
        for job_id in job_ids:
            self._ctx.notify_workers(job_id, Queue.INTERACTIVE)
        return job_ids

    def look(self) -> None:
        """One pass of the reaper, when every notification was sent long ago."""
        for number, job_id in enumerate(self._client.zrange(WAITING, 0, -1)):
            self._client.zadd(WAITING, {job_id: number + 1})
        self._client.delete(f"{keys.REDIS_PREFIX}turn:reaper")
        self._reaper.run_once()

    def messages(self) -> int:
        return int(self._client.llen(QUEUE))

    def lose(self, count: int) -> None:
        """The messages of the jobs that have waited longest are lost."""
        for _ in range(count):
            assert self._client.rpop(QUEUE)

    def take(self) -> str | None:
        """What a worker does with the next message: it claims the job, if that still waits."""
        message = json.loads(self._client.rpop(QUEUE))
        ((job_id,), _, _) = json.loads(base64.b64decode(message["body"]))
        claim = self._ctx.store.claim(job_id, nonce="n", storage_id=STORAGE_ID)
        return claim.job.job_id if claim else None


@pytest.fixture
def backlog(
    make_settings: Any, storage: LocalStorage, store: JobStore, admin: JobAdmin, redis_client: Any, redis_url: str
) -> Backlog:
    settings = make_settings()
    ctx = WorkerContext(
        settings=settings,
        storage=storage,
        storage_id=STORAGE_ID,
        store=store,
        admin=admin,
        leases=LeaseRenewer(store),
        notify_workers=TaskQueue(settings, storage_id=lambda: STORAGE_ID).notify_workers,
    )
    return Backlog(ctx, redis_client, redis_url)


def test_a_backlog_is_not_multiplied(backlog: Backlog) -> None:
    # Given more waiting jobs than workers have slots
    backlog.submit(JOBS)
    for _ in range(SLOTS):
        assert backlog.take()
    # When the reaper looks many times, then there is one message for each
    for _ in range(PASSES):
        backlog.look()
        assert backlog.messages() == JOBS - SLOTS
    # And so there is once some, or all, were lost
    for lost in (5, JOBS - SLOTS):
        backlog.lose(lost)
        for _ in range(PASSES):
            backlog.look()
            assert backlog.messages() == JOBS - SLOTS


def test_a_job_whose_notification_is_lost_is_found_in_the_middle_of_a_backlog(backlog: Backlog) -> None:
    # Given a backlog with messages for all but some, which are unknown
    job_ids = backlog.submit(JOBS)
    backlog.lose(5)
    # When workers take one after the other, and the reaper looks in between
    taken = []
    for number in range(4 * JOBS):
        if number % 3 == 0:
            backlog.look()
        if backlog.messages():
            taken.append(backlog.take())
    # Then each job is taken, with not much more than one message for each
    assert {job_id for job_id in taken if job_id} == set(job_ids)
    assert len(taken) <= 2 * JOBS
    assert backlog.messages() == 0


def test_notifications_of_jobs_that_do_not_wait_are_dropped(backlog: Backlog, store: JobStore) -> None:
    # Given a job that waits, and the messages of many that were cancelled while they waited
    (waiting,) = backlog.submit(1)
    for job_id in backlog.submit(12):
        store.request_cancellation(job_id, nonce=job_id)
    assert backlog.messages() == 13
    # When the reaper looks, then there is one message again, for the one that waits
    backlog.look()
    assert backlog.messages() == 1
    assert backlog.take() == waiting


def test_a_few_notifications_too_many_stay(backlog: Backlog) -> None:
    """They are gone as soon as a worker has a free slot."""
    backlog.submit(1)
    assert backlog._ctx.notify_workers(new_job().job_id, Queue.INTERACTIVE)
    backlog.look()
    assert backlog.messages() == 2
