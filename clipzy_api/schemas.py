"""The bodies of requests and answers: what they are made with, and what the OpenAPI document says of them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from flask import Response, jsonify
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.json_schema import SkipJsonSchema

from clipzy_api.inputs.pagination import MAX_PAGE, MAX_PAGE_SIZE
from clipzy_storage.models import output, records
from clipzy_storage.models.job_config import JobConfig

_JOB_ID, _VIDEO_ID = "job_01m81bjpv79tb3zakvwp78vdzw", "vid_01m81bjpv3rgjp4c18v8p81aj2"
JobId = Annotated[str, Field(pattern="^job_[0-9a-hjkmnp-tv-z]{26}$", examples=[_JOB_ID])]
VideoId = Annotated[str, Field(pattern="^vid_[0-9a-hjkmnp-tv-z]{26}$", examples=[_VIDEO_ID])]
Address = Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
Timestamp = Annotated[datetime, PlainSerializer(records.rfc3339, return_type=str, when_used="json")]


def _left_out(schema: dict[str, Any]) -> None:
    """What is not there is left out, and not null."""
    del schema["default"]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class _Request(_Body):
    model_config = ConfigDict(extra="forbid")


class Upload(_Request):
    """A form with one file and nothing else."""

    file: bytes
    """The video: mp4, mov, avi, mkv or webm, recognised by its content. The part needs a file name."""


class JobUpload(_Request):
    """A form with one file and, before or after it, what to do with it."""

    file: bytes
    """The video: mp4, mov, avi, mkv or webm, recognised by its content. The part needs a file name."""
    config: JobConfig = JobConfig()
    """As JSON text of at most 16 KiB."""


class JobRequest(_Request):
    """A job on a video that was uploaded before."""

    video_id: VideoId
    config: JobConfig = JobConfig()


class JobsQuery(_Request):
    """What to list."""

    status: records.Status | SkipJsonSchema[None] = Field(default=None, json_schema_extra=_left_out)
    """Only jobs of this status."""
    page: int = Field(default=1, ge=1, le=MAX_PAGE)
    page_size: int = Field(default=20, ge=1, le=MAX_PAGE_SIZE)


class Video(_Body):
    """An uploaded file."""

    video_id: VideoId
    filename: str
    """What the client called it; shown, and never part of a path."""
    size_bytes: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    uploaded_at: Timestamp

    @classmethod
    def of(cls, video: records.Video) -> Self:
        return cls(**video.model_dump(include=set(cls.model_fields)))


class ResultLink(_Body):
    """Where `output.json` lies."""

    storage_url: Address
    """A path on this server, or a pre-signed URL of S3, signed again for every answer."""
    expires_at: Timestamp | None
    """When the link expires; null if it does not."""


class JobError(_Body):
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
    "created_at": "2026-01-31T12:00:00.000Z",
    "started_at": "2026-01-31T12:00:00.007Z",
    "finished_at": "2026-01-31T12:00:02.350Z",
    "result": {"storage_url": f"/storage/results/{_JOB_ID}/output.json", "expires_at": None},
    "error": None,
}


class Job(_Body):
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
    """Tries of a worker so far; 0 while the job waits for its first."""
    config: dict[str, Any]
    """As the client sent it: a field that is not in it has its default."""
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    result: ResultLink | None
    """Null until completed, and again after it has expired."""
    error: JobError | None
    """Null unless failed."""

    @classmethod
    def of(cls, job: records.Job, link: records.Link | None) -> Self:
        """The job as every answer shows it; ``link`` leads to its ``output.json`` once it is completed."""
        shown = job.model_dump(include=set(cls.model_fields))
        result = None if link is None else ResultLink(storage_url=link.url, expires_at=link.expires_at)
        return cls(**shown, result=result)


class JobPage(_Body):
    """One page of jobs, newest first."""

    jobs: list[Job]
    total: int = Field(ge=0)
    """On all pages together."""
    page: int = Field(ge=1)
    page_size: int = Field(ge=1, le=MAX_PAGE_SIZE)


class LinkedArtifact(output.Artifact):
    """One file that the job wrote, with a link to it."""

    storage_url: Address


class Result(output.Output):
    """The whole of `output.json`, with fresh links."""

    artifacts: list[LinkedArtifact]  # type: ignore[assignment] # read only, so that a narrower list is one


class Alive(_Body):
    status: Literal["ok"]


class Ready(_Body):
    status: Literal["ok"]
    redis: Literal["ok"]
    storage: Literal["ok"]
    guard: Literal["ok"]
    live_workers: int | None
    """How many workers beat; none is needed to take a job."""


class Problem(_Body):
    """An error, as RFC 9457 says. More members may join these."""

    title: str
    status: int
    detail: str
    """For a person: what was found and what to do."""
    code: str
    """For a program; see each answer."""
    field: str | SkipJsonSchema[None] = Field(default=None, json_schema_extra=_left_out)
    """With `MISSING_FIELD` and `INVALID_FIELD`: which one."""
    request_id: str | SkipJsonSchema[None] = Field(default=None, json_schema_extra=_left_out)
    """With `INTERNAL`: what to ask the operator about."""


class NotReady(Problem):
    """Which part is not ready."""

    redis: Literal["ok", "unavailable"]
    storage: Literal["ok", "unavailable"]
    guard: Literal["ok", "unavailable"]
    live_workers: int | None
    """Null where nobody can tell."""


def json_response(body: BaseModel) -> Response:
    """The body as JSON, fields in the order of its model."""
    return jsonify(body.model_dump(mode="json"))
