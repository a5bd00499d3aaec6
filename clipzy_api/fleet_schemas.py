"""The answer to `GET /fleet`, which clients read with these models too."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field

from clipzy_storage.models.answers import JobId, Timestamp
from clipzy_storage.models.records import Queue

if TYPE_CHECKING:  # clients have no Redis
    from clipzy_storage.fleet import fleet as fleets
    from clipzy_storage.jobs.overview import HeldJob


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class RunningJob(_Part):
    """A job that a worker runs."""

    job_id: JobId | None
    """Null if it belongs to another owner, unless the key has the scope `admin`."""
    current_stage: str | None
    progress_percent: int = Field(ge=0, le=100)
    running_seconds: float = Field(ge=0)
    """Since the worker claimed it."""
    started_at: Timestamp
    """When that was; the job may have been claimed before, by others."""


class FleetWorker(_Part):
    """A worker with a current heartbeat."""

    name: str
    """As in the log, in `clipzy doctor` and, after `clipzy@`, in Flower."""
    queues: list[Queue]
    """Those that it takes jobs from, the preferred one first."""
    slots: int = Field(ge=0)
    """How many jobs it runs at a time."""
    running: list[RunningJob]
    """The one that it has run for longest first."""


class FleetQueue(_Part):
    """The jobs that wait in one queue for a worker."""

    queue: Queue
    jobs: int = Field(ge=0)
    oldest_seconds: float | None
    """How long the one that waits longest has been waiting for a worker; null if none waits."""
    size_bytes: int = Field(ge=0)
    """Of their videos; those that are yet to be imported count as 0."""


class Fleet(_Part):
    """All live workers, and what waits for them."""

    workers: list[FleetWorker]
    """By name."""
    queues: list[FleetQueue]
    delayed_jobs: int = Field(ge=0)
    """Jobs that wait for their time, after a transient error; in no queue until then."""
    parked_jobs: int = Field(ge=0)
    """Jobs that wait until another one of their owner has finished; in no queue until then."""
    estimated_seconds_to_empty: float | None
    """How long the workers will need for what waits in the queues and what they run; null if unknown."""

    @classmethod
    def of(cls, fleet: "fleets.Fleet", *, owner: str | None) -> Self:
        """``owner`` is the one whose jobs are named; None for all."""
        now, estimate = datetime.now(UTC), fleet.seconds_to_empty

        def shown(job: "HeldJob") -> RunningJob:
            return RunningJob(
                job_id=job.job_id if owner in (None, job.owner) else None,
                current_stage=job.stage or None,
                progress_percent=job.progress_percent,
                running_seconds=round(job.age.total_seconds(), 1),
                started_at=now - job.age,
            )

        return cls(
            workers=[
                FleetWorker(
                    name=one.member.name,
                    queues=[Queue(queue) for queue in one.member.queues],
                    slots=one.member.slots,
                    running=[shown(job) for job in one.running],
                )
                for one in fleet.workers
            ],
            queues=[
                FleetQueue(
                    queue=one.queue,
                    jobs=one.jobs,
                    oldest_seconds=round(one.oldest_seconds, 1) if one.jobs else None,
                    size_bytes=one.size_bytes,
                )
                for one in fleet.jobs.queues
            ],
            delayed_jobs=fleet.jobs.delayed_jobs,
            parked_jobs=fleet.jobs.parked_jobs,
            estimated_seconds_to_empty=None if estimate is None else round(estimate, 1),
        )
