"""What is missing, damaged or left over is told; what is well, or may be on its way, is not."""

from collections.abc import Callable

import pytest

from clipzy_storage import keys
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance import consistency_check
from clipzy_storage.maintenance import consistency_check as module
from clipzy_storage.maintenance.consistency_check import Finding, Inspection
from clipzy_storage.maintenance.inventory import JobInventory
from clipzy_storage.models.records import Job, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.aged_storage import CONTENT, PICTURE, Shelf
from tests.support.jobs import finish

Told = set[tuple[str, str]]


def _poster(job: Job) -> str:
    return f"results/{job.job_id}/attempts/1-aaaa/poster.jpg"


def _replace(shelf: Shelf, key: str, data: bytes) -> None:
    """By hand: storage itself never changes a file."""
    shelf.storage.delete(key)
    shelf.put(key, data, hours=100)


def _no_index(shelf: Shelf, hours: float) -> Told:
    job = shelf.completed_job(hours=hours)
    shelf.storage.delete(keys.result_index(job.job_id))
    return {("missing", keys.result_index(job.job_id))}


def _no_artifact(shelf: Shelf, hours: float) -> Told:
    job = shelf.completed_job(hours=hours)
    shelf.storage.delete(_poster(job))
    return {("missing", _poster(job))}


def _short_artifact(shelf: Shelf, hours: float) -> Told:
    job = shelf.completed_job(hours=hours)
    _replace(shelf, _poster(job), PICTURE[1:])
    return {("damaged", _poster(job))}


def _open_without_source(shelf: Shelf, hours: float) -> Told:
    job = shelf.open_job(hours=hours)
    shelf.storage.delete(job.source_key)
    shelf.storage.delete(keys.video_record(job.video_id))
    return {("missing", job.source_key)}


def _video_without_source(shelf: Shelf, hours: float) -> Told:
    video = shelf.upload(hours=hours)
    shelf.storage.delete(video.key)
    return {("missing", video.key)}


def _short_source(shelf: Shelf, hours: float) -> Told:
    video = shelf.upload(hours=hours)
    _replace(shelf, video.key, CONTENT[1:])
    return {("damaged", video.key)}


def _source_without_video(shelf: Shelf, hours: float) -> Told:
    return {("orphaned", shelf.put(keys.upload(keys.new_id("vid"), "mov"), hours=hours))}


def _result_without_job(shelf: Shelf, hours: float) -> Told:
    job_id = keys.new_id("job")
    shelf.attempt(job_id, hours=hours)
    return {("orphaned", keys.result_prefix(job_id))}


def _unused_attempt(shelf: Shelf, hours: float) -> Told:
    job = shelf.completed_job(hours=100)
    shelf.attempt(job.job_id, "1-bbbb", hours=hours)
    return {("orphaned", f"results/{job.job_id}/attempts/1-bbbb/")}


def _result_of_failed(shelf: Shelf, hours: float) -> Told:
    job = shelf.done_job(Status.FAILED, hours=100)
    shelf.attempt(job.job_id, hours=hours)
    return {("orphaned", keys.result_prefix(job.job_id))}


def _open_and_done(shelf: Shelf, hours: float) -> Told:
    job = shelf.completed_job(job=shelf.open_job(hours=hours), hours=hours)
    return {("orphaned", keys.open_job(job.job_id))}


def _half_expired(shelf: Shelf, hours: float) -> Told:
    job = shelf.completed_job(hours=100)
    shelf.put(keys.expired_result(job.job_id), hours=hours)
    return {("orphaned", keys.result_prefix(job.job_id))}


def _idle_wish(shelf: Shelf, hours: float) -> Told:
    return {("orphaned", shelf.wish(keys.new_id("job"), hours=hours))}


IN_TIME = (
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
    _idle_wish,
)


def _told(shelf: Shelf, *, deep: bool = False) -> Told:
    return {(finding.kind.value, finding.key) for finding in Inspection(shelf.storage, deep=deep).findings()}


def _well(shelf: Shelf) -> None:
    """What a service that is well has."""
    shelf.upload(hours=100)
    shelf.completed_job(hours=100)
    shelf.done_job(Status.CANCELLED, hours=100)
    running = shelf.open_job(hours=100)
    shelf.attempt(running.job_id, hours=100)  # a try that was lost
    shelf.wish(running.job_id, hours=100)
    expired = shelf.done_job(Status.COMPLETED, hours=100)
    shelf.put(keys.expired_result(expired.job_id), hours=100)
    gone = shelf.upload()
    shelf.completed_job(job=shelf.new_job(gone), hours=100)
    shelf.storage.delete(keys.video_record(gone.video_id))  # deleted, or expired
    shelf.storage.delete(gone.key)


def test_each_thing_that_is_wrong_is_told_once_it_has_settled(shelf: Shelf) -> None:
    # Given what is well, and every kind of what is not: each once that is old, and once that may be on its way
    _well(shelf)
    assert _told(shelf, deep=True) == set()
    expected: Told = set()
    for make in IN_TIME:
        expected |= make(shelf, 1.1)
        make(shelf, 0.9)
    before = shelf.stored()

    # Then the old ones are told, with what was looked at, and nothing is changed
    inspection = Inspection(shelf.storage)
    told = list(inspection.findings())
    assert {(finding.kind.value, finding.key) for finding in told} == expected
    assert len(told) == len(expected) == len(IN_TIME)
    assert shelf.stored() == before
    names = {key.rpartition("/")[2] for key in before if key.startswith(("jobs/open", "jobs/done"))}
    assert inspection.jobs == len(names)
    assert inspection.uploads == sum(key.endswith("/video.json") for key in before)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"schema_version": 99}'], ids=["empty", "list", "later"])
def test_a_damaged_record_is_told_at_once(shelf: Shelf, text: bytes) -> None:
    # Given new records that are none
    job_id = keys.new_id("job")
    records = {keys.open_job(keys.new_id("job")), keys.done_job(job_id), keys.video_record(keys.new_id("vid"))}
    for key in records:
        shelf.put(key, text)

    # Then each is told, and why
    told = list(Inspection(shelf.storage).findings())
    assert {finding.key for finding in told} == records
    assert all(finding.kind == "damaged" and finding.key in finding.why for finding in told)


@pytest.mark.parametrize(
    "index", [b"{", b'{"artifacts": [{"key": "results/x"}]}', b'{"artifacts": [1]}'], ids=["cut", "no size", "number"]
)
def test_a_damaged_index_is_told(shelf: Shelf, index: bytes) -> None:
    job = shelf.done_job(Status.COMPLETED, hours=2)
    shelf.put(keys.result_index(job.job_id), index, hours=2)
    assert _told(shelf) == {("damaged", keys.result_index(job.job_id))}


def test_only_a_deep_look_finds_changed_bytes(shelf: Shelf) -> None:
    # Given an artifact and a source in which a byte was flipped
    job = shelf.completed_job(job=shelf.new_job(shelf.upload(hours=100)), hours=100)
    _replace(shelf, _poster(job), PICTURE.swapcase())
    _replace(shelf, job.source_key, CONTENT.swapcase())

    # Then their sizes tell nothing, and their digests do
    assert _told(shelf) == set()
    assert _told(shelf, deep=True) == {("damaged", _poster(job)), ("damaged", job.source_key)}


def test_a_job_that_ends_during_the_look_is_looked_at_again(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the second look the result of a job is called orphaned that moved between two listings."""
    job = shelf.completed_job(hours=100)
    missed = JobInventory(job.job_id, None, None, None, tuple(shelf.storage.list(keys.result_prefix(job.job_id))))
    monkeypatch.setattr(module, "all_jobs", lambda _: iter([missed]))
    assert _told(shelf) == set()


def test_old_unfinished_uploads_are_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given three uploads that have not grown for a day; the storage's own count of them is tested elsewhere
    monkeypatch.setattr(shelf.storage, "count_incomplete", lambda seconds: 3 if seconds == 86400 else 99)
    (finding,) = Inspection(shelf.storage).findings()
    assert (finding.kind, finding.key) == ("orphaned", ".clipzy/incoming/")
    assert "3 uploads" in finding.why


class Deployment:
    """A storage, and a Redis that knows what it should."""

    def __init__(self, shelf: Shelf, redis_url: str) -> None:
        self.shelf = shelf
        self.jobs = JobStore(RedisDatabase(redis_url), lease_seconds=60)
        self.upkeep = JobAdmin(RedisDatabase(redis_url))

    def submitted(self, *, hours: float = 2) -> Job:
        return self.jobs.submit(self.shelf.open_job(hours=hours))

    def completed(self) -> Job:
        job = self.submitted()
        claim = self.jobs.claim(job.job_id, nonce="n", storage_id=self.shelf.storage_id)
        assert claim is not None
        assert self.jobs.commit(claim, attempt_folder="f", result_sha256="0" * 64)
        self.shelf.completed_job(job=job, hours=2)
        assert finish(self.jobs, job.job_id, claim.token) is not None
        self.shelf.storage.delete(keys.open_job(job.job_id))
        return job

    def told(self) -> list[Finding]:
        return list(consistency_check.findings(self.shelf.storage, self.upkeep))


def _unknown(place: Deployment) -> str:
    place.shelf.open_job(hours=0.9)  # just being submitted
    return keys.open_job(place.shelf.open_job(hours=1.1).job_id)


def _not_open(place: Deployment) -> str:
    job = place.submitted()
    place.shelf.storage.delete(keys.open_job(job.job_id))
    return keys.open_job(job.job_id)


def _ended_unknown_to_redis(place: Deployment) -> str:
    job = place.submitted()
    place.shelf.storage.delete(keys.open_job(job.job_id))
    place.shelf.done_job(Status.FAILED, job=job, hours=2)
    return keys.open_job(job.job_id)


def _not_done(place: Deployment) -> str:
    job = place.completed()
    place.shelf.storage.delete(keys.done_job(job.job_id))
    return keys.done_job(job.job_id)


@pytest.mark.parametrize(
    ("make", "kind", "why"),
    [
        (_unknown, "unknown", "Redis does not know this unfinished job; `clipzy recover` takes it up"),
        (_not_open, "missing", "Redis holds the job as unfinished"),
        (
            _ended_unknown_to_redis,
            "missing",
            "Redis holds the job as unfinished, though its done record says that it has ended",
        ),
        (_not_done, "missing", "Redis holds the job as finished"),
    ],
)
def test_redis_and_storage_are_compared_both_ways(
    shelf: Shelf, redis_url: str, make: Callable[[Deployment], str], kind: str, why: str
) -> None:
    # Given a Redis and a storage that know the same
    place = Deployment(shelf, redis_url)
    place.submitted()
    place.completed()
    assert place.told() == []

    # When they come to differ in one job
    key = make(place)

    # Then that is told
    (finding,) = place.told()
    assert (finding.kind, finding.key, finding.why) == (kind, key, why)
