"""Redis forgets, or remembers too little; storage has the evidence. Real Redis, real storage, no worker."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import JobNotFound, QueueUnavailable
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance import recovery
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.models.records import EVERYONE, ErrorCode, Job, JobError, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import STORAGE_ID, claimed, finish, new_job, seen

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def upkeep(redis_url: str) -> JobAdmin:
    return JobAdmin(RedisDatabase(redis_url))


@pytest.fixture
def compare(jobs: JobStore, upkeep: JobAdmin, storage: LocalStorage) -> Recovery:
    return Recovery(jobs, upkeep, storage)


@pytest.fixture
def accept(jobs: JobStore, storage: LocalStorage) -> Callable[..., Job]:
    """A job as a front end makes it."""

    def make(**changes: Any) -> Job:
        job = new_job(**changes)
        durable_records.write_open_job(storage, job)
        return jobs.submit(job)

    return make


def ended(storage: LocalStorage, job: Job, status: Status, **changes: Any) -> Job:
    """Its durable record, as whoever ended it wrote it."""
    end = {"status": status, "attempt": 2, "started_at": job.created_at, "finished_at": datetime.now(UTC)}
    done = job.model_copy(update=end | {"progress_percent": 100 if status is Status.COMPLETED else 40} | changes)
    durable_records.write_done_job(storage, done)
    durable_records.remove_open_job(storage, job.job_id)
    return done


def is_known(jobs: JobStore, job_id: str) -> bool:
    try:
        return bool(jobs.get(job_id, owner=EVERYONE))
    except JobNotFound:
        return False


def shown(job: Job) -> dict[str, Any]:
    return job.public(None)


def test_an_empty_redis_learns_everything_from_storage(
    jobs: JobStore, upkeep: JobAdmin, storage: LocalStorage, compare: Recovery, accept: Any, redis_client: Any
) -> None:
    # Given jobs that wait, run, are to be cancelled, have ended in each way, and one that was deleted
    waiting, running, unwanted, completed, failed, cancelled, deleted = (accept() for _ in range(7))
    claimed(jobs, running.job_id)
    durable_records.request_cancellation(storage, unwanted.job_id)
    error = JobError(code=ErrorCode.INVALID_MEDIA, stage="video_analysis", message="no video in it")
    ends = [
        ended(storage, completed, Status.COMPLETED),
        ended(storage, failed, Status.FAILED, error=error),
        ended(storage, cancelled, Status.CANCELLED),
    ]
    durable_records.remove_open_job(storage, deleted.job_id)
    # When Redis has lost it all
    redis_client.flushall()
    assert not upkeep.is_current()
    report = compare.rebuild()
    # Then who was unfinished waits again, but for the one that was to be cancelled
    assert set(report.waiting) == {waiting.job_id, running.job_id}
    assert report.cancelled == [unwanted.job_id]
    assert [seen(jobs, job.job_id).status for job in (waiting, running, unwanted)] == ["queued", "queued", "cancelled"]
    assert durable_records.read_done(storage, unwanted.job_id).status is Status.CANCELLED
    assert not storage.exists(keys.cancellation_request(unwanted.job_id))
    # And who had ended is shown and listed as before
    for done in ends:
        assert shown(seen(jobs, done.job_id)) == shown(done)
    assert jobs.page(owner=EVERYONE, status=Status.FAILED, number=1, page_size=10)[1] == 1
    newest_first = [job.job_id for job in jobs.page(owner=EVERYONE, status=None, number=1, page_size=10)[0]]
    assert newest_first == sorted(newest_first, reverse=True)
    # And what was deleted stays so
    assert not is_known(jobs, deleted.job_id)
    # And all is in step, so that nothing happens any more
    assert upkeep.is_current()
    assert str(compare.rebuild()) == "all in step"


def test_a_redis_of_the_past_is_brought_forward(
    jobs: JobStore, storage: LocalStorage, compare: Recovery, accept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given what Redis thinks: two jobs wait, one runs, one has ended, one is being ended
    waits, deleted_waiting, runs, deleted_done, decided = (accept() for _ in range(5))
    claim = claimed(jobs, runs.job_id)
    for job in (deleted_done, decided):
        held = claimed(jobs, job.job_id)
        jobs.fail(job.job_id, token := held.token, ErrorCode.INVALID_MEDIA, "no video")
        if job is deleted_done:
            finish(jobs, job.job_id, held.token)
    # And what has happened since: the first three have ended, and the others were deleted
    for job in (waits, runs, decided):
        ended(storage, job, Status.COMPLETED)
    for job in (deleted_waiting, deleted_done):
        durable_records.remove_open_job(storage, job.job_id)
    # When it is compared, long after all this was written
    monkeypatch.setattr(recovery, "YOUNG", timedelta(0))
    report = compare.rebuild()
    # Then Redis believes storage
    assert sorted(report.ended) == sorted([waits.job_id, runs.job_id, decided.job_id])
    assert sorted(report.forgotten) == sorted([deleted_waiting.job_id, deleted_done.job_id])
    assert [seen(jobs, job.job_id).status for job in (waits, runs, decided)] == ["completed"] * 3
    assert not is_known(jobs, deleted_done.job_id)
    # And whoever thinks that it still holds such a job finds that it does not
    assert jobs.look(claim) == "lost"
    assert jobs.commit(claim, attempt_folder="f/", result_sha256="f") == ""
    # And whoever was just concluding one finds it concluded, as storage has it
    concluded = jobs.finish(seen(jobs, decided.job_id), token)
    assert concluded is not None
    assert (concluded.status, concluded.error) == (Status.COMPLETED, None)


def test_what_is_not_to_be_seen_yet_is_not_taken_for_deleted(
    jobs: JobStore, upkeep: JobAdmin, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a folder that may show files late, and a job whose record is not there
    storage = LocalStorage(root, shared=True)
    storage.prepare()
    compare, job = Recovery(jobs, upkeep, storage), jobs.submit(new_job())
    # Then the comparison leaves it alone, and is not over
    report = compare.rebuild()
    assert (report.forgotten, report.postponed) == ([], [job.job_id])
    assert not upkeep.is_current()
    # Until it must be there
    monkeypatch.setattr(recovery, "YOUNG", timedelta(0))
    assert compare.rebuild().forgotten == [job.job_id]
    assert upkeep.is_current()


def test_jobs_that_may_just_be_coming_in_are_left_to_their_front_end(
    jobs: JobStore, storage: LocalStorage, compare: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a record that was written this moment, and that Redis has not heard of
    job = new_job()
    durable_records.write_open_job(storage, job)
    # Then the regular look leaves it, and finds it once it is old enough
    assert compare.reconcile_open().waiting == []
    monkeypatch.setattr(recovery, "IN_FLIGHT_SECONDS", 0)
    assert compare.reconcile_open().waiting == [job.job_id]
    assert claimed(jobs, job.job_id).job.attempt == 1


def test_a_damaged_record_does_not_hide_the_others(storage: LocalStorage, compare: Recovery) -> None:
    damaged, whole = keys.new_id("job"), new_job()
    put_bytes(storage, keys.open_job(damaged), b"{", content_type="application/json")
    durable_records.write_open_job(storage, whole)
    report = compare.rebuild()
    assert (report.waiting, report.damaged) == ([whole.job_id], [damaged])


def test_old_jobs_leave_redis_and_are_not_brought_back(
    jobs: JobStore, upkeep: JobAdmin, storage: LocalStorage, compare: Recovery, redis_client: Any
) -> None:
    # Given a job that ended long ago, and one that ended now
    old, fresh = new_job(created_at=LONG_AGO), new_job()
    for job, moment in ((old, LONG_AGO), (fresh, datetime.now(UTC))):
        upkeep.restore(ended(storage, job, Status.COMPLETED, finished_at=moment))
    # When the janitor prunes
    assert upkeep.prune(older_than_seconds=recovery.KEEP_FINISHED.total_seconds()) == 1
    # Then Redis has nothing left of it, and a comparison leaves it so
    assert not is_known(jobs, old.job_id)
    assert not [key for key in redis_client.keys("*") if old.job_id in key]
    assert str(compare.rebuild()) == "all in step"
    assert jobs.page(owner=EVERYONE, status=None, number=1, page_size=10)[1] == 1


def test_a_video_is_not_dropped_while_redis_may_not_know_its_jobs(upkeep: JobAdmin, redis_client: Any) -> None:
    redis_client.flushall()
    with pytest.raises(QueueUnavailable, match="compared"):
        upkeep.block_video(keys.new_id("vid"))


def test_a_video_in_use_is_not_dropped(jobs: JobStore, upkeep: JobAdmin, accept: Any) -> None:
    upkeep.set_reconciled(upkeep.server_run())
    job = accept()
    assert upkeep.block_video(job.video_id) == "in use"
    claim = claimed(jobs, job.job_id)
    jobs.fail(job.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video")
    assert upkeep.block_video(job.video_id) == "in use"
    finish(jobs, job.job_id, claim.token)
    assert upkeep.block_video(job.video_id) == "dropped"
    assert jobs.claim(job.job_id, nonce="n", storage_id=STORAGE_ID) is None
