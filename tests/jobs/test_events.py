"""The log of each job: what a caller may see of it, in order, bounded, and gone in time."""

from typing import Any

import pytest

from clipzy_storage.jobs.events import FIRST, JobEvents
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Lease
from clipzy_storage.models.records import ErrorCode
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import claimed, finish, submitted


@pytest.fixture
def events(redis_url: str) -> JobEvents:
    return JobEvents(RedisDatabase(redis_url))


def story(events: JobEvents, job_id: str, after: str = FIRST) -> list[tuple[Any, ...]]:
    found = events.after(job_id, after, wait_seconds=0.01)
    return [(one.status.value, one.progress_percent, one.current_stage, one.attempt) for one in found]


def test_every_change_that_a_caller_sees_is_logged_once(store: JobStore, events: JobEvents, redis_client: Any) -> None:
    job = submitted(store)
    claim = claimed(store, job.job_id)
    for percent in (10, 10, 40, 20):
        store.heartbeat(claim, percent=percent, stage="video_analysis")
    store.reap([Lease(job.job_id, claim.token, None)], nonce="r")
    second = claimed(store, job.job_id, "n2")
    store.commit(second, attempt_prefix="f/", result_sha256="f")
    finish(store, job.job_id, second.token)
    finish(store, job.job_id, second.token)
    assert story(events, job.job_id) == [
        ("queued", 0, None, 0),
        ("processing", 0, None, 1),
        ("processing", 10, "video_analysis", 1),
        ("processing", 40, "video_analysis", 1),
        ("queued", 40, None, 1),
        ("processing", 40, None, 2),
        ("completed", 100, None, 2),
    ]
    # And it can be read on from any point, and goes an hour after the end
    third = events.after(job.job_id, FIRST, wait_seconds=0.01)[2]
    assert len(story(events, job.job_id, third.event_id)) == 4
    assert 3500 < redis_client.ttl(f"clipzy:job:{job.job_id}:events") <= 3600


def test_the_log_is_bounded(store: JobStore, redis_client: Any) -> None:
    job = submitted(store)
    for number in range(400):
        claim = claimed(store, job.job_id, f"n{number}")
        redis_client.hdel(f"clipzy:job:{job.job_id}", "preempted")
        assert store.release(claim, "preempted") == "queued"
    assert redis_client.xlen(f"clipzy:job:{job.job_id}:events") < 700


def test_a_failed_job_s_log_ends_as_the_job(store: JobStore, events: JobEvents) -> None:
    job = submitted(store)
    claim = claimed(store, job.job_id)
    store.heartbeat(claim, percent=30, stage="video_analysis")
    store.fail(job.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video")
    finish(store, job.job_id, claim.token)
    assert story(events, job.job_id)[-1] == ("failed", 30, None, 1)
