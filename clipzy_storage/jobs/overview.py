"""All unfinished jobs at a glance: what waits, what is held, and how fast it goes."""

from dataclasses import dataclass
from datetime import timedelta

from clipzy_storage.jobs.redis_record import worker_in
from clipzy_storage.jobs.scripts import run_script
from clipzy_storage.models.records import Queue, Status
from clipzy_storage.redis_client import RedisDatabase


@dataclass(frozen=True)
class WaitingJobs:
    """The jobs that wait for a worker in one queue and are due."""

    queue: Queue
    jobs: int
    oldest_seconds: float
    """How long the one that waits longest has been waiting; 0 if none waits."""
    size_bytes: int
    """Of their videos, as far as their sizes are known."""
    unsized_jobs: int
    """How many have a video whose size is not known, since it is yet to be imported."""


@dataclass(frozen=True)
class HeldJob:
    """A job that a process holds."""

    job_id: str
    owner: str
    stage: str
    """Empty if none was reported."""
    progress_percent: int
    age: timedelta
    """Time since it was claimed."""
    worker: str
    """The name of the worker that holds it; empty if a front end does, or a reaper completes it."""
    size_bytes: int
    """Of its video; 0 if unknown."""


@dataclass(frozen=True)
class Speed:
    """What the latest analyses took, the older ones with less weight."""

    jobs: float
    size_bytes: float
    seconds: float


@dataclass(frozen=True)
class JobsOverview:
    queues: tuple[WaitingJobs, ...]
    delayed_jobs: int
    """They wait for their time, after a transient error."""
    parked_jobs: int
    counts: dict[Status, int]
    held: tuple[HeldJob, ...]
    speed: Speed | None
    """None if nothing was analysed yet."""


def read_overview(redis: RedisDatabase) -> JobsOverview:
    """As it is now, in one call whose cost does not grow with the finished jobs. Raises ``QueueUnavailable``."""
    sums, delayed, parked, counts, held, speed = run_script(redis, "overview")
    return JobsOverview(
        queues=tuple(
            WaitingJobs(queue, jobs, oldest_ms / 1000, size_bytes, unsized)
            for queue, (jobs, oldest_ms, size_bytes, unsized) in zip(Queue, sums, strict=True)
        ),
        delayed_jobs=delayed,
        parked_jobs=parked,
        counts={Status(status): jobs for status, jobs in counts},
        held=tuple(
            HeldJob(job_id, owner, stage, percent, timedelta(milliseconds=age_ms), worker_in(holder), size_bytes)
            for job_id, owner, stage, percent, age_ms, holder, size_bytes in held
        ),
        speed=_speed(*speed),
    )


def _speed(jobs: str | None, size_bytes: str | None, milliseconds: str | None) -> Speed | None:
    if not (jobs and size_bytes and milliseconds):
        return None
    return Speed(float(jobs), float(size_bytes), float(milliseconds) / 1000)
