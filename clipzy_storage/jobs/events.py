"""The event log of each job: one entry for every change that a caller may see, oldest first."""

import re
from dataclasses import dataclass
from typing import Any, Self

from clipzy_storage.models.records import Job, JobError, Status
from clipzy_storage.redis_client import RedisDatabase, translated

FIRST = "0-0"
"""The id before every entry."""
EVENT_ID = "[0-9]{1,18}-[0-9]{1,18}"
_BATCH_SIZE = 100
_SYNTHETIC = "9" * 18  # the second half of an id that no entry of a stream has


@dataclass(frozen=True)
class JobEvent:
    """A job as a caller saw it from one moment on.

    ``event_id`` grows with time; it is empty if none is known. An entry of the log has no ``error``.
    """

    event_id: str
    status: Status
    progress_percent: int
    current_stage: str | None
    attempt: int
    error: JobError | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The job as it is now, for when there is no log.

        A finished job gets the same id each time, which is never one of an entry.
        """
        event_id = ""
        if job.status.is_final:
            finished_ms = int(job.finished_at.timestamp() * 1000) if job.finished_at else 0
            event_id = f"{finished_ms}-{_SYNTHETIC}"
        return cls(event_id, job.status, job.progress_percent, job.current_stage, job.attempt, job.error)

    @property
    def position(self) -> tuple[int, ...]:
        """The position in the log, by which events are ordered."""
        return position(self.event_id)


class JobEvents:
    """The event logs of one Redis. Each is bounded, and expires an hour after its job has finished.

    Every method may raise ``QueueUnavailable``.
    """

    def __init__(self, redis: RedisDatabase) -> None:
        self._redis = redis

    def after(self, job_id: str, event_id: str, *, wait_seconds: float = 0) -> list[JobEvent]:
        """The first events after ``event_id``, waiting up to ``wait_seconds`` for one. May be empty.

        The wait must be well below the time that the client waits for any answer of Redis.
        """
        wait_ms = int(wait_seconds * 1000) or None
        with translated():
            found: Any = self._redis.client.xread({self._log_key(job_id): event_id}, count=_BATCH_SIZE, block=wait_ms)
        entries = found[0][1] if found else []
        return [_event(entry_id, fields) for entry_id, fields in entries]

    def last(self, job_id: str, *, until: str = "+") -> JobEvent | None:
        """The last event, or the last one up to the id ``until``; None if there is none."""
        with translated():
            entries: Any = self._redis.client.xrevrange(self._log_key(job_id), max=until, count=1)
        return _event(*entries[0]) if entries else None

    def _log_key(self, job_id: str) -> str:
        return self._redis.key(f"job:{job_id}:events")


def is_event_id(text: str) -> bool:
    return re.fullmatch(EVENT_ID, text) is not None


def position(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


def _event(event_id: str, fields: dict[str, str]) -> JobEvent:
    status = Status(fields["status"])
    stage = fields["stage"] if status is Status.PROCESSING else ""
    return JobEvent(event_id, status, int(fields["progress"]), stage or None, int(fields["attempt"]))
