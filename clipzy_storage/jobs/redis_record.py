"""A job as its hash in Redis holds it, and how the hash is read."""

import json
from datetime import UTC, datetime
from typing import Any

from clipzy_storage.errors import Damaged
from clipzy_storage.models.records import Job, JobError, Status

UNCHANGING = {
    "schema_version",
    "owner",
    "job_id",
    "video_id",
    "filename",
    "source_key",
    "source_size_bytes",
    "source_sha256",
    "source_container",
    "storage_id",
    "config",
    "idempotency_key",
    "idempotency_fingerprint",
}
_STATUS = {"running": Status.PROCESSING, "committing": Status.PROCESSING}


def unchanging_part(job: Job) -> str:
    """What the hash keeps as one JSON text."""
    return job.model_dump_json(include=UNCHANGING)


def job_of(answer: Any) -> Job:
    """A record from a hash, given as a mapping or as the flat list that a script answers.

    Raises ``Damaged`` where it cannot be understood.
    """
    fields = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
    try:
        return _job(fields)
    except (KeyError, ValueError) as error:
        raise Damaged(f"the record of {_name_of(fields)} in Redis cannot be understood") from error


def _job(fields: Any) -> Job:
    status = _STATUS.get(fields["state"]) or Status(fields["state"])
    error = None
    if status is Status.FAILED:
        error = JobError(
            code=fields["error_code"], stage=fields["error_stage"] or None, message=fields["error_message"]
        )
    return Job(
        **json.loads(fields["record"]),
        created_at=_moment(fields["created_ms"]),
        status=status,
        progress_percent=int(fields["progress"]),
        current_stage=(fields.get("stage") or None) if status is Status.PROCESSING else None,
        attempt=int(fields["attempt"]),
        started_at=_moment(fields.get("started_ms")),
        finished_at=_moment(fields.get("finished_ms")) if status.is_final else None,
        error=error,
        revision=int(fields["revision"]),
        expired="expired" in fields,
        pipeline_version=(fields.get("pipeline_version") or None) if status is Status.COMPLETED else None,
    )


def _name_of(fields: Any) -> str:
    try:
        return str(json.loads(fields["record"])["job_id"])
    except (KeyError, ValueError, TypeError):
        return "a job"


def milliseconds(moment: datetime | None) -> int | str:
    """As scripts take a time; empty for none."""
    return int(moment.timestamp() * 1000) if moment else ""


def _moment(text: str | None) -> Any:
    return datetime.fromtimestamp(int(text) / 1000, UTC) if text else None
