"""Videos and jobs as records: what Redis and storage hold, and what a client is shown of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from clipzy_storage import keys

SCHEMA_VERSION = 1
EVERYONE = "everyone"  # the one owner there is until keys are issued


@dataclass(frozen=True)
class Link:
    """Where a client can fetch a file; ``expires_at`` is None if it does not expire."""

    url: str
    expires_at: datetime | None = None


class Status(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class ErrorCode(StrEnum):
    """How a job failed."""

    INVALID_MEDIA = "INVALID_MEDIA"  # the file's fault
    JOB_TIMEOUT = "JOB_TIMEOUT"
    WORKER_LOST = "WORKER_LOST"
    PROCESSING_FAILED = "PROCESSING_FAILED"  # ours


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Video(_Record):
    """One uploaded file, as ``video.json`` beside it says."""

    schema_version: int = SCHEMA_VERSION
    owner: str = EVERYONE
    video_id: str
    filename: str
    key: str
    container: str
    size_bytes: int
    sha256: str
    uploaded_at: datetime


class JobError(_Record):
    code: ErrorCode
    stage: str | None
    message: str


class Job(_Record):
    """One job as Redis and the durable records hold it."""

    schema_version: int = SCHEMA_VERSION
    owner: str = EVERYONE
    job_id: str
    video_id: str
    filename: str
    source_key: str
    source_size_bytes: int
    source_sha256: str
    source_container: str
    storage_id: str
    config: dict[str, Any]
    created_at: datetime
    idempotency_key: str | None = None  # under which it was asked for, and a digest of what was sent with it
    idempotency_fingerprint: str | None = None
    front_end: dict[str, Any] | None = None  # the process that took the request, as it writes the open record
    status: Status = Status.QUEUED
    progress_percent: int = 0
    current_stage: str | None = None
    attempt: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: JobError | None = None
    revision: int = 0  # grows with every change of the record
    expired: bool = False  # its result was kept as long as it was to be
    pipeline_version: str | None = None  # under which its result was made

    @classmethod
    def for_video(cls, video: Video, **fields: Any) -> Self:
        """A new job over this video, with ``storage_id``, ``created_at`` and any others that are not their defaults."""
        about = {
            "job_id": keys.new_id("job"),
            "video_id": video.video_id,
            "filename": video.filename,
            "source_key": video.key,
            "source_size_bytes": video.size_bytes,
            "source_sha256": video.sha256,
            "source_container": video.container,
            "config": {},
        }
        return cls(**about | fields)


def rfc3339(moment: datetime | None) -> str | None:
    """UTC to the millisecond, as ``2026-01-31T12:00:00.000Z``."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
