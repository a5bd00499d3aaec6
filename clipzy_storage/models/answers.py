"""A job as its clients see it: in answers of the API, and in what is sent to its webhook."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, PlainSerializer
from pydantic_core import core_schema

from clipzy_storage.models import records
from clipzy_storage.models.job_config import JobConfig

_JOB_ID, _VIDEO_ID = "job_01m81bjpv79tb3zakvwp78vdzw", "vid_01m81bjpv3rgjp4c18v8p81aj2"
JobId = Annotated[str, Field(pattern="^job_[0-9a-hjkmnp-tv-z]{26}$", examples=[_JOB_ID])]
VideoId = Annotated[str, Field(pattern="^vid_[0-9a-hjkmnp-tv-z]{26}$", examples=[_VIDEO_ID])]
Address = Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
Timestamp = Annotated[datetime, PlainSerializer(records.rfc3339, return_type=str, when_used="json")]


class _AsSent:
    """A ``config`` with the JSON schema of ``JobConfig``, neither validated nor completed with defaults."""

    @staticmethod
    def __get_pydantic_core_schema__(_source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            lambda value, _validate: value,
            handler.generate_schema(JobConfig),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )


class Body(BaseModel):
    """One JSON object."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ResultLink(Body):
    """Where to fetch `output.json`."""

    storage_url: Address
    """A path on this server, or a pre-signed URL of S3, signed again for every answer."""
    expires_at: Timestamp | None
    """When the link expires; null if it does not."""


class JobError(Body):
    """Why a job failed."""

    code: records.ErrorCode
    stage: str | None
    message: str


_A_JOB: dict[str, Any] = {
    "job_id": _JOB_ID,
    "video_id": _VIDEO_ID,
    "filename": "holiday.mp4",
    "status": "completed",
    "progress_percent": 100,
    "current_stage": None,
    "attempt": 1,
    "config": {},
    "queue": "interactive",
    "created_at": "2026-01-31T12:00:00.000Z",
    "started_at": "2026-01-31T12:00:00.007Z",
    "finished_at": "2026-01-31T12:00:02.350Z",
    "result": {"storage_url": f"/storage/results/{_JOB_ID}/output.json", "expires_at": None},
    "error": None,
}


class Job(Body):
    """One processing run over a video."""

    model_config = ConfigDict(json_schema_extra={"examples": [_A_JOB]})

    job_id: JobId
    video_id: VideoId
    filename: str
    status: records.Status
    """`completed`, `failed` and `cancelled` never change again."""
    progress_percent: int = Field(ge=0, le=100)
    """Never falls; 100 only when completed."""
    current_stage: str | None
    """Null unless processing."""
    attempt: int = Field(ge=0)
    """Attempts so far; 0 before the first."""
    config: Annotated[dict[str, Any], _AsSent]
    """As the client sent it; a missing field has its default."""
    queue: records.Queue
    """Where it waits for a worker: jobs of `batch` let those of `interactive` pass."""
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    result: ResultLink | None
    """Null until completed, and after it has expired."""
    error: JobError | None
    """Null unless failed."""

    @classmethod
    def of(cls, job: records.Job, link: records.Link | None) -> Self:
        """The job as every answer shows it; ``link`` leads to its ``output.json``, and is None unless completed."""
        shown = job.model_dump(include=set(cls.model_fields))
        result = None if link is None else ResultLink(storage_url=link.url, expires_at=link.expires_at)
        return cls(**shown, result=result)
