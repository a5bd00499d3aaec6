"""Jobs for the tests of the protocol, and what time does to them."""

from datetime import UTC, datetime
from typing import Any

from clipzy_storage import keys
from clipzy_storage.jobs.store import Claim, JobStore
from clipzy_storage.models.records import EVERYONE, Job

STORAGE_ID = "a-storage"


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


def submitted(jobs: JobStore, **changes: Any) -> Job:
    return jobs.submit(new_job(**changes))


def claimed(jobs: JobStore, job_id: str, nonce: str = "n1") -> Claim:
    claim = jobs.claim(job_id, nonce=nonce, storage_id=STORAGE_ID)
    assert claim is not None
    return claim


def finish(jobs: JobStore, job_id: str, token: str) -> Job | None:
    """Make what was decided visible, as if its durable record had been written."""
    decided = jobs.decided(job_id, token)
    return jobs.finish(decided.job if decided else seen(jobs, job_id), token)


def seen(jobs: JobStore, job_id: str) -> Job:
    return jobs.get(job_id, owner=EVERYONE)


def let_leases_expire(client: Any, prefix: str = keys.REDIS_PREFIX) -> None:
    """What time does, without waiting for it: every lease ended a moment ago, every suspicion is an hour old."""
    for job_id in client.zrange(f"{prefix}jobs:leases", 0, -1):
        client.zadd(f"{prefix}jobs:leases", {job_id: 1})
        if client.hexists(f"{prefix}job:{job_id}", "suspect_ms"):
            client.hset(f"{prefix}job:{job_id}", "suspect_ms", 1)


def reap_twice(jobs: JobStore, client: Any) -> Any:
    let_leases_expire(client)
    first = jobs.reap([], nonce="r1")
    assert not first.requeued
    assert not first.adopted
    let_leases_expire(client)
    return jobs.reap([], nonce="r2")


def let_delay_pass(client: Any, job_id: str) -> None:
    """The job's delay ended a moment ago."""
    client.hset(f"{keys.REDIS_PREFIX}job:{job_id}", "not_before_ms", 1)
    client.zadd(f"{keys.REDIS_PREFIX}jobs:delayed", {job_id: 1})
