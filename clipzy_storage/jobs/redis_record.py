"""A job as its hash in Redis holds it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Json, TypeAdapter, ValidationError

from clipzy_storage import keys
from clipzy_storage.errors import Damaged
from clipzy_storage.jobs.types import PendingCompletion
from clipzy_storage.models.records import ErrorCode, Job, JobError, Queue, Status
from clipzy_storage.process import ProcessIdentity

UNCHANGING = {
    "schema_version",
    "owner",
    "job_id",
    "video_id",
    "filename",
    "source_url",
    "webhook_url",
    "source_key",
    "source_size_bytes",
    "source_sha256",
    "source_container",
    "storage_id",
    "config",
    "queue",
    "idempotency_key",
    "idempotency_fingerprint",
    "request_id",
}
_VISIBLE_STATUS = {"running": Status.PROCESSING, "committing": Status.PROCESSING}

Fields = Mapping[str, str]
log = structlog.stdlib.get_logger(__name__)

_EPOCH = datetime.fromtimestamp(0, UTC)
_FINAL = TypeAdapter(dict[str, str])


class _Hash(BaseModel):
    model_config = ConfigDict(extra="ignore")

    record: Json[dict[str, Any]]
    state: str
    created_ms: int
    progress: int
    attempt: int
    revision: int
    stage: str = ""
    started_ms: int | None = None
    finished_ms: int | None = None
    error_code: str = ""
    error_stage: str = ""
    error_message: str = ""
    expired: bool = False
    pipeline_version: str = ""

    def job(self) -> Job:
        """Raises ``ValueError`` if a field has a value that no job has."""
        status = _VISIBLE_STATUS.get(self.state) or Status(self.state)
        return Job(
            **self._unchanging(),
            created_at=_time(self.created_ms),
            status=status,
            progress_percent=self.progress,
            current_stage=(self.stage or None) if status is Status.PROCESSING else None,
            attempt=self.attempt,
            started_at=_time(self.started_ms),
            finished_at=_time(self.finished_ms) if status.is_final else None,
            error=self._error() if status is Status.FAILED else None,
            revision=self.revision,
            expired=self.expired,
            pipeline_version=(self.pipeline_version or None) if status is Status.COMPLETED else None,
        )

    def _unchanging(self) -> dict[str, Any]:
        container = self.record.get("source_container")
        implied = {"source_key": keys.upload(self.record.get("video_id", ""), container)} if container else {}
        return implied | self.record

    def _error(self) -> JobError:
        return JobError(code=ErrorCode(self.error_code), stage=self.error_stage or None, message=self.error_message)


def holder_json(process: ProcessIdentity, *, worker: str) -> str:
    """The process that holds a job, and the name of its worker."""
    return json.dumps(process.as_dict() | ({"worker": worker} if worker else {}))


def worker_in(holder: str) -> str:
    """The name of the worker whose process this is; empty if it is none, or not known."""
    try:
        return _Holder.model_validate_json(holder).worker
    except ValidationError:
        return ""


def unchanging_part(job: Job) -> str:
    """The fields that never change, which the hash keeps as one JSON text, without what is as usual."""
    usual = {"source_key": keys.upload(job.video_id, job.source_container or ""), "queue": Queue.INTERACTIVE}
    implied = {name for name, value in usual.items() if getattr(job, name) == value}
    return job.model_dump_json(include=UNCHANGING - implied, exclude_none=True)


def fields_of(flat: list[str]) -> dict[str, str]:
    """The flat list of names and values that a script answers, as a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def whole_fields(fields: Fields) -> dict[str, str]:
    """All fields of a hash: those of a finished job are in one of them. Raises ``ValueError``."""
    return {**fields, **_FINAL.validate_json(fields.get("final", "{}"))}


def job_of(fields: Fields) -> Job:
    """The job of one hash. Raises ``Damaged`` if the hash does not hold a job."""
    try:
        return _Hash.model_validate(whole_fields(fields)).job()
    except ValueError as error:
        raise Damaged(f"the record of {_job_id_of(fields)} in Redis does not hold a job") from error


def readable(records: Iterable[Fields]) -> Iterator[Job]:
    """The jobs of those hashes that exist; a damaged one must not hide the others."""
    for fields in records:
        try:
            if fields:
                yield job_of(fields)
        except Damaged as error:
            log.error("record.damaged", reason=str(error))


def submitted_job(job: Job, *, created_ms: int, revision: int) -> Job:
    """The job as the hash holds it once it is submitted, without reading that back."""
    return job.model_copy(update={"created_at": _time(created_ms), "revision": revision, "front_end": None})


def committed_job(claimed: Job, attempt: int, pipeline_version: str, *, finished_ms: int, revision: int) -> Job:
    """A claimed job as it will be shown once its commit is completed, without reading the hash back."""
    changes = {
        "status": Status.COMPLETED,
        "progress_percent": 100,
        "current_stage": None,
        "attempt": attempt,
        "finished_at": _time(finished_ms),
        "revision": revision,
        "pipeline_version": pipeline_version,
    }
    return claimed.model_copy(update=changes)


def pending_completion_of(fields: Fields, token: str) -> PendingCompletion:
    """The outcome that the hash holds, for the holder of ``token`` to complete. Raises ``Damaged``."""
    outcome = fields["outcome"]
    progress = "100" if outcome == Status.COMPLETED else fields["progress"]
    return PendingCompletion(
        job_of({**fields, "state": outcome, "progress": progress}),
        token,
        fields.get("attempt_folder", ""),
        fields.get("result_sha256", ""),
        cancellation_requested="cancel" in fields,
        may_have_other_attempts=fields["attempt"] != "1" or "restored" in fields or outcome != Status.COMPLETED,
    )


def milliseconds(moment: datetime | None) -> int | str:
    """A time as the scripts take it: milliseconds since the epoch, or an empty string."""
    return (moment - _EPOCH) // timedelta(milliseconds=1) if moment else ""


class _Holder(BaseModel):
    worker: str = ""


class _Named(BaseModel):
    job_id: str


def _job_id_of(fields: Fields) -> str:
    try:
        return _Named.model_validate_json(fields.get("record", "")).job_id
    except ValidationError:
        return "a job"


def _time(milliseconds: int | None) -> Any:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
