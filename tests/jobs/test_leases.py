"""What becomes of jobs whose workers fall silent, stop, crash or meet with trouble, on a real Redis."""

from dataclasses import replace
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.errors import LostJob
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import ErrorCode, Queue, Status
from clipzy_storage.process import ProcessIdentity
from tests.support.jobs import (
    STORAGE_ID,
    claimed,
    current,
    finish,
    let_delay_pass,
    let_leases_expire,
    reap_twice,
    submitted,
)


def test_a_silent_worker_loses_its_job_at_the_second_look_only(store: JobStore, redis_client: Any) -> None:
    # Given a worker whose lease has run out
    job = submitted(store)
    zombie = claimed(store, job.job_id)
    # When the reaper looks twice, with the grace between
    reaped = reap_twice(store, redis_client)
    # Then the job waits again, another can have it, and the zombie's token opens nothing
    assert reaped.requeued == [(job.job_id, Queue.INTERACTIVE)]
    successor = claimed(store, job.job_id, "n2")
    assert successor.job.attempt == 2
    assert store.heartbeat(zombie, percent=50, stage="video_analysis") == "lost"
    with pytest.raises(LostJob):
        store.commit(zombie, attempt_prefix="z/", result_sha256="z")
    with pytest.raises(LostJob):
        store.fail(zombie.job.job_id, zombie.token, ErrorCode.JOB_TIMEOUT, "z")
    with pytest.raises(LostJob):
        store.release(zombie, "crashed")
    assert finish(store, job.job_id, zombie.token) is None
    assert store.commit(successor, attempt_prefix="s/", result_sha256="s")


def test_a_suspect_keeps_its_job_for_half_a_lease(store: JobStore, redis_client: Any) -> None:
    # Given a worker whose lease has expired, and that was found silent a while ago
    job = submitted(store)
    claimed(store, job.job_id)
    redis_client.zadd(f"{keys.REDIS_PREFIX}jobs:leases", {job.job_id: 1})
    seconds, _ = redis_client.time()
    for suspect_seconds, requeued in ((1, []), (store.lease_seconds / 2 + 1, [(job.job_id, Queue.INTERACTIVE)])):
        suspect_ms = int((seconds - suspect_seconds) * 1000)
        redis_client.hset(f"{keys.REDIS_PREFIX}job:{job.job_id}", "suspect_ms", suspect_ms)
        # When the reaper looks, then the job is taken after half a lease, and not before
        assert store.reap([], nonce=f"r{suspect_seconds}").requeued == requeued


def test_a_beat_between_the_two_looks_clears_the_suspicion(store: JobStore, redis_client: Any) -> None:
    job = submitted(store)
    claim = claimed(store, job.job_id)
    let_leases_expire(redis_client)
    store.reap([], nonce="r1")
    assert store.heartbeat(claim, percent=1, stage="video_analysis") == "held"  # late, but nobody had taken over
    let_leases_expire(redis_client)
    assert store.reap([], nonce="r2").requeued == []  # the first look of a new silence
    let_leases_expire(redis_client)
    assert store.reap([], nonce="r3").requeued == [(job.job_id, Queue.INTERACTIVE)]


def test_a_reaper_that_has_just_found_redis_leaves_leases_alone(store: JobStore, redis_client: Any) -> None:
    job = submitted(store)
    claimed(store, job.job_id)
    for _ in range(3):
        let_leases_expire(redis_client)
        assert not store.reap([], nonce="r", expired_too=False).requeued
    assert current(store, job.job_id).status is Status.PROCESSING


def test_a_holder_that_is_seen_to_be_gone_loses_its_job_immediately(store: JobStore) -> None:
    # Given a job held by a process that has ended
    job = submitted(store)
    claimed(store, job.job_id)
    (lease,) = store.leases()
    assert lease.holder == ProcessIdentity.own()
    assert not lease.holder.is_gone()
    # When the reaper names it as gone
    ended = replace(lease, holder=replace(lease.holder, start_ticks="1"))
    assert ended.holder is not None
    assert ended.holder.is_gone()
    # Then the job is free without waiting for the lease
    assert store.reap([ended], nonce="r").requeued == [(job.job_id, Queue.INTERACTIVE)]


def test_the_third_lost_worker_fails_the_job(store: JobStore, redis_client: Any) -> None:
    job = submitted(store)
    for attempt in (1, 2):
        claimed(store, job.job_id, f"n{attempt}")
        assert reap_twice(store, redis_client).requeued == [(job.job_id, Queue.INTERACTIVE)]
    claimed(store, job.job_id, "n3")
    ((adopted_id, token),) = reap_twice(store, redis_client).adopted
    decided = store.pending_completion(adopted_id, token)
    assert decided is not None
    assert decided.job.status is Status.FAILED
    finished = finish(store, job.job_id, token)
    assert finished is not None
    assert finished.error is not None
    assert (finished.status, finished.error.code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert finished == current(store, job.job_id)
    assert decided.job.finished_at == finished.finished_at


def test_the_second_crash_fails_the_job(store: JobStore) -> None:
    job = submitted(store)
    assert store.release(claimed(store, job.job_id), "crashed", message="crashed twice") == "queued"
    second = claimed(store, job.job_id, "n2")
    assert store.release(second, "crashed", message="crashed twice") == "pending"
    assert store.release(second, "crashed", message="crashed twice") == "pending"
    decided = store.pending_completion(job.job_id, second.token)
    assert decided is not None
    assert decided.job.error is not None
    assert (decided.job.error.code, decided.job.error.message) == (ErrorCode.PROCESSING_FAILED, "crashed twice")


def test_being_stopped_does_not_count_as_being_lost(store: JobStore) -> None:
    job = submitted(store)
    for number in range(6):
        assert store.release(claimed(store, job.job_id, f"n{number}"), "preempted") == "queued"
    assert current(store, job.job_id).status is Status.QUEUED
    assert current(store, job.job_id).attempt == 6


def test_a_commit_left_behind_is_adopted_not_repeated(store: JobStore, redis_client: Any) -> None:
    # Given a worker that died between commit and finish
    job = submitted(store)
    dead = claimed(store, job.job_id)
    store.commit(dead, attempt_prefix="results/a/", result_sha256="abc")
    # When the reaper takes over
    reaped = reap_twice(store, redis_client)
    # Then it holds the same outcome under its own token, and the job is not run again
    assert reaped.requeued == []
    ((job_id, token),) = reaped.adopted
    decided = store.pending_completion(job_id, token)
    assert decided is not None
    assert (decided.job.status, decided.attempt_prefix, decided.result_sha256) == (
        Status.COMPLETED,
        "results/a/",
        "abc",
    )
    assert finish(store, job_id, dead.token) is None
    finished = finish(store, job_id, token)
    assert finished is not None
    assert finished.status is Status.COMPLETED


def test_a_delayed_job_cannot_be_claimed_before_it_is_due(store: JobStore, redis_client: Any) -> None:
    job = submitted(store)
    assert store.release(claimed(store, job.job_id), "transient") == "delayed"
    assert store.claim(job.job_id, nonce="n2", storage_id=STORAGE_ID) is None
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 0}) == []
    # When its time has come the reaper notifies of it, although other messages wait
    let_delay_pass(redis_client, job.job_id)
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 1}) == [(job.job_id, Queue.INTERACTIVE)]
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 0}) == []
    assert store.claim(job.job_id, nonce="n2", storage_id=STORAGE_ID) is not None


def test_trouble_that_passes_is_waited_out_for_a_day(store: JobStore, redis_client: Any) -> None:
    # Given a job that meets with trouble again and again
    job = submitted(store)
    key = f"{keys.REDIS_PREFIX}job:{job.job_id}"
    delays = []
    for number in range(30):
        claim = claimed(store, job.job_id, f"n{number}")
        assert store.release(claim, "transient", message="too long") == "delayed"
        seconds, micros = redis_client.time()
        delays.append(round((int(redis_client.hget(key, "not_before_ms")) - seconds * 1000 - micros / 1000) / 1000))
        let_delay_pass(redis_client, job.job_id)
    # Then it waits longer each time, up to five minutes, and is not given up
    assert delays[:6] == [10, 20, 40, 80, 160, 300]
    assert set(delays[6:]) == {300}
    # Until it is more than a day old
    redis_client.hincrby(key, "created_ms", -25 * 3600 * 1000)
    assert store.release(claimed(store, job.job_id, "last"), "transient", message="too long") == "pending"


def test_a_commit_whose_answer_was_lost_is_known_again_after_its_adoption(store: JobStore, redis_client: Any) -> None:
    # Given a worker whose commit was carried out without its hearing of it, and a reaper that has finished the job
    job = submitted(store)
    cut_off = claimed(store, job.job_id)
    store.commit(cut_off, attempt_prefix="results/a/", result_sha256="abc")
    ((job_id, token),) = reap_twice(store, redis_client).adopted
    finish(store, job_id, token)
    # When it sends its commit again
    # Then it hears that its attempt is the one that counts, and that there is nothing left to do
    assert store.commit(cut_off, attempt_prefix="results/a/", result_sha256="abc")
    assert store.pending_completion(job_id, cut_off.token) is None


def test_a_commit_whose_files_are_lost_may_fail_as_long_as_nobody_saw_it(store: JobStore) -> None:
    job = submitted(store)
    claim = claimed(store, job.job_id)
    store.commit(claim, attempt_prefix="results/a/", result_sha256="abc")
    store.fail(job.job_id, claim.token, ErrorCode.PROCESSING_FAILED, "lost")
    finished = finish(store, job.job_id, claim.token)
    assert finished is not None
    assert (finished.status, finished.error and finished.error.message) == (Status.FAILED, "lost")


def test_as_many_notifications_are_sent_again_as_are_missing(store: JobStore, redis_client: Any) -> None:
    # Given three waiting jobs
    first, second, third = (submitted(store).job_id for _ in range(3))
    queued = f"{keys.REDIS_PREFIX}jobs:queued"
    assert store.count_waiting(Queue.INTERACTIVE) == 3
    # Then none is notified of again just after its notification, and none while the broker has one for each
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 0}) == []
    for age_ms, job_id in ((-33_000, first), (-31_000, second), (-32_000, third)):
        redis_client.zincrby(queued, age_ms, job_id)
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 3}) == []
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 4}) == []
    # And if some are missing, as many are sent, the oldest first and each once
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 1}) == [
        (first, Queue.INTERACTIVE),
        (third, Queue.INTERACTIVE),
    ]
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 1}) == [(second, Queue.INTERACTIVE)]
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 0}) == []


def test_many_delayed_jobs_do_not_stand_in_the_way_of_others(store: JobStore, redis_client: Any) -> None:
    # Given more delayed jobs than one look takes, and one whose notification was lost
    for _ in range(520):
        delayed = submitted(store)
        store.release(claimed(store, delayed.job_id), "transient")
    lost = submitted(store)
    redis_client.zincrby(f"{keys.REDIS_PREFIX}jobs:queued", -31_000, lost.job_id)
    # Then that one is hinted at the next look
    assert store.due_for_notification(notifications={Queue.INTERACTIVE: 0}) == [(lost.job_id, Queue.INTERACTIVE)]
