"""A job's way on a real Redis: every transition, twice where it may be sent twice, and from wrong hands."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from clipzy_storage.errors import JobNotFound, LostJob, QueueFull, QueueUnavailable
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Claim, IdempotencyKey, Lease
from clipzy_storage.models.records import EVERYONE, ErrorCode, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import STORAGE_ID, claimed, created, current, finish, new_job, reap_twice, submitted


def test_a_job_goes_from_submit_to_completed(store: JobStore) -> None:
    # Given a submitted job
    job = submitted(store)
    assert (job.status, job.attempt, job.progress_percent) == (Status.QUEUED, 0, 0)
    # When a worker claims it, works, commits and finishes
    claim = claimed(store, job.job_id)
    assert store.heartbeat(claim, percent=40, stage="video_analysis") == "held"
    halfway = current(store, job.job_id)
    assert store.commit(claim, attempt_prefix="results/x/", result_sha256="abc")
    committing = current(store, job.job_id)
    finished = finish(store, job.job_id, claim.token)
    # Then each step is current from outside as the contract says
    assert (halfway.status, halfway.attempt, halfway.progress_percent) == (Status.PROCESSING, 1, 40)
    assert halfway.current_stage == "video_analysis"
    assert halfway.started_at is not None
    assert (committing.status, committing.finished_at) == (Status.PROCESSING, None)
    assert finished == current(store, job.job_id)
    assert (finished.status, finished.progress_percent, finished.current_stage) == (Status.COMPLETED, 100, None)
    assert finished.finished_at is not None


def test_every_change_of_the_record_changes_its_revision(store: JobStore) -> None:
    job = submitted(store)
    revisions = [job.revision]
    claim = claimed(store, job.job_id)
    revisions.append(current(store, job.job_id).revision)
    store.heartbeat(claim, percent=10, stage="video_analysis")
    revisions.append(current(store, job.job_id).revision)
    store.heartbeat(claim, percent=10, stage="video_analysis")
    assert current(store, job.job_id).revision == revisions[-1]
    store.commit(claim, attempt_prefix="f/", result_sha256="abc")
    finish(store, job.job_id, claim.token)
    revisions.append(current(store, job.job_id).revision)
    assert revisions == sorted(set(revisions))


def test_only_one_of_many_claims_wins(store: JobStore, redis_url: str) -> None:
    # Given one job and sixteen workers that are notified of it together
    job = submitted(store)
    winners: list[Claim] = []
    gate = threading.Barrier(16)

    def worker(number: int) -> None:
        own_store = JobStore(RedisDatabase(redis_url), lease_seconds=60)
        gate.wait()
        if claim := own_store.claim(job.job_id, nonce=f"n{number}", storage_id=STORAGE_ID):
            winners.append(claim)

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then one has it
    assert len(winners) == 1
    assert winners[0].job.attempt == 1


def test_each_script_may_arrive_twice(store: JobStore) -> None:
    # Given commands whose answers were lost, so that the client sends them again
    job = new_job()
    assert created(store, job) == created(store, job)
    first, again = claimed(store, job.job_id), claimed(store, job.job_id)
    assert (first.token, first.job.attempt) == (again.token, again.job.attempt)
    for _ in range(2):
        assert store.commit(first, attempt_prefix="f/", result_sha256="abc")
    finished = finish(store, job.job_id, first.token)
    assert finished is not None
    assert finish(store, job.job_id, first.token) == finished
    other = submitted(store)
    claim = claimed(store, other.job_id)
    for _ in range(2):
        assert store.release(claim, "preempted") == "queued"
    second = claimed(store, other.job_id, "n2")
    assert second.job.attempt == 2
    for _ in range(2):
        store.fail(second.job.job_id, second.token, ErrorCode.INVALID_MEDIA, "no video")
    # Then nothing happened twice
    assert store.listing.page(owner=EVERYONE, status=None, number=1, page_size=10)[1] == 2


def test_a_final_state_never_changes(store: JobStore, redis_client: Any) -> None:
    # Given a failed job
    job = submitted(store)
    claim = claimed(store, job.job_id)
    store.fail(claim.job.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video")
    failed = finish(store, job.job_id, claim.token)
    assert failed is not None
    # When everything is tried on it
    assert store.claim(job.job_id, nonce="n2", storage_id=STORAGE_ID) is None
    assert store.heartbeat(claim, percent=99, stage="x") == "lost"
    with pytest.raises(LostJob):
        store.release(claim, "preempted")
    with pytest.raises(LostJob):
        store.commit(claim, attempt_prefix="f/", result_sha256="abc")
    with pytest.raises(LostJob):
        store.fail(claim.job.job_id, claim.token, ErrorCode.JOB_TIMEOUT, "late")
    with pytest.raises(LostJob):
        store.confirm_cancelled(claim)
    reap_twice(store, redis_client)
    store.reap([Lease(job.job_id, claim.token, None)], nonce="r")
    # Then it stands as it was
    assert current(store, job.job_id) == failed
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == (ErrorCode.INVALID_MEDIA, "no video")


def test_a_worker_on_another_storage_gets_nothing(store: JobStore) -> None:
    job = submitted(store)
    assert store.claim(job.job_id, nonce="n", storage_id="another") is None
    assert current(store, job.job_id).status is Status.QUEUED


def test_progress_never_falls_not_even_over_attempts(store: JobStore) -> None:
    job = submitted(store)
    claim = claimed(store, job.job_id)
    for percent in (50, 20, 100):
        store.heartbeat(claim, percent=percent, stage="video_analysis")
    assert current(store, job.job_id).progress_percent == 99  # 100 is for completed alone
    store.release(claim, "preempted")
    second = claimed(store, job.job_id, "n2")
    store.heartbeat(second, percent=1, stage="video_analysis")
    assert current(store, job.job_id).progress_percent == 99


def test_listing_by_page_and_status(store: JobStore) -> None:
    # Given five jobs, one of them taken
    made = [submitted(store) for _ in range(5)]
    claimed(store, made[0].job_id)
    newest_first = [job.job_id for job in reversed(made)]
    # Then pages hold them newest first, and each status counts its own
    found, total, _ = store.listing.page(owner=EVERYONE, status=None, number=1, page_size=3)
    rest, *_ = store.listing.page(owner=EVERYONE, status=None, number=2, page_size=3)
    assert [job.job_id for job in found + rest] == newest_first
    assert total == 5
    processing, count, _ = store.listing.page(owner=EVERYONE, status=Status.PROCESSING, number=1, page_size=3)
    assert ([job.job_id for job in processing], count) == ([made[0].job_id], 1)
    assert store.listing.page(owner=EVERYONE, status=Status.QUEUED, number=1, page_size=1)[1] == 4
    assert store.listing.page(owner="another", status=None, number=1, page_size=3)[:2] == ([], 0)


def test_no_more_unfinished_jobs_than_allowed_are_created(store: JobStore) -> None:
    # Given as many as allowed: waiting, delayed, running, and one whose outcome is fixed
    waiting, delayed, running, committing = (submitted(store) for _ in range(4))
    store.release(claimed(store, delayed.job_id), "transient")
    claimed(store, running.job_id)
    pending = store.request_cancellation(committing.job_id, nonce="c")
    assert not store.has_room(4)
    # When another is submitted, then it is refused and nothing is kept of it
    key = IdempotencyKey("key", "fingerprint")
    refused = new_job()
    for _ in range(2):
        with pytest.raises(QueueFull):
            store.submit(refused, key=key, limit=4)
    with pytest.raises(JobNotFound):
        current(store, refused.job_id)
    # But a command that is sent twice has its first answer
    assert store.submit(waiting, limit=4).job == waiting
    # And with room again the job is created under the same key
    finish(store, committing.job_id, pending.token)
    assert store.submit(refused, key=key, limit=4).job is not None
    # And a repetition is answered although there is no room
    assert store.submit(new_job(), key=key, limit=4).first_id == refused.job_id


def test_a_foreign_job_is_not_found(store: JobStore) -> None:
    job = submitted(store, owner="somebody")
    with pytest.raises(JobNotFound):
        store.look_up(job.job_id, owner=EVERYONE)[0]
    assert store.look_up(job.job_id, owner="somebody")[0].job_id == job.job_id


def test_where_redis_is_away_nothing_was_done_for_certain() -> None:
    store = JobStore(RedisDatabase("redis://127.0.0.1:1/0"), lease_seconds=60)
    with pytest.raises(QueueUnavailable) as caught:
        store.submit(new_job())
    assert caught.value.certain


def test_a_full_redis_refuses_for_certain(store: JobStore, redis_client: Any) -> None:
    redis_client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(QueueUnavailable, match="maxmemory") as caught:
            store.submit(new_job())
    finally:
        redis_client.config_set("maxmemory", "0")
    assert caught.value.certain
    assert store.listing.page(owner=EVERYONE, status=None, number=1, page_size=3)[:2] == ([], 0)


def test_an_end_that_redis_has_forgotten_is_shown_as_it_was(store: JobStore) -> None:
    """Redis was set back, and the job ends a second time: the durable record is that of its first end."""
    job = submitted(store)
    pending = store.pending_completion(job.job_id, store.request_cancellation(job.job_id, nonce="again").token)
    assert pending is not None
    first_end = pending.job.created_at - timedelta(seconds=7, microseconds=853_000)
    assert store.finish(pending.job.model_copy(update={"finished_at": first_end}), pending.token)
    assert current(store, job.job_id).finished_at == first_end.replace(microsecond=first_end.microsecond // 1000 * 1000)
