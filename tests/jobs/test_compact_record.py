"""A finished job keeps less in Redis, and answers all that its full record did."""

from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.errors import JobNotFound, LostJob
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.redis_record import whole_fields
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import CancelVerdict, Claim, IdempotencyKey, LeaseState
from clipzy_storage.models.output import PIPELINE_VERSION
from clipzy_storage.models.records import EVERYONE, ErrorCode, Job, Status
from clipzy_storage.models.result_cache_key import cache_key_of_result
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import STORAGE_ID, claimed, created, current, new_job

KEY = IdempotencyKey("a key", "fingerprint")
PREFIX, SHA256 = "results/x/attempts/2-n2/", "ab" * 32


@pytest.fixture
def admin(redis_url: str) -> JobAdmin:
    return JobAdmin(RedisDatabase(redis_url))


def _ended(store: JobStore, outcome: Status) -> tuple[Job, Claim, Job]:
    """A job with a value in every field, the claim under which it ended, and what its full record said at the end."""
    job = created(
        store,
        new_job(
            filename="été.mp4",
            config={"shots": {"sensitivity": 4.0}},
            idempotency_key=KEY.text,
            idempotency_fingerprint=KEY.fingerprint,
            request_id="a-request",
        ),
        key=KEY,
    )
    store.release(claimed(store, job.job_id), "preempted")
    claim = claimed(store, job.job_id, "n2")
    store.heartbeat(claim, percent=40, stage="video_analysis")
    if outcome is Status.COMPLETED:
        store.commit(claim, attempt_prefix=PREFIX, result_sha256=SHA256)
    elif outcome is Status.FAILED:
        store.fail(job.job_id, claim.token, ErrorCode.INVALID_MEDIA, 'no "video"\n{}')
    else:
        store.request_cancellation(job.job_id, nonce="c")
        store.confirm_cancelled(claim)
    pending = store.pending_completion(job.job_id, claim.token)
    assert pending is not None
    return job, claim, pending.job


@pytest.fixture(params=["compact", "of an older version"])
def is_older(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "of an older version")


def _finish(store: JobStore, redis_client: Any, claim: Claim, full: Job, *, is_older: bool) -> Job:
    """Finish the job; a version before this one kept all fields of its hash."""
    key = f"{keys.REDIS_PREFIX}job:{full.job_id}"
    before = redis_client.hgetall(key)
    finished = store.finish(full, claim.token)
    assert finished is not None
    after = redis_client.hgetall(key)
    assert len(after) < 8
    if is_older:
        redis_client.hdel(key, "final")
        redis_client.hset(key, mapping={**before, **whole_fields(after)})
        redis_client.hdel(key, "final")
    return finished


@pytest.mark.parametrize("outcome", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_a_finished_job_is_shown_as_its_full_record_had_it(
    store: JobStore, admin: JobAdmin, redis_client: Any, outcome: Status, *, is_older: bool
) -> None:
    _, claim, full = _ended(store, outcome)
    assert (full.status, full.attempt, full.request_id) == (outcome, 2, "a-request")
    assert full.started_at
    assert full.finished_at
    finished = _finish(store, redis_client, claim, full, is_older=is_older)

    # Then each way to look at it shows the same
    assert finished == full.model_copy(update={"revision": finished.revision})
    assert finished.revision > full.revision
    assert current(store, full.job_id) == finished == store.find(full.job_id)
    assert store.listing.page(owner=EVERYONE, status=outcome, number=1, page_size=9)[:2] == ([finished], 1)
    assert 0 <= admin.age_of(full.job_id).total_seconds() < 60
    assert full.job_id in admin.finished_ids()
    assert list(admin.unknown([full.job_id])) == []


@pytest.mark.parametrize("outcome", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_repeated_and_late_calls_are_answered_as_before(
    store: JobStore, admin: JobAdmin, redis_client: Any, outcome: Status, *, is_older: bool
) -> None:
    job, claim, full = _ended(store, outcome)
    finished = _finish(store, redis_client, claim, full, is_older=is_older)

    # Then what its holder sends again is known to be done, and all else is refused
    assert store.finish(full, claim.token) == finished
    assert store.finish(full, "another") is None
    if outcome is Status.COMPLETED:
        again = store.commit(claim, attempt_prefix=PREFIX, result_sha256=SHA256)
        assert again.job.finished_at == finished.finished_at
    else:
        with pytest.raises(LostJob):
            store.commit(claim, attempt_prefix=PREFIX, result_sha256=SHA256)
    with pytest.raises(LostJob):
        store.fail(job.job_id, claim.token, ErrorCode.JOB_TIMEOUT, "late")
    assert store.heartbeat(claim, percent=50, stage="") is store.lease_state(claim) is LeaseState.LOST
    assert store.claim(job.job_id, nonce="n2", storage_id=STORAGE_ID) is None
    assert store.request_cancellation(job.job_id, nonce="c").verdict is CancelVerdict.FINISHED
    assert admin.restore(job) == admin.restore(full) == "known"
    assert current(store, job.job_id) == finished

    # And the request that created it, and one under its key, are answered with it
    assert store.submit(job, key=KEY).job == job.model_copy(update={"revision": finished.revision})
    assert store.submit(new_job(), key=KEY).first_id == job.job_id


def test_a_finished_job_is_reused_expires_and_is_forgotten(
    store: JobStore, admin: JobAdmin, redis_client: Any, *, is_older: bool
) -> None:
    # Given a completed job, which may be reused
    _, claim, full = _ended(store, Status.COMPLETED)
    finished = _finish(store, redis_client, claim, full, is_older=is_older)
    assert finished.pipeline_version == PIPELINE_VERSION
    cache_key = cache_key_of_result(finished)
    assert store.find_cached(cache_key) == [full.job_id]

    # When its result expires, then it says so, and is no longer offered
    assert admin.expire(full.job_id)
    assert admin.expire(full.job_id)
    expired = finished.model_copy(update={"expired": True, "revision": finished.revision + 1})
    assert current(store, full.job_id) == expired
    assert store.find_cached(cache_key) == []

    # And when it is forgotten, nothing of it is left but the answer to its key, the size of the video, which stays, and
    # what was counted
    assert admin.forget(full.job_id, while_it_is="final") == "forgotten"
    with pytest.raises(JobNotFound):
        current(store, full.job_id)
    left = {key.removeprefix(keys.REDIS_PREFIX) for key in redis_client.scan_iter(f"{keys.REDIS_PREFIX}[^g]*")}
    sizes = {f"owner:{EVERYONE}:{name}" for name in ("stored", "bytes")} | {"stored:owners"}
    counted = {"jobs:waiting:sums", "metrics:counts"}
    assert left == {"fence", f"idem:{EVERYONE}:{KEY.text}"} | sizes | counted

    # And restored from storage it still has expired
    assert admin.restore(expired) == "restored"
    assert current(store, full.job_id) == expired.model_copy(update={"revision": current(store, full.job_id).revision})
