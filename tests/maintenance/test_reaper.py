"""The reaper over real Redis and real storage: what lost workers left half done is completed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs import completion, durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Claim
from clipzy_storage.models.records import Job, Status
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.runtime.notification_queue import NotificationQueues
from clipzy_worker.runtime.reaper import Reaper
from tests.support.jobs import created, current, let_leases_expire, new_job, noting
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually

INDEX = b'{"the": "index"}'

RunOnce = Callable[[], None]


@pytest.fixture
def notified() -> list[str]:
    """The jobs of which workers were notified; the real sending is tested with whole processes."""
    return []


@pytest.fixture
def ctx(
    make_settings: Any, storage: LocalStorage, store: JobStore, admin: JobAdmin, notified: list[str]
) -> WorkerContext:
    return WorkerContext(
        settings=make_settings(),
        storage=storage,
        storage_id=storage.prepare(),
        store=store,
        admin=admin,
        leases=LeaseRenewer(store),
        notify_workers=noting(notified),
    )


@pytest.fixture
def queues(ctx: WorkerContext, redis_url: str) -> NotificationQueues:
    return NotificationQueues(RedisDatabase(redis_url), storage_id=ctx.storage_id)


@pytest.fixture
def reap(ctx: WorkerContext, queues: NotificationQueues, redis_client: Any) -> RunOnce:
    """One pass of a reaper that has had Redis for long, and that finds the lock free."""
    reaper = Reaper(ctx, queues=queues, grace_seconds=0)

    def run_once() -> None:
        redis_client.delete(f"{keys.REDIS_PREFIX}turn:reaper")
        let_leases_expire(redis_client)
        reaper.run_once()

    return run_once


def claimed(ctx: WorkerContext) -> Claim:
    job = new_job(storage_id=ctx.storage_id)
    durable_records.write_open_job(ctx.storage, job)
    created(ctx.store, job)
    claim = ctx.store.claim(job.job_id, nonce="a", storage_id=ctx.storage_id)
    assert claim is not None
    return claim


def committed(ctx: WorkerContext) -> Claim:
    """A job whose worker died right after the commit: nothing is published yet."""
    claim = claimed(ctx)
    prefix = keys.attempt_prefix(claim.job.job_id, 1, "a")
    put_bytes(ctx.storage, prefix + "output.json", INDEX, content_type="application/json")
    ctx.store.commit(claim, attempt_prefix=prefix, result_sha256=hashlib.sha256(INDEX).hexdigest())
    return claim


def same_but_for_revision(one: Job, other: Job) -> bool:
    return one.model_copy(update={"revision": other.revision}) == other


def test_workers_are_notified_again_of_a_silent_worker_s_job(
    ctx: WorkerContext, reap: RunOnce, notified: list[str]
) -> None:
    claim = claimed(ctx)
    reap()
    assert notified == []
    reap()
    assert notified == [claim.job.job_id]


def test_a_commit_is_completed_with_the_committed_bytes(ctx: WorkerContext, reap: RunOnce) -> None:
    # Given a worker that died between commit and publishing
    job_id = committed(ctx).job.job_id
    # When the reaper has run twice
    reap()
    reap()
    # Then the job is completed with what was committed, and recorded as done
    finished = current(ctx.store, job_id)
    assert finished.status is Status.COMPLETED
    assert read_bytes(ctx.storage, keys.result_index(job_id)) == INDEX
    assert same_but_for_revision(durable_records.read_done(ctx.storage, job_id), finished)
    assert not ctx.storage.exists(keys.open_job(job_id))


def test_publishing_twice_changes_nothing(ctx: WorkerContext, reap: RunOnce) -> None:
    # Given a worker that froze after publishing, before the outcome was visible
    claim = committed(ctx)
    job_id = claim.job.job_id
    put_bytes(ctx.storage, keys.result_index(job_id), INDEX, content_type="application/json")
    pending = ctx.store.pending_completion(job_id, claim.token)
    assert pending is not None
    durable_records.write_done_job(ctx.storage, pending.job)
    # When the reaper takes over, and the worker continues after all
    reap()
    reap()
    assert completion.complete(ctx.store, ctx.storage, pending) is None
    # Then there is one result
    assert current(ctx.store, job_id).status is Status.COMPLETED
    assert read_bytes(ctx.storage, keys.result_index(job_id)) == INDEX


@pytest.mark.parametrize("damage", ["forged", "gone"])
def test_a_committed_index_that_is_lost_fails_the_job(ctx: WorkerContext, reap: RunOnce, damage: str) -> None:
    # Given an attempt's index that was damaged or deleted after the commit, before it was published
    job_id = committed(ctx).job.job_id
    path = Path(ctx.storage.local_copy(keys.attempt_prefix(job_id, 1, "a") + "output.json", Path(), sha256=""))
    path.unlink()
    if damage == "forged":
        path.write_bytes(b'{"the": "forged"}')
    # When the reaper runs
    reap()
    reap()
    # Then no wrong result is visible, and the job does not hang
    failed = current(ctx.store, job_id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == (Status.FAILED, "PROCESSING_FAILED")
    assert not ctx.storage.exists(keys.result_index(job_id))
    assert same_but_for_revision(durable_records.read_done(ctx.storage, job_id), failed)


def test_a_published_result_stays_though_redis_forgot_it(ctx: WorkerContext, reap: RunOnce) -> None:
    # Given a published result, and a Redis so much older that the job ran once more and was committed again
    job_id = committed(ctx).job.job_id
    first = keys.attempt_prefix(job_id, 1, "b") + "poster.jpg"
    published = json.dumps({"artifacts": [{"key": first}]}).encode()
    for key, content in ((first, b"poster"), (keys.result_index(job_id), published)):
        put_bytes(ctx.storage, key, content, content_type="application/json")
    # When the second one is completed
    reap()
    reap()
    # Then callers see what they may have seen before, and nothing is left of the second
    assert current(ctx.store, job_id).status is Status.COMPLETED
    assert read_bytes(ctx.storage, keys.result_index(job_id)) == published
    assert [blob.key for blob in ctx.storage.list(f"results/{job_id}/attempts/")] == [first]


def test_jobs_lost_three_times_fail_and_are_done(ctx: WorkerContext, reap: RunOnce) -> None:
    job_id = claimed(ctx).job.job_id
    for nonce in ("b", "c", "d"):
        reap()
        reap()
        ctx.store.claim(job_id, nonce=nonce, storage_id=ctx.storage_id)
    failed = current(ctx.store, job_id)
    assert failed.error is not None
    assert failed.error.code == "WORKER_LOST"
    assert same_but_for_revision(durable_records.read_done(ctx.storage, job_id), failed)


def test_one_reaper_at_a_time(
    ctx: WorkerContext, reap: RunOnce, queues: NotificationQueues, redis_client: Any, notified: list[str]
) -> None:
    # Given a job of a silent worker, found so by a reaper that still has the lock
    claimed(ctx)
    reap()
    let_leases_expire(redis_client)
    # Then another reaper leaves it alone
    Reaper(ctx, queues=queues, grace_seconds=0).run_once()
    assert notified == []
    assert not ctx.admin.try_lock("reaper", ttl_seconds=10)


def test_a_new_reaper_leaves_workers_the_time_to_renew_their_leases(
    ctx: WorkerContext, reap: RunOnce, queues: NotificationQueues, redis_client: Any, notified: list[str]
) -> None:
    # Given a worker that has been silent for long, as all are after an outage of Redis
    claim = claimed(ctx)
    reap()
    # When a reaper starts that does not know how long Redis has been there
    let_leases_expire(redis_client)
    redis_client.delete(f"{keys.REDIS_PREFIX}turn:reaper")
    Reaper(ctx, queues=queues).run_once()
    # Then the worker keeps its job for now, which one that does know takes
    assert notified == []
    assert current(ctx.store, claim.job.job_id).status is Status.PROCESSING
    reap()
    assert notified == [claim.job.job_id]


def test_after_an_outage_of_redis_workers_have_time_to_renew_their_leases(
    ctx: WorkerContext, redis_url: str, redis_client: Any, notified: list[str]
) -> None:
    with TcpProxy(redis_url) as network:
        parts = urlsplit(redis_url)
        redis = RedisDatabase(parts._replace(netloc=f":{parts.password}@{urlsplit(network.url).netloc}").geturl())
        near = replace(ctx, store=JobStore(redis, lease_seconds=60), admin=JobAdmin(redis))
        reaper = Reaper(near, queues=NotificationQueues(redis, storage_id=ctx.storage_id), grace_seconds=2)

        def reap() -> list[str]:
            redis_client.delete(f"{keys.REDIS_PREFIX}turn:reaper")
            let_leases_expire(redis_client)
            reaper.run_once()
            return notified

        # Given a reaper that has had Redis for so long that it takes jobs from silent workers
        first = claimed(ctx).job.job_id
        assert eventually(reap, "a job that is taken") == [first]
        # And a worker that falls silent meanwhile
        second = claimed(ctx).job.job_id
        reap()
        # When Redis is unavailable for a moment
        network.suffer(Fault("refuse"))
        with pytest.raises(QueueUnavailable):
            reaper.run_once()
        network.heal()
        # Then the worker keeps its job for now
        assert reap() == [first]
        # Until it has had the time
        eventually(lambda: reap() != [first], "a job that is taken")
        assert notified == [first, second]


def test_a_reaper_without_redis_reports_it(no_redis: JobAdmin) -> None:
    with pytest.raises(QueueUnavailable):
        no_redis.try_lock("reaper", ttl_seconds=10)
