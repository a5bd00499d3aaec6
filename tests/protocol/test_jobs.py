"""The job protocol on a real Redis: every transition, twice where it may be sent twice, and from wrong hands."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.contract import EVERYONE, ErrorCode, Job, Status
from clipzy_storage.errors import JobNotFound, QueueUnavailable
from clipzy_storage.jobs import Claim, JobStore, Lease
from clipzy_storage.process import ProcessIdentity

STORAGE_ID = "a-storage"


@pytest.fixture
def jobs(redis_url: str) -> JobStore:
    return JobStore(redis_url, lease_seconds=60)


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


def test_a_job_goes_from_submit_to_completed(jobs: JobStore) -> None:
    # Given a submitted job
    job = submitted(jobs)
    assert (job.status, job.attempt, job.progress_percent) == (Status.QUEUED, 0, 0)
    # When a worker claims it, works, commits and finishes
    claim = claimed(jobs, job.job_id)
    assert jobs.heartbeat(claim, percent=40, stage="video_analysis")
    halfway = seen(jobs, job.job_id)
    assert jobs.commit(claim, attempt_folder="results/x/", result_sha256="abc")
    committing = seen(jobs, job.job_id)
    finished = jobs.finish(job.job_id, claim.token)
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
    jobs.finish(job.job_id, claim.token)
    revisions.append(seen(jobs, job.job_id).revision)
    assert revisions == sorted(set(revisions))


def test_only_one_of_many_claims_wins(jobs: JobStore, redis_url: str) -> None:
    # Given one job and sixteen workers that see its hint at once
    job = submitted(jobs)
    winners: list[Claim] = []
    gate = threading.Barrier(16)

    def worker(number: int) -> None:
        store = JobStore(redis_url, lease_seconds=60)
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
    finished = jobs.finish(job.job_id, first.token)
    assert finished is not None
    assert jobs.finish(job.job_id, first.token) == finished
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
    failed = jobs.finish(job.job_id, claim.token)
    assert failed is not None
    # When everything is tried on it
    assert jobs.claim(job.job_id, nonce="n2", storage_id=STORAGE_ID) is None
    assert not jobs.heartbeat(claim, percent=99, stage="x")
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


def test_a_silent_worker_loses_its_job_at_the_second_look_only(jobs: JobStore, redis_client: Any) -> None:
    # Given a worker whose lease has run out
    job = submitted(jobs)
    zombie = claimed(jobs, job.job_id)
    # When the reaper looks twice, with the grace between
    reaped = reap_twice(jobs, redis_client)
    # Then the job waits again, another can have it, and the zombie's token opens nothing
    assert reaped.requeued == [job.job_id]
    successor = claimed(jobs, job.job_id, "n2")
    assert successor.job.attempt == 2
    assert not jobs.heartbeat(zombie, percent=50, stage="video_analysis")
    assert not jobs.commit(zombie, attempt_folder="z/", result_sha256="z")
    assert not jobs.fail(zombie.job.job_id, zombie.token, ErrorCode.JOB_TIMEOUT, "z")
    assert jobs.release(zombie, "crashed") == ""
    assert jobs.finish(job.job_id, zombie.token) is None
    assert jobs.commit(successor, attempt_folder="s/", result_sha256="s")


def test_a_beat_between_the_two_looks_clears_the_suspicion(jobs: JobStore, redis_client: Any) -> None:
    job = submitted(jobs)
    claim = claimed(jobs, job.job_id)
    let_leases_expire(redis_client)
    jobs.reap([], nonce="r1")
    assert jobs.heartbeat(claim, percent=1, stage="video_analysis")  # late, but nobody had taken over
    let_leases_expire(redis_client)
    assert jobs.reap([], nonce="r2").requeued == []  # the first look of a new silence
    let_leases_expire(redis_client)
    assert jobs.reap([], nonce="r3").requeued == [job.job_id]


def test_a_reaper_that_has_just_found_redis_leaves_leases_alone(jobs: JobStore, redis_client: Any) -> None:
    job = submitted(jobs)
    claimed(jobs, job.job_id)
    for _ in range(3):
        let_leases_expire(redis_client)
        assert not jobs.reap([], nonce="r", expired_too=False).requeued
    assert seen(jobs, job.job_id).status is Status.PROCESSING


def test_a_holder_that_is_seen_to_be_gone_loses_its_job_at_once(jobs: JobStore) -> None:
    # Given a job held by a process that has ended
    job = submitted(jobs)
    claimed(jobs, job.job_id)
    (lease,) = jobs.leases()
    assert lease.holder == ProcessIdentity.own()
    assert not lease.holder.is_gone()
    # When the reaper names it as gone
    ended = replace(lease, holder=replace(lease.holder, start_ticks="1"))
    assert ended.holder is not None
    assert ended.holder.is_gone()
    # Then the job is free without waiting for the lease
    assert jobs.reap([ended], nonce="r").requeued == [job.job_id]


def test_the_third_lost_worker_fails_the_job(jobs: JobStore, redis_client: Any) -> None:
    job = submitted(jobs)
    for attempt in (1, 2):
        claimed(jobs, job.job_id, f"n{attempt}")
        assert reap_twice(jobs, redis_client).requeued == [job.job_id]
    claimed(jobs, job.job_id, "n3")
    ((adopted_id, token),) = reap_twice(jobs, redis_client).adopted
    decided = jobs.decided(adopted_id, token)
    assert decided is not None
    assert decided.outcome == "failed"
    finished = jobs.finish(job.job_id, token)
    assert finished is not None
    assert finished.error is not None
    assert (finished.status, finished.error.code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert finished == seen(jobs, job.job_id)
    assert decided.job.finished_at == finished.finished_at


def test_the_second_crash_fails_the_job(jobs: JobStore) -> None:
    job = submitted(jobs)
    assert jobs.release(claimed(jobs, job.job_id), "crashed", message="crashed twice") == "queued"
    second = claimed(jobs, job.job_id, "n2")
    assert jobs.release(second, "crashed", message="crashed twice") == "failed"
    assert jobs.release(second, "crashed", message="crashed twice") == "failed"
    decided = jobs.decided(job.job_id, second.token)
    assert decided is not None
    assert decided.job.error is not None
    assert (decided.job.error.code, decided.job.error.message) == (ErrorCode.PROCESSING_FAILED, "crashed twice")


def test_being_stopped_does_not_count_as_being_lost(jobs: JobStore) -> None:
    job = submitted(jobs)
    for number in range(6):
        assert jobs.release(claimed(jobs, job.job_id, f"n{number}"), "preempted") == "queued"
    assert seen(jobs, job.job_id).status is Status.QUEUED
    assert seen(jobs, job.job_id).attempt == 6


def test_a_commit_left_behind_is_adopted_not_repeated(jobs: JobStore, redis_client: Any) -> None:
    # Given a worker that died between commit and finish
    job = submitted(jobs)
    dead = claimed(jobs, job.job_id)
    jobs.commit(dead, attempt_folder="results/a/", result_sha256="abc")
    # When the reaper takes over
    reaped = reap_twice(jobs, redis_client)
    # Then it holds the same outcome under its own token, and the job is not run again
    assert reaped.requeued == []
    ((job_id, token),) = reaped.adopted
    decided = jobs.decided(job_id, token)
    assert decided is not None
    assert (decided.outcome, decided.attempt_folder, decided.result_sha256) == ("completed", "results/a/", "abc")
    assert jobs.finish(job_id, dead.token) is None
    finished = jobs.finish(job_id, token)
    assert finished is not None
    assert finished.status is Status.COMPLETED


def test_a_delayed_job_cannot_be_claimed_before_it_is_due(jobs: JobStore, redis_client: Any) -> None:
    job = submitted(jobs)
    assert jobs.release(claimed(jobs, job.job_id), "transient") == "delayed"
    assert jobs.claim(job.job_id, nonce="n2", storage_id=STORAGE_ID) is None
    assert jobs.stale(queue_is_empty=True) == []
    # When its time has come the reaper hints it, though other messages wait
    redis_client.hset(f"{keys.REDIS_PREFIX}job:{job.job_id}", "not_before_ms", 1)
    assert jobs.stale(queue_is_empty=False) == [job.job_id]
    assert jobs.claim(job.job_id, nonce="n2", storage_id=STORAGE_ID) is not None


def test_trouble_that_passes_is_waited_out_for_a_day(jobs: JobStore, redis_client: Any) -> None:
    # Given a job that meets with trouble again and again
    job = submitted(jobs)
    key = f"{keys.REDIS_PREFIX}job:{job.job_id}"
    delays = []
    for number in range(30):
        claim = claimed(jobs, job.job_id, f"n{number}")
        assert jobs.release(claim, "transient", message="too long") == "delayed"
        seconds, micros = redis_client.time()
        delays.append(round((int(redis_client.hget(key, "not_before_ms")) - seconds * 1000 - micros / 1000) / 1000))
        redis_client.hset(key, "not_before_ms", 1)
    # Then it waits longer each time, up to five minutes, and is not given up
    assert delays[:6] == [10, 20, 40, 80, 160, 300]
    assert set(delays[6:]) == {300}
    # Until it is more than a day old
    redis_client.hincrby(key, "created_ms", -25 * 3600 * 1000)
    assert jobs.release(claimed(jobs, job.job_id, "last"), "transient", message="too long") == "failed"


def test_a_commit_whose_answer_was_lost_is_known_again_after_its_adoption(jobs: JobStore, redis_client: Any) -> None:
    # Given a worker whose commit was carried out without its hearing of it, and a reaper that has finished the job
    job = submitted(jobs)
    cut_off = claimed(jobs, job.job_id)
    jobs.commit(cut_off, attempt_folder="results/a/", result_sha256="abc")
    ((job_id, token),) = reap_twice(jobs, redis_client).adopted
    jobs.finish(job_id, token)
    # When it sends its commit again
    # Then it hears that its attempt is the one that counts, and that there is nothing left to do
    assert jobs.commit(cut_off, attempt_folder="results/a/", result_sha256="abc")
    assert jobs.decided(job_id, cut_off.token) is None


def test_a_commit_whose_files_are_lost_may_fail_as_long_as_nobody_saw_it(jobs: JobStore) -> None:
    job = submitted(jobs)
    claim = claimed(jobs, job.job_id)
    jobs.commit(claim, attempt_folder="results/a/", result_sha256="abc")
    assert jobs.fail(job.job_id, claim.token, ErrorCode.PROCESSING_FAILED, "lost")
    finished = jobs.finish(job.job_id, claim.token)
    assert finished is not None
    assert (finished.status, finished.error and finished.error.message) == (Status.FAILED, "lost")


def test_a_lost_hint_is_sent_again_but_a_backlog_is_not_multiplied(jobs: JobStore, redis_client: Any) -> None:
    # Given a job that has waited for 31 seconds
    job = submitted(jobs)
    queued = f"{keys.REDIS_PREFIX}jobs:queued"
    assert jobs.stale(queue_is_empty=True) == []
    redis_client.zincrby(queued, -31_000, job.job_id)
    # Then it is hinted where no message waits, once, and not where some do
    assert jobs.stale(queue_is_empty=False) == []
    assert jobs.stale(queue_is_empty=True) == [job.job_id]
    assert jobs.stale(queue_is_empty=True) == []
    # And after ten minutes whatever waits
    redis_client.zincrby(queued, -601_000, job.job_id)
    assert jobs.stale(queue_is_empty=False) == [job.job_id]


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
    jobs = JobStore("redis://127.0.0.1:1/0", lease_seconds=60)
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
