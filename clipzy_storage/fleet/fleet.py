"""The workers of the deployment, what each runs, what waits, and how long that will take."""

from dataclasses import dataclass

from clipzy_storage.guard.members import Member, live_workers
from clipzy_storage.jobs.overview import HeldJob, JobsOverview, read_overview
from clipzy_storage.redis_client import RedisDatabase


@dataclass(frozen=True)
class FleetWorker:
    """A worker with a current heartbeat."""

    member: Member
    running: tuple[HeldJob, ...]
    """The jobs that it holds, those that it has held for longest first."""

    @property
    def busy_slots(self) -> int:
        """At most ``member.slots``: a job whose lease is still to expire may be held beside those that run."""
        return min(len(self.running), self.member.slots)


@dataclass(frozen=True)
class Fleet:
    workers: tuple[FleetWorker, ...]
    """By name."""
    jobs: JobsOverview

    @property
    def slots(self) -> int:
        return sum(worker.member.slots for worker in self.workers)

    @property
    def busy_slots(self) -> int:
        return sum(worker.busy_slots for worker in self.workers)

    @property
    def seconds_to_empty(self) -> float | None:
        """How long the live workers will need for what waits in the queues and what they run; None if unknown."""
        running = [job for worker in self.workers for job in worker.running]
        return seconds_to_empty(self.jobs, running, slots=self.slots)


def read_fleet(redis: RedisDatabase) -> Fleet:
    """As it is now. Raises ``QueueUnavailable``."""
    jobs, members = read_overview(redis), live_workers(redis)
    held: dict[str, list[HeldJob]] = {}
    for job in sorted(jobs.held, key=lambda job: job.age, reverse=True):
        held.setdefault(job.worker, []).append(job)
    found = sorted(members.values(), key=lambda member: member.name)
    return Fleet(tuple(FleetWorker(member, tuple(held.get(member.name, ()))) for member in found), jobs)


def seconds_to_empty(jobs: JobsOverview, running: list[HeldJob], *, slots: int) -> float | None:
    """By the time that the latest analyses took for each byte; a video of unknown size is taken for one of their mean.

    All slots share the work, but no more of them than there are jobs, and nothing is over before what runs is done.
    None if there is work and no slot, or if nothing was analysed yet.
    """
    waiting = sum(queue.jobs for queue in jobs.queues)
    if not waiting and not running:
        return 0.0
    if not slots or jobs.speed is None or not jobs.speed.size_bytes:
        return None
    mean_bytes = jobs.speed.size_bytes / jobs.speed.jobs
    left = [(job.size_bytes or mean_bytes) * (1 - job.progress_percent / 100) for job in running]
    waiting_bytes = sum(queue.size_bytes + queue.unsized_jobs * mean_bytes for queue in jobs.queues)
    shared = (waiting_bytes + sum(left)) / min(slots, waiting + len(running))
    return max(shared, *left, 0.0) * jobs.speed.seconds / jobs.speed.size_bytes
