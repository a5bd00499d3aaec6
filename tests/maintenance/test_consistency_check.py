"""What is missing, damaged or orphaned is reported; what is consistent, or may be in progress, is not."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.consistency_check import Finding, StorageCheck, compare_with_redis
from clipzy_storage.models.deliveries import DeliveryRecord
from clipzy_storage.models.records import Job, Status, Upload
from tests.support.aged_storage import CONTENT, POSTER, AgedStorage
from tests.support.jobs import created, finish, source_key_of

Reported = set[tuple[str, str]]


def _poster(job: Job) -> str:
    return f"results/{job.job_id}/attempts/1-aaaa/poster.jpg"


def _replace(aged: AgedStorage, key: str, data: bytes) -> None:
    """By hand: storage itself never changes a file."""
    aged.storage.delete(key)
    aged.put(key, data, hours=100)


def _no_index(aged: AgedStorage, hours: float) -> Reported:
    job = aged.completed_job(hours=hours)
    aged.storage.delete(keys.result_index(job.job_id))
    return {("missing", keys.result_index(job.job_id))}


def _no_artifact(aged: AgedStorage, hours: float) -> Reported:
    job = aged.completed_job(hours=hours)
    aged.storage.delete(_poster(job))
    return {("missing", _poster(job))}


def _short_artifact(aged: AgedStorage, hours: float) -> Reported:
    job = aged.completed_job(hours=hours)
    _replace(aged, _poster(job), POSTER[1:])
    return {("damaged", _poster(job))}


def _open_without_source(aged: AgedStorage, hours: float) -> Reported:
    job = aged.open_job(hours=hours)
    aged.storage.delete(source_key_of(job))
    aged.storage.delete(keys.video_record(job.video_id))
    return {("missing", source_key_of(job))}


def _video_without_source(aged: AgedStorage, hours: float) -> Reported:
    video = aged.upload(hours=hours)
    aged.storage.delete(video.key)
    return {("missing", video.key)}


def _short_source(aged: AgedStorage, hours: float) -> Reported:
    video = aged.upload(hours=hours)
    _replace(aged, video.key, CONTENT[1:])
    return {("damaged", video.key)}


def _source_without_video(aged: AgedStorage, hours: float) -> Reported:
    return {("orphaned", aged.put(keys.upload(keys.new_id("vid"), "mov"), hours=hours))}


def _result_without_job(aged: AgedStorage, hours: float) -> Reported:
    job_id = keys.new_id("job")
    aged.attempt(job_id, hours=hours)
    return {("orphaned", keys.result_prefix(job_id))}


def _unused_attempt(aged: AgedStorage, hours: float) -> Reported:
    job = aged.completed_job(hours=100)
    aged.attempt(job.job_id, "1-bbbb", hours=hours)
    return {("orphaned", f"results/{job.job_id}/attempts/1-bbbb/")}


def _result_of_failed(aged: AgedStorage, hours: float) -> Reported:
    job = aged.done_job(Status.FAILED, hours=100)
    aged.attempt(job.job_id, hours=hours)
    return {("orphaned", keys.result_prefix(job.job_id))}


def _open_and_done(aged: AgedStorage, hours: float) -> Reported:
    job = aged.completed_job(job=aged.open_job(hours=hours), hours=hours)
    return {("orphaned", keys.open_job(job.job_id))}


def _half_expired(aged: AgedStorage, hours: float) -> Reported:
    job = aged.completed_job(hours=100)
    aged.put(keys.expired_result(job.job_id), hours=hours)
    return {("orphaned", keys.result_prefix(job.job_id))}


def _idle_cancellation(aged: AgedStorage, hours: float) -> Reported:
    return {("orphaned", aged.cancellation_request(keys.new_id("job"), hours=hours))}


def _deliveries_without_job(aged: AgedStorage, hours: float) -> Reported:
    return {("orphaned", aged.put(keys.deliveries(keys.new_id("job")), hours=hours))}


def _segments_of_ended(aged: AgedStorage, hours: float) -> Reported:
    job_id = aged.done_job(Status.CANCELLED, hours=100).job_id
    aged.segments(job_id, hours=hours)
    return {("orphaned", keys.segments(job_id))}


AFTER_AN_HOUR = (
    _deliveries_without_job,
    _no_index,
    _no_artifact,
    _short_artifact,
    _open_without_source,
    _video_without_source,
    _short_source,
    _source_without_video,
    _result_without_job,
    _unused_attempt,
    _result_of_failed,
    _open_and_done,
    _half_expired,
    _idle_cancellation,
    _segments_of_ended,
)


def outbox_text(job: Job) -> bytes:
    return DeliveryRecord.first_of(job).model_dump_json().encode()


def _reported(aged: AgedStorage, *, deep: bool = False) -> Reported:
    return {(finding.kind.value, finding.key) for finding in StorageCheck(aged.storage, deep=deep).findings()}


def _consistent(aged: AgedStorage) -> None:
    """What a healthy service has."""
    aged.upload(hours=100)
    aged.completed_job(hours=100)
    announced = aged.done_job(Status.CANCELLED, hours=100)
    aged.put(keys.deliveries(announced.job_id), outbox_text(announced), hours=50)
    running = aged.open_job(hours=100)
    aged.attempt(running.job_id, hours=100)  # an attempt of a lost worker
    aged.cancellation_request(running.job_id, hours=100)
    aged.segments(running.job_id, hours=100)
    expired = aged.done_job(Status.COMPLETED, hours=100)
    aged.put(keys.expired_result(expired.job_id), hours=100)
    gone = aged.upload()
    aged.completed_job(job=aged.new_job(gone), hours=100)
    aged.storage.delete(keys.video_record(gone.video_id))  # deleted, or expired
    aged.storage.delete(gone.key)


def test_each_inconsistency_is_reported_once_after_an_hour(aged: AgedStorage) -> None:
    # Given what is consistent, and every inconsistency: each once that is old, and once that may be in progress
    _consistent(aged)
    assert _reported(aged, deep=True) == set()
    expected: Reported = set()
    for make in AFTER_AN_HOUR:
        expected |= make(aged, 1.1)
        make(aged, 0.9)
    before = aged.stored()

    # Then the old ones are reported, with what was checked, and nothing is changed
    check = StorageCheck(aged.storage)
    found = list(check.findings())
    assert {(finding.kind.value, finding.key) for finding in found} == expected
    assert len(found) == len(expected) == len(AFTER_AN_HOUR)
    assert aged.stored() == before
    names = {key.rpartition("/")[2] for key in before if key.startswith(("jobs/open", "jobs/done"))}
    assert check.jobs == len(names)
    assert check.uploads == sum(key.endswith("/video.json") for key in before)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"schema_version": 99}'], ids=["empty", "list", "later"])
def test_a_damaged_record_is_reported_immediately(aged: AgedStorage, text: bytes) -> None:
    # Given new records that are not valid
    job_id = keys.new_id("job")
    records = {keys.open_job(keys.new_id("job")), keys.done_job(job_id), keys.video_record(keys.new_id("vid"))}
    records.add(keys.deliveries(aged.done_job(Status.CANCELLED).job_id))
    for key in records:
        aged.put(key, text)

    # Then each is reported, and why
    found = list(StorageCheck(aged.storage).findings())
    assert {finding.key for finding in found} == records
    assert all(finding.kind == "damaged" and finding.key in finding.why for finding in found)


@pytest.mark.parametrize(
    "index", [b"{", b'{"artifacts": [{"key": "results/x"}]}', b'{"artifacts": [1]}'], ids=["cut", "no size", "number"]
)
def test_a_damaged_index_is_reported(aged: AgedStorage, index: bytes) -> None:
    job = aged.done_job(Status.COMPLETED, hours=2)
    aged.put(keys.result_index(job.job_id), index, hours=2)
    assert _reported(aged) == {("damaged", keys.result_index(job.job_id))}


def test_only_a_deep_check_finds_changed_bytes(aged: AgedStorage) -> None:
    # Given an artifact and a source in which a byte was flipped
    job = aged.completed_job(job=aged.new_job(aged.upload(hours=100)), hours=100)
    _replace(aged, _poster(job), POSTER.swapcase())
    _replace(aged, source_key_of(job), CONTENT.swapcase())

    # Then their sizes show nothing, and their digests do
    assert _reported(aged) == set()
    assert _reported(aged, deep=True) == {("damaged", _poster(job)), ("damaged", source_key_of(job))}


def test_a_job_that_finishes_during_the_check_is_refreshed(aged: AgedStorage) -> None:
    """Without the refresh the result of a job is called orphaned whose record moved between two listings."""
    job = aged.completed_job(hours=100)
    aged.miss_once(keys.done_job(job.job_id))
    assert _reported(aged) == set()


def test_the_file_of_an_upload_in_progress_is_no_orphan(aged: AgedStorage) -> None:
    """A crash came before it was recorded; whoever asks for the upload finds a video."""
    video = aged.upload(hours=2)
    aged.storage.delete(keys.video_record(video.video_id))
    durable_records.write_upload(aged.storage, Upload.begun_now(upload_id=video.video_id, filename="a", size_bytes=9))
    assert _reported(aged) == set()


def test_old_incomplete_uploads_are_reported(storage: LocalStorage) -> None:
    # Given four uploads that were begun, of which three have not grown for a day
    with ExitStack() as uploads:
        for number in range(4):
            uploads.enter_context(storage.open_writer(f"uploads/vid_{number}/source.mp4")).write(b"x")
        for path in list((Path(storage.location) / keys.INCOMING).iterdir())[:3]:
            written_at = path.stat().st_mtime - 25 * 3600
            os.utime(path, (written_at, written_at))

        # Then those are reported
        (finding,) = StorageCheck(storage).findings()
    assert (finding.kind, finding.key) == ("orphaned", ".clipzy/incoming/")
    assert "3 uploads" in finding.why


class Deployment:
    """A storage, and a Redis that knows what it should."""

    def __init__(self, aged: AgedStorage, store: JobStore, admin: JobAdmin) -> None:
        self.aged = aged
        self.store = store
        self.admin = admin

    def submitted(self, *, hours: float = 2) -> Job:
        return created(self.store, self.aged.open_job(hours=hours))

    def completed(self) -> Job:
        job = self.submitted()
        claim = self.store.claim(job.job_id, nonce="n", storage_id=self.aged.storage_id)
        assert claim is not None
        self.store.commit(claim, attempt_prefix="f", result_sha256="0" * 64)
        self.aged.completed_job(job=job, hours=2)
        assert finish(self.store, job.job_id, claim.token) is not None
        self.aged.storage.delete(keys.open_job(job.job_id))
        return job

    def findings(self) -> list[Finding]:
        return list(compare_with_redis(self.aged.storage, self.admin))


def _unknown(deployment: Deployment) -> str:
    deployment.aged.open_job(hours=0.9)  # just being submitted
    return keys.open_job(deployment.aged.open_job(hours=1.1).job_id)


def _not_open(deployment: Deployment) -> str:
    job = deployment.submitted()
    deployment.aged.storage.delete(keys.open_job(job.job_id))
    return keys.open_job(job.job_id)


def _finished_unknown_to_redis(deployment: Deployment) -> str:
    job = deployment.submitted()
    deployment.aged.storage.delete(keys.open_job(job.job_id))
    deployment.aged.done_job(Status.FAILED, job=job, hours=2)
    return keys.open_job(job.job_id)


def _not_done(deployment: Deployment) -> str:
    job = deployment.completed()
    deployment.aged.storage.delete(keys.done_job(job.job_id))
    return keys.done_job(job.job_id)


@pytest.mark.parametrize(
    ("make", "kind", "why"),
    [
        (_unknown, "unknown", "Redis does not know this unfinished job; `clipzy recover` restores it"),
        (_not_open, "missing", "Redis holds the job as unfinished"),
        (
            _finished_unknown_to_redis,
            "missing",
            "Redis holds the job as unfinished, though it has a done record",
        ),
        (_not_done, "missing", "Redis holds the job as finished"),
    ],
)
def test_redis_and_storage_are_compared_both_ways(
    aged: AgedStorage,
    store: JobStore,
    admin: JobAdmin,
    make: Callable[[Deployment], str],
    kind: str,
    why: str,
) -> None:
    # Given a Redis and a storage that know the same
    deployment = Deployment(aged, store, admin)
    deployment.submitted()
    deployment.completed()
    assert deployment.findings() == []

    # When they come to differ in one job
    key = make(deployment)

    # Then that is reported
    (finding,) = deployment.findings()
    assert (finding.kind, finding.key, finding.why) == (kind, key, why)
