"""Results and uploads that were kept as long as they were to be: how they go, and what stops it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest

from clipzy_storage import keys
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.errors import QueueUnavailable, StorageUnavailable, VideoGone
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.maintenance.retention_rules import Kind
from clipzy_storage.models.records import EVERYONE, Job, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.maintenance.conftest import Recorder
from tests.support.aged_storage import Shelf
from tests.support.jobs import finish

Sweep = Callable[..., GarbageCollector]


on_both = pytest.mark.parametrize("shelf", ["local", "moto"], indirect=True)


class Died(BaseException):
    """Stands for the end of the process at one step."""


def _expired(shelf: Shelf) -> Job:
    """A completed job whose result is old."""
    return shelf.completed_job(hours=7)


def _of(shelf: Shelf, job: Job) -> list[str]:
    return [blob.key for blob in shelf.storage.list(keys.result_prefix(job.job_id))]


@pytest.fixture
def steps(shelf: Shelf, records: Recorder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file that is removed, among what the records are asked."""
    delete = shelf.storage.delete

    def remember(key: str) -> bool:
        records.calls.append(key)
        return delete(key)

    monkeypatch.setattr(shelf.storage, "delete", remember)
    return records.calls


@on_both
def test_an_old_result_goes_and_leaves_its_marker(shelf: Shelf, leftovers: Sweep, steps: list[str]) -> None:
    # Given two completed jobs, of which one ended longer ago than results are kept
    old, young = _expired(shelf), shelf.completed_job(hours=5)
    before = shelf.stored()

    # When it is swept
    removed = leftovers(RESULT_TTL_HOURS="6").sweep()

    # Then Redis was told first, and the index went before what it lists
    assert removed == {Kind.EXPIRED_RESULT: 1}
    assert steps[:2] == [f"expire {old.job_id}", keys.result_index(old.job_id)]
    # And the marker and both records stay, as does the other result
    gone = set(before) - set(shelf.stored())
    assert gone == {key for key in before if key.startswith(keys.result_prefix(old.job_id))}
    assert _of(shelf, old) == [keys.expired_result(old.job_id)]
    assert keys.result_index(young.job_id) in shelf.stored()

    # And the next pass has nothing to do, ever
    shelf.age(keys.expired_result(old.job_id), 1000)
    steps.clear()
    assert leftovers(RESULT_TTL_HOURS="6").sweep() == {}
    assert steps == []


def test_nothing_expires_by_default(shelf: Shelf, leftovers: Sweep) -> None:
    # Given what is old, and no settings
    shelf.completed_job(job=shelf.new_job(shelf.upload(hours=100_000)), hours=100_000)
    before = shelf.stored()

    # Then it stays
    assert leftovers().sweep() == {}
    assert shelf.stored() == before


@pytest.mark.parametrize("step", range(4))
def test_an_expiry_that_dies_is_finished_by_the_next_pass(
    shelf: Shelf, leftovers: Sweep, records: Recorder, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Without the marker nobody could tell an expired result from a lost one."""
    # Given a sweep that dies when Redis is told, or over one of the three files
    job = _expired(shelf)
    remove, expire, taken = shelf.storage.delete, records.expire, [0]

    def die(ask: Callable[[str], bool]) -> Callable[[str], bool]:
        def asked(what: str) -> bool:
            if taken[0] == step:
                raise Died
            taken[0] += 1
            return ask(what)

        return asked

    monkeypatch.setattr(shelf.storage, "delete", die(remove))
    monkeypatch.setattr(records, "expire", die(expire))
    with pytest.raises(Died):
        leftovers(RESULT_TTL_HOURS="6").sweep()

    # Then whatever is gone by then, the marker is there
    assert keys.expired_result(job.job_id) in _of(shelf, job)
    assert len(_of(shelf, job)) == 4 - max(0, step - 1)

    # When another takes it up, though results are now kept for ever
    taken[0] = -100
    records.calls.clear()
    assert leftovers().sweep() == {Kind.EXPIRED_RESULT: 1}

    # Then it is carried out
    assert records.calls == [f"expire {job.job_id}"]
    assert _of(shelf, job) == [keys.expired_result(job.job_id)]


def test_while_redis_is_away_only_what_needs_it_waits(
    shelf: Shelf, leftovers: Sweep, records: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given expired results and uploads, and garbage behind them
    for _ in range(2):
        shelf.completed_job(job=shelf.new_job(shelf.upload(hours=7)), hours=7)
    before = shelf.stored()
    stray = shelf.wish(keys.new_id("job"), hours=2)

    def refuse(one: str) -> Any:
        records.calls.append(one)
        raise QueueUnavailable("Redis cannot be reached", certain=True)

    monkeypatch.setattr(records, "expire", refuse)
    monkeypatch.setattr(records, "drop_video", refuse)

    # When it is swept while Redis is away
    removed = leftovers(RESULT_TTL_HOURS="6", UPLOAD_TTL_HOURS="6").sweep()

    # Then Redis was asked once, nothing expired, and the garbage is gone
    assert len(records.calls) == 1
    assert removed == {Kind.IDLE_WISH: 1}
    assert set(before) <= set(shelf.stored())
    assert stray not in shelf.stored()


@on_both
def test_an_old_upload_goes_with_its_record_first(shelf: Shelf, leftovers: Sweep, steps: list[str]) -> None:
    # Given an old upload whose jobs have all ended, and a young one
    old, young = shelf.upload(hours=7), shelf.upload(hours=5)
    shelf.completed_job(job=shelf.new_job(old), hours=6.5)
    before = shelf.stored()

    # When it is swept
    removed = leftovers(UPLOAD_TTL_HOURS="6").sweep()

    # Then no job can be had over it any more, then its record goes, then its source; and nothing else does
    assert removed == {Kind.EXPIRED_UPLOAD: 1}
    assert steps == [f"drop {old.video_id}", keys.video_record(old.video_id), old.key]
    assert set(before) - set(shelf.stored()) == {keys.video_record(old.video_id), old.key}
    assert shelf.storage.exists(young.key)


def test_an_upload_without_its_record_stays_while_an_open_job_needs_it(shelf: Shelf, leftovers: Sweep) -> None:
    """Without the look into the open records the source of an unfinished job is removed."""
    # Given old uploads whose records were lost, one of them under an unfinished job
    used, unused = shelf.upload(hours=100), shelf.upload(hours=100)
    job = shelf.open_job(used)
    for video in (used, unused):
        shelf.storage.delete(keys.video_record(video.video_id))

    # Then only the other goes
    assert leftovers().sweep() == {Kind.UPLOAD_WITHOUT_RECORD: 1}
    assert shelf.stored() == [keys.open_job(job.job_id), used.key]


def test_what_an_open_record_refers_to_stays(shelf: Shelf, leftovers: Sweep, records: Recorder) -> None:
    # Given an old upload with an unfinished job of which Redis knows nothing, and one with a job that it knows
    forgotten, known = shelf.upload(hours=100), shelf.upload(hours=100)
    shelf.open_job(forgotten)
    records.in_use.add(known.video_id)
    before = shelf.stored()

    # Then both stay, and no job over the first is refused
    assert leftovers(UPLOAD_TTL_HOURS="6").sweep() == {}
    assert shelf.stored() == before
    assert records.calls == [f"drop {known.video_id}"]


def test_a_job_that_comes_in_meanwhile_keeps_its_upload(
    shelf: Shelf, leftovers: Sweep, records: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the second look at the open records the upload goes under a job that was just being submitted."""
    # Given an old upload, and a front end that writes a job's open record just before no more jobs are let in
    video = shelf.upload(hours=100)

    def submit_and_drop(_: str) -> Literal["dropped"]:
        shelf.open_job(video)
        return "dropped"

    monkeypatch.setattr(records, "drop_video", submit_and_drop)

    # Then the upload stays
    assert leftovers(UPLOAD_TTL_HOURS="6").sweep() == {}
    assert shelf.storage.exists(keys.video_record(video.video_id))
    assert shelf.storage.exists(video.key)


def test_an_upload_whose_removal_was_interrupted_is_removed(
    shelf: Shelf, leftovers: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an expired upload, of which the record went, and the source could not be removed
    video = shelf.upload(hours=100)
    delete = shelf.storage.delete

    def fail(key: str) -> bool:
        if key == video.key:
            raise StorageUnavailable("away")
        return delete(key)

    with monkeypatch.context() as patched:
        patched.setattr(shelf.storage, "delete", fail)
        assert leftovers(UPLOAD_TTL_HOURS="6").sweep() == {}
    assert shelf.stored() == [video.key]

    # Then the next pass finds it
    assert leftovers(UPLOAD_TTL_HOURS="6").sweep() == {Kind.UPLOAD_WITHOUT_RECORD: 1}
    assert shelf.stored() == []


def test_several_sweeps_at_once_do_no_harm(shelf: Shelf, leftovers: Sweep) -> None:
    # Given much that is to go
    kept = shelf.completed_job(hours=5)
    for _ in range(2):
        shelf.completed_job(job=shelf.new_job(shelf.upload(hours=100)), hours=7)
        shelf.attempt(keys.new_id("job"), hours=100)
        shelf.wish(keys.new_id("job"), hours=100)

    # When several sweep it at the same time
    sweeps = [leftovers(RESULT_TTL_HOURS="6", UPLOAD_TTL_HOURS="50") for _ in range(2)]
    with ThreadPoolExecutor(len(sweeps)) as pool:
        list(pool.map(lambda sweep: sweep.sweep(), sweeps))

    # Then all of it is gone, and nothing else
    left = [key for key in shelf.stored() if not key.startswith("jobs/done/")]
    assert [key for key in left if not key.endswith("/expired.json")] == [
        *_of(shelf, kept),
        kept.source_key,
        keys.video_record(kept.video_id),
    ]
    assert sum(key.endswith("/expired.json") for key in left) == 2


@on_both
def test_redis_says_what_is_in_use(shelf: Shelf, redis_url: str) -> None:
    # Given an old upload, and a Redis whose records have not been compared with storage
    jobs, upkeep = JobStore(RedisDatabase(redis_url), lease_seconds=60), JobAdmin(RedisDatabase(redis_url))
    leftovers = GarbageCollector(
        shelf.storage, upkeep, settings_from_env({"UPLOAD_TTL_HOURS": "6", "RESULT_TTL_HOURS": "6"})
    )
    video = shelf.upload(hours=7)
    job = jobs.submit(shelf.new_job(video))
    assert leftovers.sweep() == {}

    # When they have been, then it stays as long as its job is not finished
    upkeep.set_reconciled(upkeep.server_run())
    assert leftovers.sweep() == {}

    # When the job ends, and its end is old, then upload and result go
    claim = jobs.claim(job.job_id, nonce="n", storage_id=shelf.storage_id)
    assert claim is not None
    assert jobs.commit(claim, attempt_folder="f", result_sha256="0" * 64)
    assert finish(jobs, job.job_id, claim.token) is not None
    shelf.completed_job(job=job, hours=7)
    assert leftovers.sweep() == {Kind.EXPIRED_UPLOAD: 1, Kind.EXPIRED_RESULT: 1}

    # And the record says so, and no more jobs are had over the video
    seen = jobs.get(job.job_id, owner=EVERYONE)
    assert (seen.status, seen.expired) == (Status.COMPLETED, True)
    with pytest.raises(VideoGone):
        jobs.submit(shelf.new_job(video))
