"""A job's way on a real Redis: every transition, twice where it may be sent twice, and from wrong hands."""

import threading
from typing import Any

import pytest

from clipzy_storage.errors import JobNotFound, QueueUnavailable
from clipzy_storage.jobs.store import Claim, JobStore, Lease
from clipzy_storage.models.records import EVERYONE, ErrorCode, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import STORAGE_ID, claimed, finish, new_job, reap_twice, seen, submitted


def test_a_job_goes_from_submit_to_completed(jobs: JobStore) -> None:
    # Given a submitted job
    job = submitted(jobs)
    assert (job.status, job.attempt, job.progress_percent) == (Status.QUEUED, 0, 0)
    # When a worker claims it, works, commits and finishes
    claim = claimed(jobs, job.job_id)
    assert jobs.heartbeat(claim, percent=40, stage="video_analysis") == "held"
    halfway = seen(jobs, job.job_id)
    assert jobs.commit(claim, attempt_folder="results/x/", result_sha256="abc")
    committing = seen(jobs, job.job_id)
    finished = finish(jobs, job.job_id, claim.token)
    # Then each step is seen from outside as the contract says
    assert (halfway.status, halfway.attempt, halfway.progress_percent) == (Status.PROCESSING, 1, 40)
    assert halfway.current_stage == "video_analysis"
    assert halfway.started_at is not None
    assert (committing.status, committing.finished_at) == (Status.PROCESSING, None)
    assert finished == seen(jobs, job.job_id)
    assert (finished.status, finished.progress_percent, finished.current_stage) == (Status.COMPLETED, 100, None)
    assert finished.finished_at is not None


def test_every_change_of_the_record_changes_its_revision(jobs: JobStore) -> None:
    job = submitted(jobs)
    revisions = [job.revision]
    claim = claimed(jobs, job.job_id)
    revisions.append(seen(jobs, job.job_id).revision)
    jobs.heartbeat(claim, percent=10, stage="video_analysis")
    revisions.append(seen(jobs, job.job_id).revision)
    jobs.heartbeat(claim, percent=10, stage="video_analysis")
    assert seen(jobs, job.job_id).revision == revisions[-1]
    jobs.commit(claim, attempt_folder="f/", result_sha256="abc")
    finish(jobs, job.job_id, claim.token)
    revisions.append(seen(jobs, job.job_id).revision)
    assert revisions == sorted(set(revisions))


def test_only_one_of_many_claims_wins(jobs: JobStore, redis_url: str) -> None:
    # Given one job and sixteen workers that see its hint at once
    job = submitted(jobs)
    winners: list[Claim] = []
    gate = threading.Barrier(16)

    def worker(number: int) -> None:
        store = JobStore(RedisDatabase(redis_url), lease_seconds=60)
        gate.wait()
        if claim := store.claim(job.job_id, nonce=f"n{number}", storage_id=STORAGE_ID):
            winners.append(claim)

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then one has it
    assert len(winners) == 1
    assert winners[0].job.attempt == 1


def test_each_script_may_arrive_twice(jobs: JobStore) -> None:
    # Given commands whose answers were lost, so that the client sends them again
    job = new_job()
    assert jobs.submit(job) == jobs.submit(job)
    first, again = claimed(jobs, job.job_id), claimed(jobs, job.job_id)
    assert (first.token, first.job.attempt) == (again.token, again.job.attempt)
    for _ in range(2):
        assert jobs.commit(first, attempt_folder="f/", result_sha256="abc")
    finished = finish(jobs, job.job_id, first.token)
    assert finished is not None
    assert finish(jobs, job.job_id, first.token) == finished
    other = submitted(jobs)
    claim = claimed(jobs, other.job_id)
    for _ in range(2):
        assert jobs.release(claim, "preempted") == "queued"
    second = claimed(jobs, other.job_id, "n2")
    assert second.job.attempt == 2
    for _ in range(2):
        assert jobs.fail(second.job.job_id, second.token, ErrorCode.INVALID_MEDIA, "no video")
    # Then nothing happened twice
    assert jobs.page(owner=EVERYONE, status=None, number=1, page_size=10)[1] == 2


def test_a_final_state_never_changes(jobs: JobStore, redis_client: Any) -> None:
    # Given a failed job
    job = submitted(jobs)
    claim = claimed(jobs, job.job_id)
    jobs.fail(claim.job.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video")
    failed = finish(jobs, job.job_id, claim.token)
    assert failed is not None
    # When everything is tried on it
    assert jobs.claim(job.job_id, nonce="n2", storage_id=STORAGE_ID) is None
    assert jobs.heartbeat(claim, percent=99, stage="x") == "lost"
    assert jobs.release(claim, "preempted") == ""
    assert not jobs.commit(claim, attempt_folder="f/", result_sha256="abc")
    assert not jobs.fail(claim.job.job_id, claim.token, ErrorCode.JOB_TIMEOUT, "late")
    reap_twice(jobs, redis_client)
    jobs.reap([Lease(job.job_id, claim.token, None)], nonce="r")
    # Then it stands as it was
    assert seen(jobs, job.job_id) == failed
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == (ErrorCode.INVALID_MEDIA, "no video")


def test_a_worker_on_another_storage_gets_nothing(jobs: JobStore) -> None:
    job = submitted(jobs)
    assert jobs.claim(job.job_id, nonce="n", storage_id="another") is None
    assert seen(jobs, job.job_id).status is Status.QUEUED


def test_progress_never_falls_not_even_over_attempts(jobs: JobStore) -> None:
    job = submitted(jobs)
    claim = claimed(jobs, job.job_id)
    for percent in (50, 20, 100):
        jobs.heartbeat(claim, percent=percent, stage="video_analysis")
    assert seen(jobs, job.job_id).progress_percent == 99  # 100 is for completed alone
    jobs.release(claim, "preempted")
    second = claimed(jobs, job.job_id, "n2")
    jobs.heartbeat(second, percent=1, stage="video_analysis")
    assert seen(jobs, job.job_id).progress_percent == 99


def test_listing_by_page_and_status(jobs: JobStore) -> None:
    # Given five jobs, one of them taken
    made = [submitted(jobs) for _ in range(5)]
    claimed(jobs, made[0].job_id)
    newest_first = [job.job_id for job in reversed(made)]
    # Then pages hold them newest first, and each status counts its own
    found, total = jobs.page(owner=EVERYONE, status=None, number=1, page_size=3)
    rest, _ = jobs.page(owner=EVERYONE, status=None, number=2, page_size=3)
    assert [job.job_id for job in found + rest] == newest_first
    assert total == 5
    processing, count = jobs.page(owner=EVERYONE, status=Status.PROCESSING, number=1, page_size=3)
    assert ([job.job_id for job in processing], count) == ([made[0].job_id], 1)
    assert jobs.page(owner=EVERYONE, status=Status.QUEUED, number=1, page_size=1)[1] == 4
    assert jobs.page(owner="another", status=None, number=1, page_size=3) == ([], 0)


def test_a_foreign_job_is_not_found(jobs: JobStore) -> None:
    job = submitted(jobs, owner="somebody")
    with pytest.raises(JobNotFound):
        jobs.get(job.job_id, owner=EVERYONE)
    assert jobs.get(job.job_id, owner="somebody").job_id == job.job_id


def test_where_redis_is_away_nothing_was_done_for_certain() -> None:
    jobs = JobStore(RedisDatabase("redis://127.0.0.1:1/0"), lease_seconds=60)
    with pytest.raises(QueueUnavailable) as caught:
        jobs.submit(new_job())
    assert caught.value.certain


def test_a_full_redis_refuses_for_certain(jobs: JobStore, redis_client: Any) -> None:
    redis_client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(QueueUnavailable, match="maxmemory") as caught:
            jobs.submit(new_job())
    finally:
        redis_client.config_set("maxmemory", "0")
    assert caught.value.certain
    assert jobs.page(owner=EVERYONE, status=None, number=1, page_size=3) == ([], 0)
