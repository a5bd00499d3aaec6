"""Results and uploads that have been kept for as long as they should be: how they are deleted, and what prevents it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.errors import StorageUnavailable, VideoGone
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.retention_rules import Kind
from clipzy_storage.models.records import Job, Status, Video
from tests.maintenance.conftest import NewCollector
from tests.support.aged_storage import AgedStorage
from tests.support.jobs import created, current, finish

on_both = pytest.mark.parametrize("aged", ["local", "moto"], indirect=True)


class Died(BaseException):
    """Stands for the death of the process at one step."""


def _expired(aged: AgedStorage, admin: JobAdmin) -> Job:
    """A completed job whose result is old, as Redis knows it too."""
    job = aged.completed_job(hours=7)
    admin.restore(job)
    return job


def _result(aged: AgedStorage, job: Job) -> list[str]:
    return [blob.key for blob in aged.storage.list(keys.result_prefix(job.job_id))]


def _is_blocked(redis_client: Any, video: Video) -> bool:
    """Whether Redis refuses new jobs over the video."""
    return bool(redis_client.exists(f"{keys.REDIS_PREFIX}video:{video.video_id}:gone"))


@on_both
def test_an_old_result_is_deleted_except_for_its_marker(
    aged: AgedStorage, new_collector: NewCollector, store: JobStore, reconciled: JobAdmin
) -> None:
    # Given two completed jobs, of which one finished longer ago than results are kept
    old, young = _expired(aged, reconciled), aged.completed_job(hours=5)
    before = aged.stored()
    deleted: list[tuple[str, bool]] = []
    aged.before_each_delete(lambda key: deleted.append((key, current(store, old.job_id).expired)))

    # When there is a pass
    removed = new_collector(RESULT_TTL_HOURS="6").sweep()

    # Then Redis knew it first, and the index was deleted before what it lists
    assert removed == {Kind.EXPIRED_RESULT: 1}
    assert deleted[0][0] == keys.result_index(old.job_id)
    assert all(is_known_to_redis for _, is_known_to_redis in deleted)
    # And the marker and both records stay, as does the other result
    gone = set(before) - set(aged.stored())
    assert gone == {key for key in before if key.startswith(keys.result_prefix(old.job_id))}
    assert _result(aged, old) == [keys.expired_result(old.job_id)]
    assert keys.result_index(young.job_id) in aged.stored()

    # And the next pass has nothing to do, ever
    aged.age(keys.expired_result(old.job_id), 1000)
    deleted.clear()
    assert new_collector(RESULT_TTL_HOURS="6").sweep() == {}
    assert deleted == []


def test_nothing_expires_by_default(aged: AgedStorage, new_collector: NewCollector) -> None:
    # Given what is old, and no settings
    aged.completed_job(job=aged.new_job(aged.upload(hours=100_000)), hours=100_000)
    before = aged.stored()

    # Then it stays
    assert new_collector().sweep() == {}
    assert aged.stored() == before


@pytest.mark.parametrize("deletions", [None, 0, 1, 2])
def test_an_interrupted_expiry_is_completed_by_the_next_pass(
    aged: AgedStorage,
    new_collector: NewCollector,
    store: JobStore,
    reconciled: JobAdmin,
    no_redis: JobAdmin,
    deletions: int | None,
) -> None:
    """Without the marker an expired result could not be distinguished from a lost one."""
    # Given a pass that is interrupted before Redis knows of the expiry, or after some of the three files were deleted
    job = _expired(aged, reconciled)
    deleted: list[str] = []

    def die(key: str) -> None:
        if len(deleted) == deletions:
            raise Died
        deleted.append(key)

    aged.before_each_delete(die)
    if deletions is None:
        assert new_collector(admin=no_redis, RESULT_TTL_HOURS="6").sweep() == {}
    else:
        with pytest.raises(Died):
            new_collector(RESULT_TTL_HOURS="6").sweep()

    # Then whatever is deleted by then, the marker is there
    assert keys.expired_result(job.job_id) in _result(aged, job)
    assert len(_result(aged, job)) == 4 - (deletions or 0)

    # When another pass continues, though results are now kept forever, and Redis was restored from before
    aged.before_each_delete(lambda _: None)
    reconciled.forget(job.job_id, while_it_is="final")
    reconciled.restore(job)
    assert new_collector().sweep() == {Kind.EXPIRED_RESULT: 1}

    # Then it is completed
    assert current(store, job.job_id).expired
    assert _result(aged, job) == [keys.expired_result(job.job_id)]


def test_while_redis_is_unavailable_only_what_needs_it_waits(
    aged: AgedStorage, new_collector: NewCollector, no_redis: JobAdmin, logged: list[Any]
) -> None:
    # Given expired results and uploads, and garbage among them
    for _ in range(2):
        aged.completed_job(job=aged.new_job(aged.upload(hours=7)), hours=7)
    before = aged.stored()
    stray = aged.cancellation_request(keys.new_id("job"), hours=2)

    # When there is a pass without Redis
    removed = new_collector(admin=no_redis, RESULT_TTL_HOURS="6", UPLOAD_TTL_HOURS="6").sweep()

    # Then Redis was tried once, nothing expired, and the garbage is deleted
    assert [line["event"] for line in logged].count("garbage.redis_unavailable") == 1
    assert removed == {Kind.IDLE_CANCELLATION: 1}
    assert set(before) <= set(aged.stored())
    assert stray not in aged.stored()


@on_both
def test_an_old_upload_is_deleted_with_its_record_first(
    aged: AgedStorage, new_collector: NewCollector, redis_client: Any
) -> None:
    # Given an old upload whose jobs have all finished, and a young one
    old, young = aged.upload(hours=7), aged.upload(hours=5)
    aged.completed_job(job=aged.new_job(old), hours=6.5)
    before = aged.stored()
    deleted: list[tuple[str, bool]] = []
    aged.before_each_delete(lambda key: deleted.append((key, _is_blocked(redis_client, old))))

    # When there is a pass
    removed = new_collector(UPLOAD_TTL_HOURS="6").sweep()

    # Then no new job over it is accepted, then its record is deleted, then its source; and nothing else is
    assert removed == {Kind.EXPIRED_UPLOAD: 1}
    assert deleted == [(keys.video_record(old.video_id), True), (old.key, True)]
    assert set(before) - set(aged.stored()) == {keys.video_record(old.video_id), old.key}
    assert aged.storage.exists(young.key)


def test_an_upload_without_its_record_stays_while_an_open_job_needs_it(
    aged: AgedStorage, new_collector: NewCollector
) -> None:
    """Without reading the open records the source of an unfinished job is deleted."""
    # Given old uploads whose records were lost, one of them under an unfinished job
    used, unused = aged.upload(hours=100), aged.upload(hours=100)
    job = aged.open_job(used)
    for video in (used, unused):
        aged.storage.delete(keys.video_record(video.video_id))

    # Then only the other is deleted
    assert new_collector().sweep() == {Kind.UPLOAD_WITHOUT_RECORD: 1}
    assert aged.stored() == [keys.open_job(job.job_id), used.key]


def test_what_an_open_record_refers_to_stays(
    aged: AgedStorage, new_collector: NewCollector, store: JobStore, redis_client: Any
) -> None:
    # Given an old upload with an unfinished job that Redis does not know, and one with a job that only Redis knows
    forgotten, known = aged.upload(hours=100), aged.upload(hours=100)
    aged.open_job(forgotten)
    created(store, aged.new_job(known))
    before = aged.stored()

    # Then both stay, and new jobs over them are accepted
    assert new_collector(UPLOAD_TTL_HOURS="6").sweep() == {}
    assert aged.stored() == before
    assert not _is_blocked(redis_client, forgotten)
    assert not _is_blocked(redis_client, known)


def test_a_job_that_is_submitted_meanwhile_keeps_its_upload(
    aged: AgedStorage, new_collector: NewCollector, redis_client: Any
) -> None:
    """Without reading the open records again the upload of a job is deleted that was just being submitted."""
    # Given an old upload, and a front end that writes a job's open record just after new jobs are refused
    video = aged.upload(hours=100)
    opened: list[Job] = []

    def open_once_blocked(prefix: str) -> None:
        if prefix == "jobs/open/" and not opened and _is_blocked(redis_client, video):
            opened.append(aged.open_job(video))

    aged.before_each_list(open_once_blocked)

    # Then the upload stays
    assert new_collector(UPLOAD_TTL_HOURS="6").sweep() == {}
    assert opened
    assert aged.storage.exists(keys.video_record(video.video_id))
    assert aged.storage.exists(video.key)


def test_an_upload_whose_deletion_was_interrupted_is_deleted(aged: AgedStorage, new_collector: NewCollector) -> None:
    # Given an expired upload, of which the record was deleted, and the source could not be
    video = aged.upload(hours=100)

    def fail(key: str) -> None:
        if key == video.key:
            raise StorageUnavailable("the storage does not answer")

    aged.before_each_delete(fail)
    assert new_collector(UPLOAD_TTL_HOURS="6").sweep() == {}
    assert aged.stored() == [video.key]

    # Then the next pass finds it
    aged.before_each_delete(lambda _: None)
    assert new_collector(UPLOAD_TTL_HOURS="6").sweep() == {Kind.UPLOAD_WITHOUT_RECORD: 1}
    assert aged.stored() == []


def test_several_passes_at_the_same_time_do_no_harm(aged: AgedStorage, new_collector: NewCollector) -> None:
    # Given much that must be deleted
    kept = aged.completed_job(hours=5)
    for _ in range(2):
        aged.completed_job(job=aged.new_job(aged.upload(hours=100)), hours=7)
        aged.attempt(keys.new_id("job"), hours=100)
        aged.cancellation_request(keys.new_id("job"), hours=100)

    # When there are several passes at the same time
    collectors = [new_collector(RESULT_TTL_HOURS="6", UPLOAD_TTL_HOURS="50") for _ in range(2)]
    with ThreadPoolExecutor(len(collectors)) as pool:
        list(pool.map(lambda collector: collector.sweep(), collectors))

    # Then all of it is deleted, and nothing else
    left = [key for key in aged.stored() if not key.startswith("jobs/done/")]
    assert [key for key in left if not key.endswith("/expired.json")] == [
        *_result(aged, kept),
        kept.source_key,
        keys.video_record(kept.video_id),
    ]
    assert sum(key.endswith("/expired.json") for key in left) == 2


@on_both
def test_redis_decides_what_is_in_use(
    aged: AgedStorage, new_collector: NewCollector, store: JobStore, admin: JobAdmin, redis_client: Any
) -> None:
    # Given an old upload, and a Redis whose records have not been compared with storage
    redis_client.delete(f"{keys.REDIS_PREFIX}epoch")
    collector = new_collector(UPLOAD_TTL_HOURS="6", RESULT_TTL_HOURS="6")
    video = aged.upload(hours=7)
    job = created(store, aged.new_job(video))
    assert collector.sweep() == {}

    # When they have been, then it stays as long as its job is not finished
    admin.set_reconciled(admin.run_id())
    assert collector.sweep() == {}

    # When the job has finished, and that was long ago, then upload and result are deleted
    claim = store.claim(job.job_id, nonce="n", storage_id=aged.storage_id)
    assert claim is not None
    store.commit(claim, attempt_prefix="f", result_sha256="0" * 64)
    assert finish(store, job.job_id, claim.token) is not None
    aged.completed_job(job=job, hours=7)
    assert collector.sweep() == {Kind.EXPIRED_UPLOAD: 1, Kind.EXPIRED_RESULT: 1}

    # And the record shows it, and no new jobs over the video are accepted
    found = current(store, job.job_id)
    assert (found.status, found.expired) == (Status.COMPLETED, True)
    with pytest.raises(VideoGone):
        store.submit(aged.new_job(video))
