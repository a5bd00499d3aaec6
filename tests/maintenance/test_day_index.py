"""What is read after a restart of Redis follows from what changed, however many jobs there were."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.errors import JobNotFound
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.deletion import delete_job
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.consistency_check import StorageCheck
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.maintenance.index_repair import repair_index
from clipzy_storage.maintenance.recovery import KEEP_FINISHED, Recovery
from clipzy_storage.models.records import Job, Status
from tests.support.aged_storage import AgedStorage
from tests.support.counted_storage import CountedStorage
from tests.support.jobs import created, current
from tests.support.s3_proxy import S3Proxy
from tests.support.s3_servers import S3Server

MANY = 40


@pytest.fixture
def aged(tmp_path: Path) -> AgedStorage:
    return AgedStorage(LocalStorage(tmp_path / "storage", shared=False, free_reserve_bytes=0))


def _is_known(store: JobStore, job: Job) -> bool:
    try:
        return bool(current(store, job.job_id))
    except JobNotFound:
        return False


# --- a restart of Redis


def test_a_restart_that_loses_nothing_reads_no_done_record(
    aged: AgedStorage, counted: CountedStorage, store: JobStore, admin: JobAdmin
) -> None:
    # Given many finished jobs of which Redis knows those of the last 30 days, and a waiting one
    aged.finished_jobs(3, days=30.1)
    for job in aged.finished_jobs(MANY, days=2):
        admin.restore(job)
    created(store, aged.open_job())

    # When Redis has another run id
    report = Recovery(store, admin, counted.storage).rebuild()

    # Then nothing is read, and the calls do not grow with the number of jobs
    assert str(report) == "all in step"
    assert counted.read() == []
    assert "jobs/done/" not in counted.listed()
    assert sum(counted.totals().values()) < 10


def test_an_emptied_redis_reads_only_what_is_listed(
    aged: AgedStorage, counted: CountedStorage, store: JobStore, admin: JobAdmin
) -> None:
    # Given many jobs that finished long ago, and some that finished within the 30 days
    aged.finished_jobs(MANY, days=30.1)
    recent = aged.finished_jobs(3, days=29.9) + aged.finished_jobs(2, days=0)

    # When Redis is empty
    report = Recovery(store, admin, counted.storage).rebuild()

    # Then those are restored, and no other record is read
    assert sorted(report.finished) == sorted(job.job_id for job in recent)
    assert sorted(counted.read("jobs/")) == sorted(keys.done_job(job.job_id) for job in recent)


def test_an_old_backup_reads_what_ended_since(
    aged: AgedStorage, counted: CountedStorage, store: JobStore, admin: JobAdmin
) -> None:
    # Given a Redis of two days ago: since then jobs have finished that it holds as finished, as waiting, or not at all
    for job in aged.finished_jobs(MANY, days=5):
        admin.restore(job)
    waiting = created(store, aged.new_job(aged.upload()))
    (ended_since,) = [aged.completed_job(job=waiting)]
    unknown = aged.finished_jobs(2, days=1)
    # And of those that it knows one was deleted
    deleted = aged.finished_jobs(1, days=5)[0]
    admin.restore(deleted)
    for key in (keys.done_job(deleted.job_id), day_index.entry_of(deleted)):
        aged.storage.delete(key)

    # When the records are compared
    report = Recovery(store, admin, counted.storage, young=timedelta(0)).rebuild()

    # Then exactly that is corrected, and only what ended since is read
    assert set(report.finished) == {ended_since.job_id, *(job.job_id for job in unknown)}
    assert report.forgotten == [deleted.job_id]
    assert current(store, waiting.job_id).status is Status.COMPLETED
    assert not _is_known(store, deleted)
    assert set(counted.read("jobs/")) == {keys.done_job(job_id) for job_id in report.finished}


def test_a_job_that_finished_longer_ago_than_the_index_is_read_is_settled(
    aged: AgedStorage, store: JobStore, admin: JobAdmin
) -> None:
    """Without it a Redis of long ago runs the job again."""
    # Given a Redis that holds a job as waiting which finished 40 days ago
    waiting = created(store, aged.new_job(aged.upload()))
    aged.finished_at = datetime.now(UTC) - KEEP_FINISHED - timedelta(days=10)
    aged.completed_job(job=waiting)

    # Then it is finished
    Recovery(store, admin, aged.storage).rebuild()
    assert current(store, waiting.job_id).status is Status.COMPLETED


def test_a_job_that_is_deleted_during_the_rebuild_is_not_brought_back(
    aged: AgedStorage, store: JobStore, admin: JobAdmin
) -> None:
    # Given a finished job that is deleted right after its record was read
    job = aged.finished_jobs(1, days=1)[0]

    class Deleting(CountedStorage):
        def exists(self, key: str) -> bool:
            if key == keys.expired_result(job.job_id):
                delete_job(aged.storage, admin, job)
            return aged.storage.exists(key)

    Recovery(store, admin, Deleting(aged.storage).storage).rebuild()
    assert not _is_known(store, job)


def test_requests_to_a_bucket_do_not_grow_with_the_number_of_jobs(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch, store: JobStore, admin: JobAdmin
) -> None:
    # Given a bucket with many finished jobs that Redis knows
    bucket = moto_server.new_bucket()
    for name, value in moto_server.env.items():
        monkeypatch.setenv(name, value)
    with S3Proxy(moto_server.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        aged = AgedStorage(S3Storage(bucket))
        aged.finished_at = datetime.now(UTC)
        for _ in range(MANY):
            admin.restore(aged.done_job(Status.FAILED))
        proxy.seen.clear()

        # When Redis was restarted, and the hourly pass runs
        Recovery(store, admin, aged.storage).rebuild()
        settings = settings_from_env({"RESULT_TTL_HOURS": "6", "UPLOAD_TTL_HOURS": "6"})
        GarbageCollector(aged.storage, admin, settings).sweep_recent()

    # Then there are a few listings, and no object is read
    operations = [request.operation for request in proxy.seen]
    assert "GetObject" not in operations
    assert len(operations) < 15, operations


# --- the index itself


def _without_index(aged: AgedStorage) -> None:
    """As an older version leaves a storage."""
    for key in aged.indexed():
        aged.storage.delete(key)


def test_records_of_an_older_version_are_indexed_once(
    aged: AgedStorage, counted: CountedStorage, store: JobStore, admin: JobAdmin
) -> None:
    # Given a storage without an index, with a damaged record among the others, and an empty Redis
    jobs = [*aged.finished_jobs(3, days=100), *aged.finished_jobs(3, days=1)]
    damaged = aged.put(keys.done_job(keys.new_id("job")), b"{")
    entries = sorted(aged.indexed())
    _without_index(aged)

    # When Redis is rebuilt, then all are indexed, and the recent ones restored
    assert len(Recovery(store, admin, counted.storage).rebuild().finished) == 3
    assert sorted(aged.indexed()) == entries
    assert damaged in counted.read()

    # And from then on nothing is read again
    counted.calls.clear()
    assert str(Recovery(store, admin, counted.storage).rebuild()) == "all in step"
    assert counted.read() == []
    repair_index(counted.storage)
    assert counted.read() == [damaged]
    assert len(jobs) == 6


def test_a_pass_over_everything_completes_the_index(aged: AgedStorage, reconciled: JobAdmin) -> None:
    """Redis need not be restarted for an upgrade."""
    aged.finished_jobs(3, days=100)
    entries = aged.indexed()
    _without_index(aged)
    GarbageCollector(aged.storage, reconciled, settings_from_env({})).sweep()
    assert aged.indexed() == entries


def test_an_entry_without_a_record_goes_after_a_day(aged: AgedStorage, reconciled: JobAdmin) -> None:
    # Given entries whose jobs were deleted, one long ago and one just now, and one of a job that is finishing
    old, young, finishing = (
        aged.done_job(Status.FAILED, hours=hours, job=job)
        for hours, job in ((30, None), (1, None), (30, aged.open_job()))
    )
    for job in (old, young, finishing):
        aged.storage.delete(keys.done_job(job.job_id))

    # When everything is swept, then the old one goes
    GarbageCollector(aged.storage, reconciled, settings_from_env({})).sweep()
    left = [day_index.entry_of(job) for job in (young, finishing)]
    assert sorted(aged.indexed()) == sorted([*left, keys.DAY_INDEX_COMPLETE])


def test_a_deletion_takes_the_entry_with_it(aged: AgedStorage, admin: JobAdmin) -> None:
    job = aged.finished_jobs(1, days=3)[0]
    assert day_index.entry_of(job) in aged.indexed()
    delete_job(aged.storage, admin, job)
    assert aged.indexed() == [keys.DAY_INDEX_COMPLETE]
    # And the emptied day
    assert [path.name for path in (Path(aged.storage.location) / keys.DAY_INDEX).iterdir()] == ["complete"]


def test_the_check_compares_the_index_with_the_records(aged: AgedStorage) -> None:
    # Given a finished job without an entry, an entry without a job, and both once more so young that it may be in work
    lacking, stray = aged.done_job(Status.FAILED, hours=2), aged.done_job(Status.FAILED, hours=2)
    young_lacking, young_stray = aged.done_job(Status.FAILED), aged.done_job(Status.FAILED)
    for job in (lacking, young_lacking):
        aged.storage.delete(day_index.entry_of(job))
    for job in (stray, young_stray):
        aged.storage.delete(keys.done_job(job.job_id))

    # Then each old one is a finding
    found = {(finding.kind.value, finding.key) for finding in StorageCheck(aged.storage).findings()}
    assert found == {("missing", day_index.entry_of(lacking)), ("orphaned", day_index.entry_of(stray))}

    # And without an index there is nothing to compare
    aged.storage.delete(keys.DAY_INDEX_COMPLETE)
    aged.storage.delete(day_index.entry_of(stray))
    assert list(StorageCheck(aged.storage).findings()) == []


def test_an_entry_is_written_before_its_record(aged: AgedStorage, counted: CountedStorage) -> None:
    """The other way round a crash leaves a finished job that no rebuild finds."""
    job = aged.new_job().model_copy(update={"status": Status.FAILED, "finished_at": datetime.now(UTC)})
    durable_records.write_done_job(counted.storage, job)
    written = [key for name, key in counted.calls if name == "open_writer"]
    assert written == [day_index.entry_of(job), keys.done_job(job.job_id)]
