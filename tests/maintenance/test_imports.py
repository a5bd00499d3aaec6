"""Videos that are to be imported, before, while and after they are, in the eyes of the janitor and of operators."""

from datetime import UTC, datetime

from clipzy_storage import keys
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.consistency_check import StorageCheck
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.maintenance.retention_rules import Kind
from clipzy_storage.maintenance.stored_bytes import count_stored
from clipzy_storage.models.records import EVERYONE, Job, Status, VideoToImport
from tests.maintenance.conftest import NewCollector
from tests.support.aged_storage import NOW, AgedStorage
from tests.support.jobs import current

URL = "https://videos.example.com/holiday.mp4?token=x"


def waiting_import(aged: AgedStorage, *, hours: float = 100) -> Job:
    """A job that is as old as this, and whose video was not fetched yet."""
    video = VideoToImport(EVERYONE, keys.new_id("vid"), "holiday.mp4", URL)
    job = Job.for_video(video, storage_id=aged.storage_id, created_at=NOW)
    durable_records.write_open_job(aged.storage, job)
    aged.age(keys.open_job(job.job_id), hours)
    return job


def file_of(aged: AgedStorage, job: Job, *, hours: float = 100) -> str:
    """What an attempt has left that was lost before it wrote a record."""
    return aged.put(keys.upload(job.video_id, "mp4"), hours=hours)


def findings(aged: AgedStorage) -> list[tuple[str, str]]:
    return [(finding.kind.value, finding.key) for finding in StorageCheck(aged.storage).findings()]


def test_nothing_is_missing_before_the_import(aged: AgedStorage, new_collector: NewCollector) -> None:
    waiting_import(aged)
    assert findings(aged) == []
    assert new_collector(UPLOAD_TTL_HOURS="1").sweep() == {}


def test_a_file_without_a_record_is_kept_for_its_job(aged: AgedStorage, new_collector: NewCollector) -> None:
    # Given an import that was cut off a while ago, whose job waits
    job = waiting_import(aged)
    key = file_of(aged, job)
    # Then the file is neither deleted nor reported, so that the next attempt finds it
    assert new_collector(UPLOAD_TTL_HOURS="1").sweep() == {}
    assert findings(aged) == []
    assert aged.storage.exists(key)
    # Until the job has ended
    aged.done_job(Status.CANCELLED, job=job, hours=50)
    aged.storage.delete(keys.open_job(job.job_id))
    assert findings(aged) == [("orphaned", key)]
    assert new_collector().sweep() == {Kind.UPLOAD_WITHOUT_RECORD: 1}


def test_a_loss_of_redis_loses_no_import(aged: AgedStorage, store: JobStore, admin: JobAdmin) -> None:
    # Given jobs that Redis has forgotten: waiting, failed, and completed
    aged.finished_at = datetime.now(UTC)
    waits, failed, completed = (waiting_import(aged) for _ in range(3))
    aged.done_job(Status.FAILED, job=failed)
    aged.done_job(Status.COMPLETED, job=completed.with_imported(aged.upload()).without_url())
    # When the records are rebuilt
    Recovery(store, admin, aged.storage).rebuild()
    # Then Redis knows of each what storage does
    assert (current(store, waits.job_id).source_url, current(store, waits.job_id).source) == (URL, None)
    assert current(store, failed.job_id).source_url == URL
    found = current(store, completed.job_id)
    assert (found.source_url, found.source is not None) == (None, True)


def test_a_count_anew_counts_what_was_imported(aged: AgedStorage, store: JobStore, admin: JobAdmin) -> None:
    video = aged.upload()
    file_of(aged, waiting_import(aged))
    count_stored(aged.storage, admin)
    assert store.accounts.usage(EVERYONE).stored_bytes == video.size_bytes
