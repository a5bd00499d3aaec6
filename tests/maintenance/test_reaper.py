"""The reaper over real Redis and real storage: what dead workers left half done is carried to its end."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs import completion, durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import Claim, JobStore
from clipzy_storage.models.records import EVERYONE, Job, Status
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.runtime.reaper import Reaper
from tests.support.jobs import let_leases_expire, new_job

INDEX = b'{"the": "index"}'


class Hints:
    """Collects what would be sent to the broker; its real sending is tested with whole processes."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def __call__(self, job_id: str) -> None:
        self.sent.append(job_id)


@pytest.fixture
def hints() -> Hints:
    return Hints()


@pytest.fixture
def place(make_settings: Any, storage: LocalStorage, hints: Hints) -> WorkerContext:
    settings: Settings = make_settings()
    jobs = JobStore(RedisDatabase(settings.redis_url), lease_seconds=60)
    return WorkerContext(
        settings=settings,
        storage=storage,
        storage_id=storage.prepare(),
        jobs=jobs,
        upkeep=JobAdmin(RedisDatabase(settings.redis_url)),
        leases=LeaseRenewer(jobs),
        hint=hints,
    )


@pytest.fixture
def reaper(place: WorkerContext, redis_client: Any) -> Any:
    """Lets a reaper look as one that has had Redis for long, and that finds the lock free."""
    looking = Reaper(place, queue_length=lambda: 1)
    looking._has_redis_since = 0.001

    def look() -> None:
        redis_client.delete(f"{keys.REDIS_PREFIX}turn:reaper")
        let_leases_expire(redis_client)
        looking.look()

    return look


def claimed(place: WorkerContext) -> Claim:
    job = new_job(storage_id=place.storage_id)
    durable_records.write_open_job(place.storage, job)
    place.jobs.submit(job)
    claim = place.jobs.claim(job.job_id, nonce="a", storage_id=place.storage_id)
    assert claim is not None
    return claim


def committed(place: WorkerContext) -> Claim:
    """A job whose worker died right after the commit: nothing is published yet."""
    claim = claimed(place)
    folder = keys.attempt_prefix(claim.job.job_id, 1, "a")
    put_bytes(place.storage, folder + "output.json", INDEX, content_type="application/json")
    digest = hashlib.sha256(INDEX).hexdigest()
    assert place.jobs.commit(claim, attempt_folder=folder, result_sha256=digest)
    return claim


def same_but_for_revision(one: Job, other: Job) -> bool:
    return one.model_copy(update={"revision": other.revision}) == other


def test_a_silent_worker_s_job_is_hinted_again(place: WorkerContext, reaper: Any, hints: Hints) -> None:
    claim = claimed(place)
    reaper()
    assert hints.sent == []
    reaper()
    assert hints.sent == [claim.job.job_id]


def test_a_commit_is_rolled_forward_with_the_very_bytes(place: WorkerContext, reaper: Any) -> None:
    # Given a worker that died between commit and publishing
    claim = committed(place)
    job_id = claim.job.job_id
    # When the reaper has looked twice
    reaper()
    reaper()
    # Then the job is completed with what was committed, and recorded as done
    assert place.jobs.get(job_id, owner=EVERYONE).status is Status.COMPLETED
    assert read_bytes(place.storage, keys.result_index(job_id)) == INDEX
    seen = place.jobs.get(job_id, owner=EVERYONE)
    assert same_but_for_revision(durable_records.read_done(place.storage, job_id), seen)
    assert not place.storage.exists(keys.open_job(job_id))


def test_publishing_twice_changes_nothing(place: WorkerContext, reaper: Any) -> None:
    # Given a worker that died after publishing, before the end was visible
    claim = committed(place)
    job_id = claim.job.job_id
    put_bytes(place.storage, keys.result_index(job_id), INDEX, content_type="application/json")
    decided = place.jobs.decided(job_id, claim.token)
    assert decided is not None
    durable_records.write_done_job(place.storage, decided.job)
    # When the reaper takes over, and the worker after all comes back
    reaper()
    reaper()
    assert completion.conclude(place.jobs, place.storage, decided) is None
    # Then there is one result
    assert place.jobs.get(job_id, owner=EVERYONE).status is Status.COMPLETED
    assert read_bytes(place.storage, keys.result_index(job_id)) == INDEX


@pytest.mark.parametrize("damage", ["forged", "gone"])
def test_a_committed_index_that_is_lost_fails_the_job(place: WorkerContext, reaper: Any, damage: str) -> None:
    # Given an attempt's index that was damaged or removed after the commit, before it was published
    claim = committed(place)
    job_id = claim.job.job_id
    path = Path(place.storage.local_copy(keys.attempt_prefix(job_id, 1, "a") + "output.json", Path(), sha256=""))
    path.unlink()
    if damage == "forged":
        path.write_bytes(b'{"the": "forged"}')
    # When the reaper looks
    reaper()
    reaper()
    # Then nobody sees a wrong result, and the job does not hang
    failed = place.jobs.get(job_id, owner=EVERYONE)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == (Status.FAILED, "PROCESSING_FAILED")
    assert not place.storage.exists(keys.result_index(job_id))
    assert same_but_for_revision(durable_records.read_done(place.storage, job_id), failed)


def test_a_result_that_was_published_stays_though_redis_forgot_it(place: WorkerContext, reaper: Any) -> None:
    # Given a published result, and a Redis so much older that the job ran once more and was committed anew
    claim = committed(place)
    job_id = claim.job.job_id
    first = keys.attempt_prefix(job_id, 1, "b") + "poster.jpg"
    published = json.dumps({"artifacts": [{"key": first}]}).encode()
    for key, content in ((first, b"a picture"), (keys.result_index(job_id), published)):
        put_bytes(place.storage, key, content, content_type="application/json")
    # When the second one is concluded
    reaper()
    reaper()
    # Then callers see what they may have seen before, and nothing is left of the second
    assert place.jobs.get(job_id, owner=EVERYONE).status is Status.COMPLETED
    assert read_bytes(place.storage, keys.result_index(job_id)) == published
    assert [blob.key for blob in place.storage.list(f"results/{job_id}/attempts/")] == [first]


def test_jobs_lost_three_times_end_as_failed_and_done(place: WorkerContext, reaper: Any) -> None:
    claim = claimed(place)
    for nonce in ("b", "c", "d"):
        reaper()
        reaper()
        place.jobs.claim(claim.job.job_id, nonce=nonce, storage_id=place.storage_id)
    failed = place.jobs.get(claim.job.job_id, owner=EVERYONE)
    assert failed.error is not None
    assert failed.error.code == "WORKER_LOST"
    assert same_but_for_revision(durable_records.read_done(place.storage, claim.job.job_id), failed)


def test_one_reaper_at_a_time(place: WorkerContext, redis_client: Any) -> None:
    redis_client.delete(f"{keys.REDIS_PREFIX}turn:reaper")
    assert place.upkeep.try_lock("reaper", seconds=10)
    assert not place.upkeep.try_lock("reaper", seconds=10)


def test_a_reaper_without_redis_says_so() -> None:
    away = JobAdmin(RedisDatabase("redis://127.0.0.1:1/0"))
    with pytest.raises(QueueUnavailable):
        away.try_lock("reaper", seconds=10)
