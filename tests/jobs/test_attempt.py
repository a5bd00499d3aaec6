"""One attempt at a job, from its claim to its completion or back into the queue."""

from dataclasses import replace

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import CancellationRequested, LostJob, QueueUnavailable
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.jobs.attempt import AttemptResult, JobAttempt, claim_job
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import ErrorCode, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.finished_jobs import accepted, files_of
from tests.support.jobs import attempt_at, current, noting

INDEX = b'{"artifacts": []}'


@pytest.fixture
def attempt(store: JobStore, storage: LocalStorage) -> JobAttempt:
    """An attempt that has written a file."""
    attempt = attempt_at(store, storage, accepted(store, storage).job_id)
    put_bytes(storage, attempt.prefix + "poster.jpg", b"poster", content_type="image/jpeg")
    return attempt


def result_of(attempt: JobAttempt) -> AttemptResult:
    put_bytes(attempt.storage, attempt.prefix + "output.json", INDEX, content_type="application/json")
    return AttemptResult(attempt.job.attempt, attempt.prefix, INDEX)


def take_away(attempt: JobAttempt) -> None:
    """What the reaper does to a lost worker."""
    attempt.store.reap(list(attempt.store.leases()), nonce="r")


def test_a_commit_publishes_the_very_bytes(store: JobStore, storage: LocalStorage, attempt: JobAttempt) -> None:
    finished = attempt.commit(result_of(attempt))
    assert finished == current(store, attempt.job.job_id)
    assert finished.status is Status.COMPLETED
    with storage.open(keys.result_index(attempt.job.job_id)) as index:
        assert index.read() == INDEX
    assert durable_records.read_done(storage, attempt.job.job_id).status is Status.COMPLETED
    assert not storage.exists(keys.open_job(attempt.job.job_id))


def test_a_failed_attempt_leaves_no_file(store: JobStore, storage: LocalStorage, attempt: JobAttempt) -> None:
    finished = attempt.fail(ErrorCode.INVALID_MEDIA, "no video")
    assert finished == current(store, attempt.job.job_id)
    assert (finished.status, finished.error and finished.error.message) == (Status.FAILED, "no video")
    assert files_of(storage, attempt.job.job_id) == [day_index.entry_of(finished), keys.done_job(attempt.job.job_id)]


def test_a_released_job_waits_and_workers_are_notified(
    store: JobStore, storage: LocalStorage, attempt: JobAttempt
) -> None:
    notified: list[str] = []
    assert replace(attempt, notify_workers=noting(notified)).release("preempted", "too often") is None
    assert current(store, attempt.job.job_id).status is Status.QUEUED
    assert notified == [attempt.job.job_id]
    assert files_of(storage, attempt.job.job_id) == [keys.open_job(attempt.job.job_id)]


def test_a_job_that_is_released_too_often_is_completed_as_failed(
    store: JobStore, storage: LocalStorage, attempt: JobAttempt
) -> None:
    attempt.release("crashed", "crashed twice")
    finished = attempt_at(store, storage, attempt.job.job_id).release("crashed", "crashed twice")
    assert finished == current(store, attempt.job.job_id)
    assert (finished.status, finished.error and finished.error.message) == (Status.FAILED, "crashed twice")


def test_a_job_whose_cancellation_was_requested_is_not_committed(
    store: JobStore, storage: LocalStorage, attempt: JobAttempt
) -> None:
    store.request_cancellation(attempt.job.job_id, nonce="c")
    with pytest.raises(CancellationRequested):
        attempt.commit(result_of(attempt))
    finished = attempt.confirm_cancelled()
    assert finished == current(store, attempt.job.job_id)
    assert finished.status is Status.CANCELLED
    assert files_of(storage, attempt.job.job_id) == [day_index.entry_of(finished), keys.done_job(attempt.job.job_id)]


def test_every_way_out_is_closed_to_a_lost_job(store: JobStore, storage: LocalStorage, attempt: JobAttempt) -> None:
    # Given a job that was taken from its holder and is now another's
    result = result_of(attempt)
    take_away(attempt)
    successor = attempt_at(store, storage, attempt.job.job_id)
    # Then its former holder can neither commit, release, fail nor cancel it
    with pytest.raises(LostJob):
        attempt.commit(result)
    with pytest.raises(LostJob):
        attempt.release("crashed", "crashed")
    with pytest.raises(LostJob):
        attempt.fail(ErrorCode.INVALID_MEDIA, "no video")
    with pytest.raises(LostJob):
        attempt.confirm_cancelled()
    assert current(store, attempt.job.job_id) == successor.job


def test_only_a_waiting_job_of_this_storage_is_claimed(store: JobStore, storage: LocalStorage) -> None:
    job = accepted(store, storage)

    def claim(storage_id: str) -> JobAttempt | None:
        notify = noting([])
        return claim_job(
            store, storage, job.job_id, storage_id=storage_id, notify_workers=notify, redis_timeout_seconds=0
        )

    assert claim("another") is None
    assert claim(job.storage_id) is not None
    assert claim(job.storage_id) is None


def test_an_unavailable_redis_is_waited_for_only_so_long(attempt: JobAttempt) -> None:
    away = JobStore(RedisDatabase("redis://127.0.0.1:1/0"), lease_seconds=60)
    with pytest.raises(QueueUnavailable):
        replace(attempt, store=away).commit(result_of(attempt))
