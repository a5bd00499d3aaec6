"""Cancelling at every point of a job's way: it ends as cancelled or as something else, never as both."""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.errors import CancellationRequested
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Lease
from clipzy_storage.models.records import ErrorCode, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import STORAGE_ID, claimed, current, finish, let_leases_expire, submitted


def cancel(store: JobStore, job_id: str, nonce: str = "c1") -> tuple[str, str]:
    request = store.request_cancellation(job_id, nonce=nonce)
    return request.verdict, request.token


def cancel_after(seconds: float, store: JobStore, job_id: str) -> tuple[str, str]:
    threading.Event().wait(seconds)
    return cancel(store, job_id)


def test_a_waiting_job_is_cancelled_immediately(store: JobStore) -> None:
    job = submitted(store)
    verdict, token = cancel(store, job.job_id)
    assert verdict == "pending"
    # The answer may have been lost; another caller is told that it is under way
    assert cancel(store, job.job_id) == (verdict, token)
    assert cancel(store, job.job_id, "c2") == ("requested", "")
    assert store.claim(job.job_id, nonce="n1", storage_id=STORAGE_ID) is None
    ended = finish(store, job.job_id, token)
    assert ended is not None
    assert (ended.status, ended.error, ended.attempt) == (Status.CANCELLED, None, 0)
    assert cancel(store, job.job_id, "c3") == ("finished", "")


def test_a_delayed_job_that_is_cancelled_waits_no_longer(store: JobStore, redis_client: Any) -> None:
    job = submitted(store)
    assert store.release(claimed(store, job.job_id), "transient") == "delayed"
    assert redis_client.zrange(f"{keys.REDIS_PREFIX}jobs:delayed", 0, -1) == [job.job_id]

    assert cancel(store, job.job_id)[0] == "pending"

    assert redis_client.zrange(f"{keys.REDIS_PREFIX}jobs:delayed", 0, -1) == []
    assert redis_client.zrange(f"{keys.REDIS_PREFIX}jobs:queued", 0, -1) == []


def test_who_dies_over_a_cancelled_job_is_followed_by_the_reaper(store: JobStore, redis_client: Any) -> None:
    job = submitted(store)
    cancel(store, job.job_id)
    let_leases_expire(redis_client)
    store.reap([], nonce="r1")
    let_leases_expire(redis_client)
    ((job_id, token),) = store.reap([], nonce="r2").adopted
    ended = finish(store, job_id, token)
    assert ended is not None
    assert ended.status is Status.CANCELLED


def test_a_running_job_is_ended_by_its_holder(store: JobStore) -> None:
    job = submitted(store)
    claim = claimed(store, job.job_id)
    assert store.lease_state(claim) == "held"
    assert cancel(store, job.job_id) == ("requested", "")
    assert store.lease_state(claim) == "cancel"
    assert store.heartbeat(claim, percent=5, stage="video_analysis") == "cancel"
    for _ in range(2):
        store.confirm_cancelled(claim)
    ended = finish(store, job.job_id, claim.token)
    assert ended is not None
    assert (ended.status, ended.current_stage) == (Status.CANCELLED, None)


@pytest.mark.parametrize("how", ["commit", "fail", "release", "crash", "loss"])
def test_whatever_happens_to_a_job_that_is_to_be_cancelled_it_ends_so(store: JobStore, how: str) -> None:
    # Given a running job that somebody was told would be cancelled
    job = submitted(store)
    claim = claimed(store, job.job_id)
    cancel(store, job.job_id)
    token = claim.token
    # When its holder completes it, fails it, is stopped, crashes or is lost before it has heard of that
    match how:
        case "commit":
            with pytest.raises(CancellationRequested):
                store.commit(claim, attempt_prefix="f/", result_sha256="f")
            store.confirm_cancelled(claim)
        case "fail":
            store.fail(job.job_id, token, ErrorCode.INVALID_MEDIA, "no video")
        case "release":
            assert store.release(claim, "preempted") == "pending"
        case "crash":
            assert store.release(claim, "crashed") == "pending"
        case "loss":
            ((_, token),) = store.reap([Lease(job.job_id, token, None)], nonce="r").adopted
    # Then it is cancelled
    ended = finish(store, job.job_id, token)
    assert ended is not None
    assert (ended.status, ended.error) == (Status.CANCELLED, None)


def test_a_job_that_is_decided_cannot_be_cancelled(store: JobStore) -> None:
    job = submitted(store)
    claim = claimed(store, job.job_id)
    store.commit(claim, attempt_prefix="f/", result_sha256="f")
    assert cancel(store, job.job_id) == ("finished", "")
    ended = finish(store, job.job_id, claim.token)
    assert ended is not None
    assert ended.status is Status.COMPLETED
    assert cancel(store, "job_unknown") == ("unknown", "")


def test_of_cancelling_and_completing_exactly_one_wins(store: JobStore, redis_url: str) -> None:
    """Two hundred races. With the check for `cancel` taken out of commit.lua some jobs complete after a 202."""
    other = JobStore(RedisDatabase(redis_url), lease_seconds=60)
    seed = os.urandom(4).hex()
    chance, verdicts = random.Random(seed), set()
    with ThreadPoolExecutor(1) as canceller:
        for _ in range(200):
            job = submitted(store)
            claim = claimed(store, job.job_id)
            # The two meet at another point each time, and either may come first.
            cancelling = canceller.submit(cancel_after, chance.random() / 500, other, job.job_id)
            threading.Event().wait(chance.random() / 500)
            try:
                store.commit(claim, attempt_prefix="f/", result_sha256="f")
            except CancellationRequested:
                store.confirm_cancelled(claim)
            verdict, _ = cancelling.result()
            finish(store, job.job_id, claim.token)
            expected = {"requested": Status.CANCELLED, "finished": Status.COMPLETED}[verdict]
            assert current(store, job.job_id).status is expected, seed
            verdicts.add(verdict)
    assert verdicts == {"requested", "finished"}
