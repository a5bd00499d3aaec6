"""The two queues in Redis: each has its waiting jobs, and everything else treats them alike."""

from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.redis_record import unchanging_part
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import Job, Queue
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import claimed, current, finish, let_delay_pass, new_job, reap_twice, submitted

INTERACTIVE, BATCH = f"{keys.REDIS_PREFIX}jobs:queued", f"{keys.REDIS_PREFIX}jobs:queued:batch"


@pytest.fixture
def admin(redis_url: str) -> JobAdmin:
    return JobAdmin(RedisDatabase(redis_url))


def waiting(client: Any) -> list[list[str]]:
    return [client.zrange(name, 0, -1) for name in (INTERACTIVE, BATCH)]


def test_a_job_waits_in_its_queue_until_it_is_claimed(store: JobStore, admin: JobAdmin, redis_client: Any) -> None:
    # Given a job in each queue
    first, second = submitted(store), submitted(store, queue=Queue.BATCH)
    assert waiting(redis_client) == [[first.job_id], [second.job_id]]
    assert [store.count_waiting(queue) for queue in Queue] == [1, 1]
    assert admin.unfinished_ids() == {first.job_id, second.job_id}
    # Then both count, and both are seen with their queue
    assert store.has_room(3)
    assert not store.has_room(2)
    assert [current(store, job.job_id).queue for job in (first, second)] == [Queue.INTERACTIVE, Queue.BATCH]
    # And a claim takes it out
    claim = claimed(store, second.job_id)
    assert claim.job.queue is Queue.BATCH
    assert waiting(redis_client) == [[first.job_id], []]
    # When it is given back, then it waits in its queue again
    store.release(claim, "preempted")
    assert waiting(redis_client) == [[first.job_id], [second.job_id]]
    # And nothing of it waits once it is cancelled
    request = store.request_cancellation(second.job_id, nonce="c")
    assert waiting(redis_client) == [[first.job_id], []]
    finished = finish(store, second.job_id, request.token)
    assert finished is not None
    assert finished.queue is Queue.BATCH


def test_a_job_of_a_lost_worker_returns_to_its_queue(store: JobStore, redis_client: Any) -> None:
    job = submitted(store, queue=Queue.BATCH)
    claimed(store, job.job_id)
    assert reap_twice(store, redis_client).requeued == [(job.job_id, Queue.BATCH)]
    assert waiting(redis_client) == [[], [job.job_id]]


def test_each_queue_is_notified_of_its_own_jobs(store: JobStore, redis_client: Any) -> None:
    # Given jobs whose notification is old: one of the first queue, two of the second
    first, second, third = submitted(store), submitted(store, queue=Queue.BATCH), submitted(store, queue=Queue.BATCH)
    for age_ms, job, name in ((-31_000, first, INTERACTIVE), (-33_000, second, BATCH), (-32_000, third, BATCH)):
        redis_client.zincrby(name, age_ms, job.job_id)
    # Then a message that is too many in one queue makes up for none that lacks in the other
    notifications = {Queue.INTERACTIVE: 3, Queue.BATCH: 1}
    assert store.due_for_notification(notifications=notifications) == [(second.job_id, Queue.BATCH)]
    notifications = {Queue.INTERACTIVE: 0, Queue.BATCH: 1}
    assert store.due_for_notification(notifications=notifications) == [
        (first.job_id, Queue.INTERACTIVE),
        (third.job_id, Queue.BATCH),
    ]


def test_a_delayed_job_is_due_in_its_queue(store: JobStore, redis_client: Any) -> None:
    job = submitted(store, queue=Queue.BATCH)
    store.release(claimed(store, job.job_id), "transient")
    assert waiting(redis_client) == [[], []]
    let_delay_pass(redis_client, job.job_id)
    assert store.due_for_notification(notifications={}) == [(job.job_id, Queue.BATCH)]
    assert waiting(redis_client) == [[], [job.job_id]]


def test_a_restored_job_waits_in_its_queue(store: JobStore, admin: JobAdmin, redis_client: Any) -> None:
    job = new_job(queue=Queue.BATCH)
    assert admin.restore(job) == "restored"
    assert waiting(redis_client) == [[], [job.job_id]]
    assert current(store, job.job_id).queue is Queue.BATCH


def test_a_record_that_names_no_queue_is_interactive(store: JobStore, redis_client: Any) -> None:
    """As those of older versions, and the usual ones, which so take no more of Redis than before."""
    job = submitted(store)
    assert "queue" not in unchanging_part(job)
    assert Job.model_validate_json(job.model_dump_json(exclude={"queue"})).queue is Queue.INTERACTIVE
    assert waiting(redis_client) == [[job.job_id], []]
