"""What the hourly pass reads follows from what expired or changed, however many jobs there were."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.maintenance.retention_rules import Kind
from clipzy_storage.models.records import Status, Upload
from tests.support.aged_storage import AgedStorage
from tests.support.counted_storage import CountedStorage
from tests.support.jobs import current

MANY = 40


@pytest.fixture
def aged(tmp_path: Path) -> AgedStorage:
    return AgedStorage(LocalStorage(tmp_path / "storage", shared=False, free_reserve_bytes=0))


LIMITS = {"RESULT_TTL_HOURS": "6", "UPLOAD_TTL_HOURS": "50"}


def _collector(storage: Any, admin: JobAdmin, **settings: str) -> GarbageCollector:
    return GarbageCollector(storage, admin, settings_from_env(settings))


def test_the_hourly_pass_reads_what_expired_since_the_last(
    aged: AgedStorage, counted: CountedStorage, reconciled: JobAdmin, store: JobStore
) -> None:
    # Given many jobs whose results expired in earlier passes, and many that are young
    aged.finished_jobs(MANY, days=0.35)
    _collector(aged.storage, reconciled, RESULT_TTL_HOURS="6").sweep()
    aged.finished_jobs(MANY, days=0.1)

    # When two results come of age
    due = aged.finished_jobs(2, days=0.26)
    for job in due:
        reconciled.restore(job)
    removed = _collector(counted.storage, reconciled, RESULT_TTL_HOURS="6").sweep_recent()

    # Then they are deleted, and nothing of the others is read or listed
    assert removed == {Kind.EXPIRED_RESULT: 2}
    assert all(current(store, job.job_id).expired for job in due)
    assert sorted(counted.read()) == sorted(keys.done_job(job.job_id) for job in due)
    own_prefixes = {keys.result_prefix(job.job_id) for job in due}
    assert counted.listed() == own_prefixes | {"jobs/open/", "jobs/cancel/", keys.DAY_INDEX, "uploads/", keys.SEGMENTS}


def test_without_limits_the_hourly_pass_reads_nothing(
    aged: AgedStorage, counted: CountedStorage, reconciled: JobAdmin
) -> None:
    aged.finished_jobs(MANY, days=100)
    assert _collector(counted.storage, reconciled).sweep_recent() == {}
    assert counted.read() == []
    assert counted.listed() == {"jobs/open/", "jobs/cancel/", "uploads/", keys.SEGMENTS}


def test_segments_of_jobs_that_have_ended_are_removed(aged: AgedStorage, reconciled: JobAdmin) -> None:
    ended, running = aged.done_job(Status.CANCELLED), aged.open_job()
    aged.segments(ended.job_id, hours=2)
    kept = aged.segments(running.job_id, hours=2)
    assert _collector(aged.storage, reconciled).sweep_recent() == {Kind.SEGMENTS_OF_ENDED_JOB: 1}
    assert {blob.key for blob in aged.storage.list(keys.SEGMENTS)} == kept


def test_a_limit_that_is_set_later_counts_for_old_results(aged: AgedStorage, reconciled: JobAdmin) -> None:
    # Given old results, and passes without a limit
    aged.finished_jobs(3, days=100)
    _collector(aged.storage, reconciled).sweep()
    _collector(aged.storage, reconciled).sweep_recent()

    # When a limit is set, then the next hourly pass deletes them
    assert _collector(aged.storage, reconciled, RESULT_TTL_HOURS="6").sweep_recent() == {Kind.EXPIRED_RESULT: 3}


def test_what_could_not_be_deleted_is_seen_again(aged: AgedStorage, reconciled: JobAdmin) -> None:
    """With the time of the last pass advanced all the same, it stays for a week."""
    # Given an expired result, and a storage that does not answer while it is deleted
    job = aged.finished_jobs(1, days=1)[0]

    def fail(_key: str) -> None:
        raise StorageUnavailable("the storage does not answer")

    aged.before_each_delete(fail)
    assert _collector(aged.storage, reconciled, **LIMITS).sweep_recent() == {}

    # When it answers a day later, then it is deleted
    aged.before_each_delete(lambda _: None)
    aged.age(day_index.entry_of(job), 24)
    assert _collector(aged.storage, reconciled, **LIMITS).sweep_recent() == {Kind.EXPIRED_RESULT: 1}


def _open_record(aged: AgedStorage, admin: JobAdmin) -> Kind:  # noqa: ARG001
    aged.completed_job(job=aged.open_job())
    return Kind.FINISHED_JOB


def _cancellation(aged: AgedStorage, admin: JobAdmin) -> Kind:  # noqa: ARG001
    aged.cancellation_request(keys.new_id("job"), hours=2)
    return Kind.IDLE_CANCELLATION


def _expired_result(aged: AgedStorage, admin: JobAdmin) -> Kind:
    admin.restore(aged.completed_job(hours=7))
    return Kind.EXPIRED_RESULT


def _expired_upload(aged: AgedStorage, admin: JobAdmin) -> Kind:  # noqa: ARG001
    aged.upload(hours=51)
    return Kind.EXPIRED_UPLOAD


def _expired_keyed_upload(aged: AgedStorage, admin: JobAdmin) -> Kind:  # noqa: ARG001
    aged.upload(hours=51, video_id=keys.video_id_for_key("a", "key", storage_id=aged.storage_id))
    aged.upload(hours=49, video_id=keys.video_id_for_key("a", "other", storage_id=aged.storage_id))
    return Kind.EXPIRED_UPLOAD


def _upload_without_record(aged: AgedStorage, admin: JobAdmin) -> Kind:  # noqa: ARG001
    video = aged.upload(hours=25)
    aged.storage.delete(keys.video_record(video.video_id))
    return Kind.UPLOAD_WITHOUT_RECORD


@pytest.mark.parametrize(
    "make",
    [_open_record, _cancellation, _expired_result, _expired_upload, _expired_keyed_upload, _upload_without_record],
)
def test_the_hourly_pass_finds(
    aged: AgedStorage, reconciled: JobAdmin, make: Callable[[AgedStorage, JobAdmin], Kind]
) -> None:
    # Given a pass an hour ago, and what is in use
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    reconciled.set_swept_until("results", an_hour_ago - timedelta(hours=6))
    reconciled.set_swept_until("uploads", an_hour_ago - timedelta(days=1))
    aged.completed_job(job=aged.new_job(aged.upload(hours=5)), hours=5)
    aged.finished_at = datetime.now(UTC) - timedelta(hours=7)

    # When something has become garbage since, then it is deleted, once
    kind = make(aged, reconciled)
    assert _collector(aged.storage, reconciled, **LIMITS).sweep_recent() == {kind: 1}
    assert _collector(aged.storage, reconciled, **LIMITS).sweep_recent() == {}
    assert _collector(aged.storage, reconciled, **LIMITS).sweep() == {}


def test_the_file_of_an_upload_in_progress_is_no_garbage(aged: AgedStorage, reconciled: JobAdmin) -> None:
    """A crash came before it was recorded; whoever asks for the upload finds a video."""
    video = aged.upload(hours=60)
    aged.storage.delete(keys.video_record(video.video_id))
    durable_records.write_upload(aged.storage, Upload.begun_now(upload_id=video.video_id, filename="a", size_bytes=9))
    assert _collector(aged.storage, reconciled).sweep() == {}
    assert aged.storage.exists(video.key)


def test_an_open_record_stays_until_all_attempts_are_cleared(aged: AgedStorage, reconciled: JobAdmin) -> None:
    """Without it a young attempt is found by a pass over everything only."""
    # Given a completed job whose process died before it cleared up: one other attempt is still young
    job = aged.completed_job(job=aged.open_job())
    aged.attempt(job.job_id, "2-bbbb", hours=0.5)

    # Then the pass leaves both, and the next one that finds the attempt old deletes both
    assert _collector(aged.storage, reconciled).sweep_recent() == {}
    for key in aged.stored():
        aged.age(key, 1)
    assert _collector(aged.storage, reconciled).sweep_recent() == {Kind.UNUSED_ATTEMPT: 1, Kind.FINISHED_JOB: 1}
