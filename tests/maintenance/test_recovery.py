"""Redis is lost, or restored from an older copy; storage decides. Real Redis, real storage, no worker."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clipzy_api import schemas
from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import JobNotFound, LostJob, QueueUnavailable
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.jobs.admin import JobAdmin, Restored
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import IdempotencyKey, LeaseState
from clipzy_storage.maintenance.recovery import KEEP_FINISHED, Recovery
from clipzy_storage.models.records import EVERYONE, ErrorCode, Job, JobError, Queue, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import STORAGE_ID, claimed, created, current, finish, new_job

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

Accept = Callable[..., Job]


@pytest.fixture
def recovery(store: JobStore, admin: JobAdmin, storage: LocalStorage) -> Recovery:
    return Recovery(store, admin, storage)


@pytest.fixture
def accept(store: JobStore, storage: LocalStorage) -> Accept:
    """Creates a job as a front end does."""

    def make(**changes: Any) -> Job:
        job = new_job(**changes)
        durable_records.write_open_job(storage, job)
        return created(store, job)

    return make


def done(storage: LocalStorage, job: Job, status: Status, **changes: Any) -> Job:
    """Its durable record, as the process that completed it wrote it."""
    outcome = {
        "status": status,
        "attempt": 2,
        "progress_percent": 100 if status is Status.COMPLETED else 40,
        "started_at": job.created_at,
        "finished_at": datetime.now(UTC),
    }
    finished = job.model_copy(update=outcome | changes)
    durable_records.write_done_job(storage, finished)
    durable_records.remove_open_job(storage, job.job_id)
    return finished


def is_known(store: JobStore, job_id: str) -> bool:
    try:
        return bool(current(store, job_id))
    except JobNotFound:
        return False


def shown(job: Job) -> dict[str, Any]:
    return schemas.Job.of(job, None).model_dump(mode="json")


def test_an_empty_redis_learns_everything_from_storage(
    store: JobStore, admin: JobAdmin, storage: LocalStorage, recovery: Recovery, accept: Accept, redis_client: Any
) -> None:
    # Given jobs that wait, run, must be cancelled, have finished in each way, and one that was deleted
    waiting, running, unwanted, completed, failed, cancelled, deleted = (accept() for _ in range(7))
    claimed(store, running.job_id)
    durable_records.write_cancellation_request(storage, unwanted.job_id)
    error = JobError(code=ErrorCode.INVALID_MEDIA, stage="video_analysis", message="no video in it")
    finished = [
        done(storage, completed, Status.COMPLETED),
        done(storage, failed, Status.FAILED, error=error),
        done(storage, cancelled, Status.CANCELLED),
    ]
    durable_records.remove_open_job(storage, deleted.job_id)
    # When Redis has lost it all
    redis_client.flushall()
    assert not admin.is_reconciled()
    report = recovery.rebuild()
    # Then what was unfinished waits again, except for the one that had to be cancelled
    assert set(report.waiting) == {waiting.job_id, running.job_id}
    assert report.cancelled == [unwanted.job_id]
    statuses = [current(store, job.job_id).status for job in (waiting, running, unwanted)]
    assert statuses == ["queued", "queued", "cancelled"]
    assert durable_records.read_done(storage, unwanted.job_id).status is Status.CANCELLED
    assert not storage.exists(keys.cancellation_request(unwanted.job_id))
    # And what had finished is shown and listed as before
    for job in finished:
        assert shown(current(store, job.job_id)) == shown(job)
    assert store.listing.page(owner=EVERYONE, status=Status.FAILED, number=1, page_size=10)[1] == 1
    listed = store.listing.page(owner=EVERYONE, status=None, number=1, page_size=10)[0]
    assert listed == sorted(listed, key=lambda job: job.created_at, reverse=True)
    # And what was deleted stays so
    assert not is_known(store, deleted.job_id)
    # And all is reconciled, so that nothing happens any more
    assert admin.is_reconciled()
    assert str(recovery.rebuild()) == "all in step"


def test_a_redis_of_the_past_is_brought_forward(
    store: JobStore, admin: JobAdmin, storage: LocalStorage, accept: Accept
) -> None:
    # Given what Redis holds: two jobs wait, one runs, one has finished, one is being completed
    waits, deleted_waiting, runs, deleted_done, pending = (accept() for _ in range(5))
    claim = claimed(store, runs.job_id)
    for job in (deleted_done, pending):
        held = claimed(store, job.job_id)
        store.fail(job.job_id, token := held.token, ErrorCode.INVALID_MEDIA, "no video")
        if job is deleted_done:
            finish(store, job.job_id, held.token)
    # And what has happened since: three of them have finished, and the others were deleted
    for job in (waits, runs, pending):
        done(storage, job, Status.COMPLETED)
    for job in (deleted_waiting, deleted_done):
        durable_records.remove_open_job(storage, job.job_id)
    # When it is reconciled, long after all this was written
    report = Recovery(store, admin, storage, young=timedelta(0)).rebuild()
    # Then Redis holds what storage holds
    assert sorted(report.finished) == sorted([waits.job_id, runs.job_id, pending.job_id])
    assert sorted(report.forgotten) == sorted([deleted_waiting.job_id, deleted_done.job_id])
    assert [current(store, job.job_id).status for job in (waits, runs, pending)] == ["completed"] * 3
    assert not is_known(store, deleted_done.job_id)
    # And a worker that held such a job has lost it
    assert store.lease_state(claim) is LeaseState.LOST
    with pytest.raises(LostJob):
        store.commit(claim, attempt_prefix="f/", result_sha256="f")
    # And a process that was just completing one finds it completed, as storage has it
    completed = store.finish(current(store, pending.job_id), token)
    assert completed is not None
    assert (completed.status, completed.error) == (Status.COMPLETED, None)


def test_what_may_not_be_visible_yet_is_not_taken_for_deleted(store: JobStore, admin: JobAdmin, tmp_path: Path) -> None:
    # Given a directory that may show files late, and a job whose record is not visible
    (tmp_path / "share").mkdir()
    storage = LocalStorage(tmp_path / "share", shared=True)
    storage.prepare()
    job = created(store, new_job())
    # Then the recovery leaves it alone, and is not finished
    report = Recovery(store, admin, storage).rebuild()
    assert (report.forgotten, report.postponed) == ([], [job.job_id])
    assert not admin.is_reconciled()
    # Until it must be visible
    assert Recovery(store, admin, storage, young=timedelta(0)).rebuild().forgotten == [job.job_id]
    assert admin.is_reconciled()


def test_jobs_that_may_be_in_submission_are_left_to_their_front_end(
    store: JobStore, admin: JobAdmin, storage: LocalStorage, recovery: Recovery
) -> None:
    # Given a record that was written this moment, and that Redis does not know
    job = new_job()
    durable_records.write_open_job(storage, job)
    # Then the regular pass leaves it, and finds it once it is old enough
    assert recovery.reconcile_open().waiting == {}
    later = Recovery(store, admin, storage, in_flight_seconds=0)
    assert later.reconcile_open().waiting == {job.job_id: Queue.INTERACTIVE}
    assert claimed(store, job.job_id).job.attempt == 1


@pytest.mark.parametrize(("hours", "is_kept"), [(1, True), (23, True), (25, False)])
def test_the_key_of_a_restored_job_is_kept_for_a_day(
    store: JobStore, storage: LocalStorage, recovery: Recovery, hours: int, is_kept: bool
) -> None:
    # Given a job that was requested under a key some time ago, and a Redis that has lost it
    created_at = datetime.now(UTC) - timedelta(hours=hours)
    job = new_job(created_at=created_at, idempotency_key="key", idempotency_fingerprint="request")
    durable_records.write_open_job(storage, job)
    # When it is restored
    assert recovery.rebuild().waiting == {job.job_id: Queue.INTERACTIVE}
    # Then a repeated request finds it as long as the key counts
    another = new_job()
    first_id = store.submit(another, key=IdempotencyKey("key", "request")).first_id
    assert first_id == (job.job_id if is_kept else another.job_id)


class OvertakenAdmin(JobAdmin):
    """While it restores a job, another process deletes it, or completes it and removes its open record."""

    def __init__(self, redis: RedisDatabase, storage: LocalStorage) -> None:
        super().__init__(redis)
        self._storage = storage

    def restore(self, job: Job) -> Restored:
        restored = super().restore(job)
        self._storage.delete(keys.open_job(job.job_id))
        self._storage.delete(keys.done_job(job.job_id))
        return restored


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_job_that_is_deleted_while_it_is_restored_is_forgotten_again(
    store: JobStore, storage: LocalStorage, redis_url: str, accept: Accept, redis_client: Any, is_finished: bool
) -> None:
    # Given a job that Redis has lost
    job = accept()
    if is_finished:
        done(storage, job, Status.COMPLETED)
    redis_client.flushall()
    # When it is deleted at the moment in which it is restored
    report = Recovery(store, OvertakenAdmin(RedisDatabase(redis_url), storage), storage).rebuild()
    # Then Redis does not know it
    assert not is_known(store, job.job_id)
    assert report.waiting == {}


def test_a_damaged_record_does_not_hide_the_others(storage: LocalStorage, recovery: Recovery) -> None:
    damaged, whole = keys.new_id("job"), new_job()
    put_bytes(storage, keys.open_job(damaged), b"{", content_type="application/json")
    durable_records.write_open_job(storage, whole)
    report = recovery.rebuild()
    assert (report.waiting, report.damaged) == ({whole.job_id: Queue.INTERACTIVE}, [damaged])


def test_a_damaged_done_record_keeps_the_open_one(storage: LocalStorage, recovery: Recovery) -> None:
    """Without it nothing readable is left of the job."""
    job = new_job()
    durable_records.write_open_job(storage, job)
    put_bytes(storage, keys.done_job(job.job_id), b"{", content_type="application/json")
    assert recovery.rebuild().damaged == [job.job_id]
    assert storage.exists(keys.open_job(job.job_id))


def test_a_job_whose_entry_was_written_and_no_record_runs_again(
    storage: LocalStorage, store: JobStore, accept: Accept, recovery: Recovery, redis_client: Any
) -> None:
    # Given a process that was lost between the two, and then Redis
    job = accept()
    day_index.add(storage, job.model_copy(update={"finished_at": LONG_AGO}))
    day_index.add(storage, job.model_copy(update={"finished_at": datetime.now(UTC)}))
    redis_client.flushall()
    # When the records are rebuilt, then the job waits again, and can finish
    assert recovery.rebuild().waiting == {job.job_id: Queue.INTERACTIVE}
    assert current(store, job.job_id).status is Status.QUEUED
    done(storage, job, Status.COMPLETED)
    assert recovery.rebuild().finished == [job.job_id]
    assert current(store, job.job_id).status is Status.COMPLETED


def test_old_jobs_leave_redis_and_are_not_brought_back(
    store: JobStore, admin: JobAdmin, storage: LocalStorage, recovery: Recovery, redis_client: Any
) -> None:
    # Given a job that finished long ago, and one that finished now
    old, fresh = new_job(created_at=LONG_AGO), new_job()
    for job, moment in ((old, LONG_AGO), (fresh, datetime.now(UTC))):
        admin.restore(done(storage, job, Status.COMPLETED, finished_at=moment))
    # When the janitor prunes
    assert admin.prune(older_than_seconds=KEEP_FINISHED.total_seconds()) == 1
    # Then Redis has nothing left of it, and a recovery leaves it so
    assert not is_known(store, old.job_id)
    assert not [key for key in redis_client.keys("*") if old.job_id in key]
    assert str(recovery.rebuild()) == "all in step"
    assert store.listing.page(owner=EVERYONE, status=None, number=1, page_size=10)[1] == 1


def test_a_video_is_not_blocked_while_redis_may_not_know_its_jobs(admin: JobAdmin, redis_client: Any) -> None:
    redis_client.flushall()
    with pytest.raises(QueueUnavailable, match="compared"):
        admin.block_video(keys.new_id("vid"))


def test_a_video_in_use_is_not_blocked(store: JobStore, admin: JobAdmin, accept: Accept) -> None:
    admin.set_reconciled(admin.run_id())
    job = accept()
    assert not admin.block_video(job.video_id)
    claim = claimed(store, job.job_id)
    store.fail(job.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video")
    assert not admin.block_video(job.video_id)
    finish(store, job.job_id, claim.token)
    assert admin.block_video(job.video_id)
    assert store.claim(job.job_id, nonce="n", storage_id=STORAGE_ID) is None
