"""What waits, what workers run, and how long it will take."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from clipzy_storage import keys
from clipzy_storage.fleet.counters import CounterStore
from clipzy_storage.fleet.fleet import read_fleet, seconds_to_empty
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.members import Member
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.overview import HeldJob, JobsOverview, Speed, WaitingJobs, read_overview
from clipzy_storage.jobs.owner_limits import OwnerLimits
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Claim, Released, ReleaseReason, Work
from clipzy_storage.models.records import ErrorCode, Queue, Status
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import claimed, current, finish, let_delay_pass, reap_twice, submitted

PREFIX = keys.REDIS_PREFIX
T = TypeVar("T")


def waiting(redis: RedisDatabase) -> dict[str, tuple[int, int, int]]:
    """Of each queue that has any: jobs, bytes, how many of unknown size."""
    queues = read_overview(redis).queues
    assert [one.queue for one in queues] == [*Queue]
    found = {one.queue.value: (one.jobs, one.size_bytes, one.unsized_jobs) for one in queues}
    return {queue: sums for queue, sums in found.items() if sums != (0, 0, 0)}


def test_what_waits_is_counted_by_queue(store: JobStore, redis: RedisDatabase, redis_client: Any) -> None:
    # Given jobs of both queues, one of which has a video that is yet to be imported
    first = submitted(store, source_size_bytes=100)
    submitted(store, source_size_bytes=30)
    submitted(store, source_size_bytes=7, queue=Queue.BATCH)
    url = {"source_url": "https://example.com/a.mp4"}
    to_import = submitted(store, queue=Queue.BATCH, **url, **dict.fromkeys(SOURCE))
    assert waiting(redis) == {"interactive": (2, 130, 0), "batch": (2, 7, 1)}

    # Then whatever takes one out of its queue is seen
    claim = claimed(store, first.job_id)
    assert waiting(redis) == {"interactive": (1, 30, 0), "batch": (2, 7, 1)}
    store.request_cancellation(to_import.job_id, nonce="n")
    assert waiting(redis) == {"interactive": (1, 30, 0), "batch": (1, 7, 0)}

    # And whatever returns it
    store.release(claim, "transient")
    overview = read_overview(redis)
    assert (overview.delayed_jobs, waiting(redis)["interactive"]) == (1, (1, 30, 0))
    let_delay_pass(redis_client, first.job_id)
    store.due_for_notification(notifications={})
    store.due_for_notification(notifications={})
    assert (read_overview(redis).delayed_jobs, waiting(redis)["interactive"]) == (0, (2, 130, 0))
    claimed(store, first.job_id, "n2")
    reap_twice(store, redis_client)
    assert waiting(redis)["interactive"] == (2, 130, 0)


SOURCE = ("source_key", "source_size_bytes", "source_sha256", "source_container")


def test_parked_jobs_wait_in_no_queue(redis: RedisDatabase) -> None:
    # Given an owner who may have one running job, and has it
    store = JobStore(redis, lease_seconds=60, limits=OwnerLimits(running_jobs=1))
    running, parked = (submitted(store, owner="ada").job_id for _ in range(2))
    claim = claimed(store, running)

    # When another is claimed, then it is parked
    assert store.claim(parked, nonce="n2", storage_id=claim.job.storage_id) is None
    assert (read_overview(redis).parked_jobs, waiting(redis)) == (1, {})

    # And it waits again once it may run
    store.fail(running, claim.token, ErrorCode.INVALID_MEDIA, "no video")
    finish(store, running, claim.token)
    store.unpark("ada")
    assert (read_overview(redis).parked_jobs, waiting(redis)) == (0, {"interactive": (1, 10, 0)})


def test_the_oldest_is_the_one_that_waits_longest_however_often_it_was_notified(
    store: JobStore, redis: RedisDatabase, redis_client: Any
) -> None:
    # Given a job that began to wait 100 s ago, and a younger one
    oldest, _ = submitted(store), submitted(store)
    redis_client.zincrby(f"{PREFIX}jobs:waiting", -100_000, oldest.job_id)
    redis_client.zincrby(f"{PREFIX}jobs:queued", -100_000, oldest.job_id)

    # When workers are notified of it again, then it is as old as before
    assert store.due_for_notification(notifications={})
    interactive, batch = read_overview(redis).queues
    assert interactive.oldest_seconds == pytest.approx(100, abs=5)
    assert batch.oldest_seconds == 0


def test_jobs_that_an_older_version_has_queued_are_counted(
    store: JobStore, redis: RedisDatabase, redis_client: Any
) -> None:
    # Given a job as a version without these counts leaves it
    job = submitted(store, source_size_bytes=100)
    redis_client.delete(f"{PREFIX}jobs:waiting", f"{PREFIX}jobs:waiting:sums")
    redis_client.hincrby(f"{PREFIX}job:{job.job_id}", "created_ms", -50_000)

    # Then it counts, from when it was submitted
    (interactive, _) = read_overview(redis).queues
    assert (interactive.jobs, interactive.size_bytes) == (1, 100)
    assert interactive.oldest_seconds == pytest.approx(50, abs=5)
    # And is counted no more once it is claimed
    claimed(store, job.job_id)
    assert waiting(redis) == {}


def test_jobs_of_all_owners_are_counted_by_status(store: JobStore, redis: RedisDatabase) -> None:
    for owner in ("ada", "bob"):
        submitted(store, owner=owner)
    claim = claimed(store, submitted(store, owner="eve").job_id)
    store.fail(claim.job.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video")
    assert read_overview(redis).counts[Status.PROCESSING] == 1
    finish(store, claim.job.job_id, claim.token)

    counts = read_overview(redis).counts
    assert counts == {**dict.fromkeys(Status, 0), Status.QUEUED: 2, Status.FAILED: 1}


def a_worker(redis: RedisDatabase, name: str) -> None:
    member = Member(
        name=name,
        role="worker",
        storage_id="s1",
        storage="/srv/clips",
        exclusive=False,
        process=replace(ProcessIdentity.own(), host=f"{name}.example.com", boot_id=name),
        queues=("interactive", "batch"),
        slots=2,
    )
    Guard(redis, member, member_id=name).join()


def test_each_worker_is_shown_with_what_it_runs(store: JobStore, redis: RedisDatabase, redis_client: Any) -> None:
    # Given two workers, one of which runs two jobs, and a front end that completes one from the result cache
    for name in ("host-a46c79", "host-b"):
        a_worker(redis, name)
    older, younger = (submitted(store, source_size_bytes=size).job_id for size in (100, 50))
    claimed(store, younger)
    claim = claimed(store, older, "n2")
    redis_client.hincrby(f"{PREFIX}job:{older}", "claimed_ms", -60_000)
    store.heartbeat(claim, percent=40, stage="video_analysis")
    claimed(JobStore(redis, lease_seconds=60), submitted(store).job_id, "n3")

    # When the fleet is read
    fleet = read_fleet(redis)

    # Then the jobs are with the worker that holds them, since when it does
    busy, idle = fleet.workers
    assert [one.member.name for one in fleet.workers] == ["host-a46c79", "host-b"]
    assert [(job.job_id, job.progress_percent, job.stage) for job in busy.running] == [
        (older, 40, "video_analysis"),
        (younger, 0, ""),
    ]
    assert busy.running[0].age.total_seconds() == pytest.approx(60, abs=5)
    assert busy.running[1].age < timedelta(seconds=5)
    assert idle.running == ()
    assert (fleet.slots, fleet.busy_slots) == (4, 2)

    # And a job that was taken from it is no longer there
    store.release(claim, "preempted")
    assert [job.job_id for job in read_fleet(redis).workers[0].running] == [younger]


def test_the_speed_is_that_of_the_latest_analyses(store: JobStore, redis: RedisDatabase) -> None:
    def completed(work: Work | None) -> None:
        claim = claimed(store, submitted(store).job_id)
        for _ in range(2):  # as when the answer to the first call is lost
            store.commit(claim, attempt_prefix=f"{claim.job.job_id}/", result_sha256="0" * 64, work=work)
        finish(store, claim.job.job_id, claim.token)

    # Given no analysis, or a result that was taken over
    completed(None)
    assert read_overview(redis).speed is None

    # When jobs are analysed, then the later ones weigh more
    completed(Work(1000, 2.0))
    assert read_overview(redis).speed == Speed(1, 1000, 2.0)
    for _ in range(200):
        completed(Work(4000, 1.0))
    speed = read_overview(redis).speed
    assert speed is not None
    assert speed.size_bytes / speed.seconds == pytest.approx(4000, rel=0.01)
    assert speed.size_bytes / speed.jobs == pytest.approx(4000, rel=0.01)


SPEED = Speed(jobs=10, size_bytes=10_000, seconds=100)
"""10 ms for each byte, 1000 bytes for each job."""


def overview(*queues: tuple[int, int, int], speed: Speed | None = SPEED) -> JobsOverview:
    pairs = zip(Queue, [*queues, (0, 0, 0), (0, 0, 0)], strict=False)
    sums = tuple(WaitingJobs(queue, jobs, 1, size, unsized) for queue, (jobs, size, unsized) in pairs)
    return JobsOverview(sums, 0, 0, {}, (), speed)


def a_job(size_bytes: int, percent: int) -> HeldJob:
    return HeldJob("job_x", "ada", "", percent, timedelta(), "w", size_bytes)


@pytest.mark.parametrize(
    ("jobs", "running", "slots", "seconds"),
    [
        (overview(), [], 0, 0),
        (overview(speed=None), [], 4, 0),
        (overview((8, 8000, 0)), [], 4, 20),
        (overview((4, 4000, 0), (4, 4000, 0)), [], 4, 20),
        # No more slots than there are jobs
        (overview((2, 8000, 0)), [], 4, 40),
        # What is left of a running job counts, and nothing is over before
        (overview((3, 3000, 0)), [a_job(4000, 75)], 2, 20),
        (overview((1, 10, 0)), [a_job(4000, 25)], 2, 30),
        # Of unknown size
        (overview((4, 0, 4)), [a_job(0, 0)], 1, 50),
        # Unknown: nobody works, or nothing was measured
        (overview((1, 1, 0)), [], 0, None),
        (overview((1, 1, 0), speed=None), [], 1, None),
    ],
)
def test_the_estimate(jobs: JobsOverview, running: list[HeldJob], slots: int, seconds: float | None) -> None:
    assert seconds_to_empty(jobs, running, slots=slots) == (None if seconds is None else pytest.approx(seconds))


def test_reading_it_costs_the_same_however_many_jobs_have_finished(
    store: JobStore, redis: RedisDatabase, redis_client: Any
) -> None:
    def commands() -> int:
        read_fleet(redis)  # its script is loaded then
        before = sum(one["calls"] for one in redis_client.info("commandstats").values())
        read_fleet(redis)
        CounterStore(redis).read()
        return int(sum(one["calls"] for one in redis_client.info("commandstats").values()) - before)

    def finish_some(count: int) -> None:
        for _ in range(count):
            claim = claimed(store, submitted(store).job_id)
            store.fail(claim.job.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video")
            finish(store, claim.job.job_id, claim.token)

    finish_some(3)
    few = commands()
    finish_some(300)
    assert commands() == few


class Life:
    """All kinds of things that happen to jobs, by chance."""

    def __init__(self, store: JobStore, admin: JobAdmin, client: Any, seed: int) -> None:
        self._store, self._admin, self._client, self._chance = store, admin, client, random.Random(seed)
        self._waiting: list[str] = []
        self._claims: list[Claim] = []
        self.sizes: dict[str, int] = {}

    def go_on(self) -> None:
        happenings = (self._submit, self._submit, self._claim, self._claim, self._release, self._fail, self._cancel)
        self._chance.choice((*happenings, self._lose, self._forget))()

    def _submit(self) -> None:
        size, queue = self._chance.choice([10, 2000]), self._chance.choice([*Queue])
        self._waiting.append(submitted(self._store, source_size_bytes=size, queue=queue).job_id)
        self.sizes[self._waiting[-1]] = size

    def _claim(self) -> None:
        for job_id in self._taken(self._waiting):
            self._claims.append(claimed(self._store, job_id, self._nonce()))

    def _release(self) -> None:
        for claim in self._taken(self._claims):
            reason: ReleaseReason = self._chance.choice(["preempted", "transient", "crashed"])
            if self._store.release(claim, reason) is Released.QUEUED:
                self._waiting.append(claim.job.job_id)

    def _fail(self) -> None:
        for claim in self._taken(self._claims):
            self._store.fail(claim.job.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video")
            finish(self._store, claim.job.job_id, claim.token)

    def _cancel(self) -> None:
        for job_id in self._taken(self._waiting):
            finish(self._store, job_id, self._store.request_cancellation(job_id, nonce=self._nonce()).token)

    def _lose(self) -> None:
        reap_twice(self._store, self._client)
        lost, self._claims = [claim.job.job_id for claim in self._claims], []
        self._waiting += [job_id for job_id in lost if current(self._store, job_id).status is Status.QUEUED]

    def _forget(self) -> None:
        for job_id in self._taken(self._waiting):
            self._admin.forget(job_id, while_it_is="queued")

    def _taken(self, some: list[T]) -> list[T]:
        """One of them, if there is any."""
        return [some.pop(self._chance.randrange(len(some)))] if some else []

    def _nonce(self) -> str:
        return self._chance.randbytes(4).hex()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_to_jobs_the_sums_are_those_of_what_waits(
    store: JobStore, redis: RedisDatabase, redis_client: Any, seed: int
) -> None:
    # Given jobs to which all kinds of things happen
    life = Life(store, JobAdmin(redis), redis_client, seed)
    for _ in range(150):
        life.go_on()

    # Then what is summed up is what is in the queues
    for queue, suffix in {"interactive": "", "batch": ":batch"}.items():
        queued = set(redis_client.zrange(f"{PREFIX}jobs:queued{suffix}", 0, -1))
        assert set(redis_client.zrange(f"{PREFIX}jobs:waiting{suffix}", 0, -1)) == queued
        expected = (len(queued), sum(life.sizes[job_id] for job_id in queued), 0)
        assert waiting(redis).get(queue, (0, 0, 0)) == expected
