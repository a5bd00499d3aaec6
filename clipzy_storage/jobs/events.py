"""The log of each job: one entry for every change that a caller may see, oldest first."""

import re
from dataclasses import dataclass
from typing import Any, Self

from clipzy_storage.models.records import Job, JobError, Status
from clipzy_storage.redis_client import RedisDatabase, translated

FIRST = "0-0"  # before every entry
EVENT_ID = "[0-9]{1,18}-[0-9]{1,18}"
_NOT_LOGGED = "9" * 18  # the second half of an id that no entry has
_BATCH = 100


@dataclass(frozen=True)
class JobEvent:
    """What was to be seen of a job from this moment on; ``event_id`` grows with time, and is empty where none is known.

    An entry of the log does not know the ``error`` of a job that failed.
    """

    event_id: str
    status: Status
    progress_percent: int
    current_stage: str | None
    attempt: int
    error: JobError | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The job as it is, where there is no log. An end has the same id each time, and is never one of an entry."""
        event_id = ""
        if job.status.is_final:
            ended_ms = int(job.finished_at.timestamp() * 1000) if job.finished_at else 0
            event_id = f"{ended_ms}-{_NOT_LOGGED}"
        return cls(event_id, job.status, job.progress_percent, job.current_stage, job.attempt, job.error)

    @property
    def position(self) -> tuple[int, ...]:
        """By which entries of one log are in order."""
        return position(self.event_id)


class JobEvents:
    """The event logs of one Redis. Each is bounded, and expires a day after its job has finished.

    Every method may raise ``QueueUnavailable``.
    """

    def __init__(self, redis: RedisDatabase) -> None:
        self._redis = redis

    def after(self, job_id: str, event_id: str, *, wait_seconds: float = 0) -> list[JobEvent]:
        """The first of what came after ``event_id``, waiting up to ``wait_seconds`` for it. May be empty.

        The wait must be well below what the client waits for any answer.
        """
        wait_ms = int(wait_seconds * 1000) or None
        with translated():
            found: Any = self._redis.client.xread({self._log(job_id): event_id}, count=_BATCH, block=wait_ms)
        entries = found[0][1] if found else []
        return [_event(entry_id, fields) for entry_id, fields in entries]

    def last(self, job_id: str, *, until: str = "+") -> JobEvent | None:
        """The last entry, or the last up to the id ``until``; ``None`` where there is none."""
        with translated():
            entries: Any = self._redis.client.xrevrange(self._log(job_id), max=until, count=1)
        return _event(*entries[0]) if entries else None

    def _log(self, job_id: str) -> str:
        return self._redis.key(f"job:{job_id}:events")


def is_event_id(text: str) -> bool:
    return re.fullmatch(EVENT_ID, text) is not None


def position(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


def _event(event_id: str, fields: dict[str, str]) -> JobEvent:
    status = Status(fields["status"])
    stage = fields["stage"] if status is Status.PROCESSING else ""
    return JobEvent(event_id, status, int(fields["progress"]), stage or None, int(fields["attempt"]))
