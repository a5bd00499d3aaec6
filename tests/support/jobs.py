"""Jobs for the tests of the protocol, and the passing of time."""

from datetime import UTC, datetime
from typing import Any

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.jobs.attempt import JobAttempt, claim_job
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Claim, IdempotencyKey, NotifyWorkers
from clipzy_storage.models.records import EVERYONE, Job

STORAGE_ID = "a-storage"


def noting(job_ids: list[str]) -> NotifyWorkers:
    """Notifies nobody, and keeps of which jobs it was told."""
    return lambda job_id, _queue: job_ids.append(job_id)


def new_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "job_id": keys.new_id("job"),
        "video_id": keys.new_id("vid"),
        "filename": "holiday.mp4",
        "source_key": "uploads/vid_x/source.mp4",
        "source_size_bytes": 10,
        "source_sha256": "0" * 64,
        "source_container": "mp4",
        "storage_id": STORAGE_ID,
        "config": {},
        "created_at": datetime.now(UTC),
    }
    return Job(**values | changes)


def source_key_of(job: Job) -> str:
    """The key of the file of a job's video."""
    assert job.source is not None
    return job.source.key


def submitted(store: JobStore, **changes: Any) -> Job:
    return created(store, new_job(**changes))


def created(store: JobStore, job: Job, *, key: IdempotencyKey | None = None) -> Job:
    """The record in Redis of a job that is submitted for the first time."""
    found = store.submit(job, key=key).job
    assert found is not None
    return found


def claimed(store: JobStore, job_id: str, nonce: str = "n1") -> Claim:
    claim = store.claim(job_id, nonce=nonce, storage_id=STORAGE_ID)
    assert claim is not None
    return claim


def attempt_at(store: JobStore, storage: StorageBackend, job_id: str, *, storage_id: str = "") -> JobAttempt:
    """A claim on a waiting job, as a worker makes it."""
    attempt = claim_job(
        store,
        storage,
        job_id,
        storage_id=storage_id or storage.prepare(),
        notify_workers=noting([]),
        redis_timeout_seconds=0,
    )
    assert attempt is not None
    return attempt


def finish(store: JobStore, job_id: str, token: str) -> Job | None:
    """Make a pending completion visible, as if its durable record had been written."""
    pending = store.pending_completion(job_id, token)
    return store.finish(pending.job if pending else current(store, job_id), token)


def current(store: JobStore, job_id: str) -> Job:
    return store.look_up(job_id, owner=EVERYONE)[0]


def let_leases_expire(client: Any, prefix: str = keys.REDIS_PREFIX) -> None:
    """What time does, without waiting for it: every lease has expired, every suspicion is an hour old."""
    for job_id in client.zrange(f"{prefix}jobs:leases", 0, -1):
        client.zadd(f"{prefix}jobs:leases", {job_id: 1})
        if client.hexists(f"{prefix}job:{job_id}", "suspect_ms"):
            client.hset(f"{prefix}job:{job_id}", "suspect_ms", 1)


def reap_twice(store: JobStore, client: Any) -> Any:
    let_leases_expire(client)
    first = store.reap([], nonce="r1")
    assert not first.requeued
    assert not first.adopted
    let_leases_expire(client)
    return store.reap([], nonce="r2")


def let_delay_pass(client: Any, job_id: str) -> None:
    """The job's delay is over."""
    client.hset(f"{keys.REDIS_PREFIX}job:{job_id}", "not_before_ms", 1)
    client.zadd(f"{keys.REDIS_PREFIX}jobs:delayed", {job_id: 1})
