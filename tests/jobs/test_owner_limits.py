"""Limits per owner, as the scripts keep them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.errors import QuotaExceeded
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.owner_limits import OwnerLimits
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import IdempotencyKey
from clipzy_storage.models.records import Queue, Status, Video
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import STORAGE_ID, finish, let_leases_expire, new_job, submitted

Limited = Callable[..., JobStore]


@pytest.fixture
def limited(redis_url: str) -> Limited:
    """A store with these limits."""
    return lambda **limits: JobStore(RedisDatabase(redis_url), lease_seconds=60, limits=OwnerLimits(**limits))


def parked(client: Any, owner: str) -> tuple[list[str], list[str], set[str]]:
    """What is parked in all, of this owner, and the owners that have something parked."""
    prefix = f"{keys.REDIS_PREFIX}jobs:parked"
    every, own = client.zrange(prefix, 0, -1), client.zrange(f"{prefix}:of:{owner}", 0, -1)
    return every, own, client.smembers(f"{prefix}:owners")


def claims(store: JobStore, job_id: str) -> bool:
    return store.claim(job_id, nonce=job_id, storage_id=STORAGE_ID) is not None


def counts(store: JobStore) -> tuple[int, int]:
    """Unfinished and running jobs."""
    usage = store.accounts.usage("a")
    return usage.unfinished_jobs, usage.running_jobs


def complete(store: JobStore, job_id: str) -> None:
    """To the end, as the worker that has claimed it."""
    claim = store.claim(job_id, nonce=job_id, storage_id=STORAGE_ID)
    assert claim is not None
    store.commit(claim, attempt_prefix=f"results/{job_id}/", result_sha256="abc")
    assert finish(store, job_id, claim.token)


def test_an_owner_has_no_more_unfinished_jobs_than_it_may(limited: Limited) -> None:
    # Given an owner with a running and a waiting job, which is all that it may have
    store = limited(unfinished_jobs=2)
    running, key = submitted(store, owner="a"), IdempotencyKey("key", "fingerprint")
    waiting = new_job(owner="a")
    assert store.submit(waiting, key=key).job
    assert claims(store, running.job_id)
    assert counts(store) == (2, 1)
    # Then a further one is refused, in the script and in the check before
    for refused in (lambda: store.submit(new_job(owner="a")), lambda: store.accounts.check_unfinished_jobs("a")):
        with pytest.raises(QuotaExceeded, match=r"OWNER_MAX_UNFINISHED_JOBS allows 2 .* there are 2"):
            refused()
    # And a repetition is answered as ever, and another owner has a limit of its own
    assert store.submit(waiting, key=key).job
    assert store.submit(new_job(owner="a"), key=key).first_id == waiting.job_id
    assert submitted(store, owner="b")
    # When one has finished, then there is room
    complete(store, running.job_id)
    store.accounts.check_unfinished_jobs("a")
    assert submitted(store, owner="a")


def test_a_video_that_is_still_without_bytes_is_no_room_for_it(limited: Limited, redis_url: str) -> None:
    """One that is to be imported is known before it is fetched, as one that was deleted is, while all are counted."""
    store, admin, video_id = limited(stored_bytes=10), JobAdmin(RedisDatabase(redis_url)), keys.new_id("vid")
    count = admin.begin_count()
    admin.set_stored("a", video_id, 0)
    video = Video(
        owner="a",
        video_id=video_id,
        filename="a.mp4",
        key=keys.upload(video_id, "mp4"),
        container="mp4",
        size_bytes=11,
        uploaded_at=datetime.now(UTC),
    )
    with pytest.raises(QuotaExceeded):
        store.accounts.add_video(video)
    admin.end_count(count)


def test_a_job_beyond_the_running_ones_is_parked(limited: Limited, redis_url: str, redis_client: Any) -> None:
    # Given an owner with as many running jobs as it may have
    store = limited(running_jobs=1)
    first, second, third = (submitted(store, owner="a", queue=Queue.BATCH) for _ in range(3))
    assert claims(store, first.job_id)
    # When workers come to its others, then these wait aside, seen as queued, and every answer stays as it was
    for _ in range(2):
        assert not claims(store, third.job_id)
        assert not claims(store, second.job_id)
    both = [second.job_id, third.job_id]
    assert parked(redis_client, "a") == (both, both, {"a"})
    assert [store.count_waiting(queue) for queue in Queue] == [0, 0]
    assert store.look_up(second.job_id, owner="a")[0].status is Status.QUEUED
    assert counts(store) == (3, 1)
    assert not store.has_room(3)
    assert JobAdmin(RedisDatabase(redis_url)).unfinished_ids() == {first.job_id, *both}
    # And jobs of others pass
    assert claims(store, submitted(store, owner="b").job_id)
    # When nothing has ended, then none returns; when one has, then the oldest does, into its queue
    assert store.unpark("a") == []
    complete(store, first.job_id)
    assert store.unpark("a") == [(second.job_id, Queue.BATCH)]
    assert parked(redis_client, "a") == ([third.job_id], [third.job_id], {"a"})
    assert [store.count_waiting(queue) for queue in Queue] == [0, 1]
    assert claims(store, second.job_id)


def test_parked_batch_jobs_keep_no_interactive_one_waiting(limited: Limited) -> None:
    # Given an owner with a running job, and parked jobs of batch that are older than one of interactive
    store = limited(running_jobs=1)
    running, *batch = (submitted(store, owner="a", queue=Queue.BATCH) for _ in range(3))
    interactive = submitted(store, owner="a")
    assert [claims(store, job.job_id) for job in (running, *batch, interactive)] == [True, False, False, False]
    # When one ends, then the one of interactive is the next
    complete(store, running.job_id)
    assert store.unpark("a") == [(interactive.job_id, Queue.INTERACTIVE)]
    # And those of batch follow, the oldest first
    complete(store, interactive.job_id)
    assert store.unpark("a") == [(batch[0].job_id, Queue.BATCH)]


def test_a_job_that_occupies_no_worker_is_not_parked(limited: Limited) -> None:
    store = limited(running_jobs=1)
    first, second = submitted(store, owner="a"), submitted(store, owner="a")
    assert claims(store, first.job_id)
    assert store.claim(second.job_id, nonce="front end", storage_id=STORAGE_ID, is_limited=False)


def test_of_50_claims_at_once_as_many_succeed_as_are_allowed(limited: Limited) -> None:
    store = limited(running_jobs=7)
    jobs = [submitted(store, owner="a").job_id for _ in range(50)]
    with ThreadPoolExecutor(50) as workers:
        claimed = list(workers.map(lambda job_id: claims(store, job_id), jobs))
    assert sum(claimed) == 7
    assert counts(store) == (50, 7)


@pytest.mark.parametrize("way", ["cancel", "forget", "restore", "claim"])
def test_a_parked_job_leaves_by_every_way(limited: Limited, redis_url: str, redis_client: Any, way: str) -> None:
    # Given a parked job
    store, admin = limited(running_jobs=1), JobAdmin(RedisDatabase(redis_url))
    first, second = submitted(store, owner="a"), submitted(store, owner="a")
    assert claims(store, first.job_id)
    assert not claims(store, second.job_id)
    # When it ends, is deleted, or is claimed all the same
    match way:
        case "cancel":
            assert store.request_cancellation(second.job_id, nonce="c").token
        case "forget":
            assert admin.forget(second.job_id, while_it_is="queued") == "forgotten"
        case "restore":
            done = second.model_copy(update={"status": Status.CANCELLED, "finished_at": second.created_at})
            assert admin.restore(done) == "ended"
        case "claim":
            assert claims(limited(), second.job_id)
    # Then nothing of it is left aside, and the owner is forgotten there at the next look
    assert parked(redis_client, "a")[:2] == ([], [])
    complete(store, first.job_id)
    assert store.unpark("a") == []
    assert store.owners_with_parked_jobs() == set()


def test_without_a_limit_everything_parked_returns(limited: Limited) -> None:
    """The operator has taken the limit away."""
    store = limited(running_jobs=1)
    jobs = [submitted(store, owner="a") for _ in range(4)]
    assert [claims(store, job.job_id) for job in jobs] == [True, False, False, False]
    assert [job_id for job_id, _ in limited().unpark("a")] == [job.job_id for job in jobs[1:]]


def test_a_lost_job_makes_room_for_one_that_is_parked(limited: Limited, redis_client: Any) -> None:
    store = limited(running_jobs=1)
    first, second = submitted(store, owner="a"), submitted(store, owner="a")
    assert claims(store, first.job_id)
    assert not claims(store, second.job_id)
    for nonce in ("r1", "r2"):
        let_leases_expire(redis_client)
        store.reap([], nonce=nonce)
    assert store.unpark("a") == [(second.job_id, Queue.INTERACTIVE)]
