"""What was delivered to the webhook of a job, as the durable record of it holds it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from clipzy_storage import keys
from clipzy_storage.models.records import SCHEMA_VERSION, Job

KEPT_ATTEMPTS = 50


class DeliveryStatus(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    """An attempt is due, or will be."""
    DELIVERED = "delivered"
    """The receiver has answered with a status of 200 to 299."""
    FAILED = "failed"
    """No further attempt is made: the last one failed, or the receiver has answered 410."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class DeliveryAttempt(_Record):
    """One request to the receiver."""

    attempted_at: datetime
    duration_seconds: float
    status_code: int | None = None
    """Of the answer; None if there was none."""
    error: str | None = None
    """Why there was no answer, for people; it has no part of the URL."""
    response: str = ""
    """The beginning of the answer's body."""

    @property
    def is_delivered(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


class DeliveryRecord(_Record):
    """The one event of a job, and the attempts to deliver it."""

    schema_version: int = SCHEMA_VERSION
    """Of the record; a version that this Clipzy does not know is not read."""
    job_id: str
    delivery_id: str
    """The ``webhook-id`` of every attempt."""
    status: DeliveryStatus = DeliveryStatus.PENDING
    next_attempt_at: datetime | None = None
    """When the next attempt is made, about; None if it is due, or if there will be none."""
    scheduled: int = Field(default=0, ge=0)
    """How many attempts of the schedule have been made since it was begun, for the first time or by a replay."""
    attempts: tuple[DeliveryAttempt, ...] = ()
    """The last ones, oldest first."""

    @classmethod
    def first_of(cls, job: Job) -> Self:
        """That of a finished job before any attempt."""
        return cls(job_id=job.job_id, delivery_id=keys.delivery_id_for(job.job_id, job.finished_at or job.created_at))

    def after(self, attempt: DeliveryAttempt, delay_seconds: float | None) -> Self:
        """The same after one more attempt; the next one follows after this delay, or none does."""
        status = DeliveryStatus.FAILED if delay_seconds is None else DeliveryStatus.PENDING
        ended_at = attempt.attempted_at + timedelta(seconds=attempt.duration_seconds)
        changes = {
            "status": DeliveryStatus.DELIVERED if attempt.is_delivered else status,
            "next_attempt_at": None if delay_seconds is None else ended_at + timedelta(seconds=delay_seconds),
            "scheduled": self.scheduled + 1,
            "attempts": (*self.attempts, attempt)[-KEPT_ATTEMPTS:],
        }
        return self.model_copy(update=changes)

    def replayed(self) -> Self:
        """The same with its schedule begun anew."""
        return self.model_copy(update={"status": DeliveryStatus.PENDING, "next_attempt_at": None, "scheduled": 0})
