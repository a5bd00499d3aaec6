"""Videos and jobs as Redis and storage hold them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from clipzy_storage import keys

SCHEMA_VERSION = 1
EVERYONE = "everyone"
"""The owner of all videos and jobs, as long as there are no API keys."""


@dataclass(frozen=True)
class Link:
    """Where a client can fetch a file."""

    url: str
    expires_at: datetime | None = None
    """None if the link does not expire."""


class Queue(StrEnum):
    """Where a job waits for a worker."""

    INTERACTIVE = "interactive"
    """Somebody waits for the result."""
    BATCH = "batch"
    """The result may take a while; jobs of the other queue go first."""


class Status(StrEnum):
    """The state of a job as clients see it."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the state is terminal: it never changes again."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class ErrorCode(StrEnum):
    """Why a job failed."""

    INVALID_MEDIA = "INVALID_MEDIA"
    """The file is damaged or not a supported video; another attempt would fail as well."""
    JOB_TIMEOUT = "JOB_TIMEOUT"
    """The attempt took longer than ``PROCESSING_TIMEOUT_SECONDS``."""
    WORKER_LOST = "WORKER_LOST"
    """Workers were lost too often during the job."""
    RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
    """The result would exceed ``MAX_RESULT_MB``; another attempt would fail as well."""
    IMPORT_FAILED = "IMPORT_FAILED"
    """The video could not be fetched from its ``source_url``, or may not be kept."""
    PROCESSING_FAILED = "PROCESSING_FAILED"
    """An internal error, or the job was interrupted too often."""


def _upload_key(key: str) -> str:
    if not keys.is_upload(key):
        raise ValueError("not the key of an upload")
    return key


UploadKey = Annotated[str, AfterValidator(_upload_key)]
"""A key under ``uploads/``: a damaged or forged record must not have a worker read another file."""


class _Record(BaseModel):
    """Fields that a later version added are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Video(_Record):
    """One uploaded file, as the ``video.json`` next to it describes it."""

    schema_version: int = SCHEMA_VERSION
    """Of the record; a version that this Clipzy does not know is not read."""
    owner: str = EVERYONE
    """Who may see and use the video."""
    video_id: str
    """``vid_…``, see ``keys.new_id``."""
    filename: str
    """As the client sent it; never part of a key."""
    key: UploadKey
    """Where the file is in storage."""
    container: str
    """The recognised container, which is also the extension of the key."""
    size_bytes: int
    """Size of the file."""
    sha256: str | None = None
    """Hex digest of the file; None until a worker has read one that this service did not receive as a whole."""
    declared_sha256: str | None = None
    """Hex digest that the client said the file has, if this service did not receive it; not compared yet."""
    uploaded_at: datetime
    """When the upload had been received."""


UploadKind = Literal["tus", "s3"]
"""How the bytes of an upload arrive: in requests to front ends, or from the client to the S3 service directly."""


class Upload(_Record):
    """A file on its way in over several requests, as ``upload.json`` describes it from the first one on."""

    schema_version: int = SCHEMA_VERSION
    """Of the record; a version that this Clipzy does not know is not read."""
    owner: str = EVERYONE
    """Who may see and continue the upload."""
    upload_id: str
    """``vid_…``: the video that it becomes has the same id."""
    kind: UploadKind = "tus"
    """How its bytes arrive."""
    filename: str
    """As the client sent it; never part of a key."""
    metadata: str = ""
    """What the client sent about the file, as it is to be returned."""
    size_bytes: int
    """How large the file will be."""
    sha256: str | None = None
    """Its hex digest, as the client said it when it began; only of kind ``s3``."""
    created_at: datetime
    """When the upload was begun."""

    @classmethod
    def begun_now(cls, *, upload_id: str | None = None, **fields: Any) -> Self:
        """One that begins, with a new id unless it has one; ``fields`` are those that are not defaults."""
        return cls(upload_id=upload_id or keys.new_id("vid"), created_at=datetime.now(UTC), **fields)


@dataclass(frozen=True)
class SourceFile:
    """The file of a video, as a job knows it."""

    key: str
    """Where it is in storage."""
    container: str
    size_bytes: int
    sha256: str | None
    """Hex digest; None if it was not known when the job was submitted."""


@dataclass(frozen=True)
class VideoToImport:
    """A video that a worker is to fetch."""

    owner: str
    video_id: str
    """Under which it will exist."""
    filename: str
    url: str = field(repr=False)
    """May hold secrets: see ``Job.source_url``."""


class JobError(_Record):
    """Why a job failed, and where."""

    code: ErrorCode
    """The cause, for programs."""
    stage: str | None
    """The stage that failed; None outside the stages."""
    message: str
    """The cause, for people."""


class Job(_Record):
    """One job as Redis and the durable records hold it."""

    schema_version: int = SCHEMA_VERSION
    """Of the record; a version that this Clipzy does not know is not read."""
    owner: str = EVERYONE
    """Who may see and change the job."""
    job_id: str
    """``job_…``, see ``keys.new_id`` and ``keys.job_id_for_key``."""
    video_id: str
    """The analysed video."""
    filename: str
    """The video's name as the client sent it."""
    source_url: str | None = Field(default=None, repr=False)
    """Where a worker fetches the video; None for an upload, and once the job is completed.

    It may hold secrets: it is kept in the records, and is neither logged nor shown to anyone.
    """
    webhook_url: str | None = Field(default=None, repr=False)
    """Where the end of the job is announced; None if it is not. As secret as ``source_url``, and kept for good."""
    source_key: UploadKey | None = None
    """Where the video's file is in storage; None, as all about the file, as long as it is to be imported."""
    source_size_bytes: int | None = None
    """Size of that file."""
    source_sha256: str | None = None
    """Hex digest of that file; None if it was not known when the job was submitted."""
    source_container: str | None = None
    """The recognised container of that file."""
    storage_id: str
    """The identity of the storage with the file; workers on another one do not claim the job."""
    config: dict[str, Any]
    """What the client has set, as ``canonical_config`` has it."""
    queue: Queue = Queue.INTERACTIVE
    """Where the job waits for a worker."""
    created_at: datetime
    """When the job was submitted."""
    idempotency_key: str | None = None
    """The Idempotency-Key of the request, if it had one."""
    idempotency_fingerprint: str | None = None
    """A digest of what was sent with that key: the key is valid for an equal request only."""
    request_id: str | None = None
    """The id of the request that submitted the job, for the logs; None in records that have none."""
    front_end: dict[str, Any] | None = None
    """The process that submitted the job, as ``ProcessIdentity.as_dict``; only in the open record."""
    status: Status = Status.QUEUED
    """The state of the job."""
    progress_percent: int = 0
    """0 to 100, of the current attempt; 100 once the job is completed."""
    current_stage: str | None = None
    """The stage that a worker is at; None unless the job is being processed."""
    attempt: int = 0
    """The number of times that the job has been claimed."""
    started_at: datetime | None = None
    """When the job was claimed for the first time."""
    finished_at: datetime | None = None
    """When the job reached a terminal state."""
    error: JobError | None = None
    """Why the job failed; None in any other state."""
    revision: int = 0
    """Grows with every change of the record in Redis."""
    expired: bool = False
    """Whether the result was deleted at the end of its retention."""
    pipeline_version: str | None = None
    """The version of the pipeline that made the result; None unless the job is completed."""

    @model_validator(mode="after")
    def _names_its_source(self) -> Self:
        if self.source is None and self.source_url is None and self.status is not Status.COMPLETED:
            raise ValueError("neither a file nor a URL")
        return self

    @classmethod
    def for_video(cls, video: Video | VideoToImport, **fields: Any) -> Self:
        """A new job for this video; ``fields`` are ``storage_id``, ``created_at`` and those that are not defaults."""
        about = {
            "job_id": keys.new_id("job"),
            "video_id": video.video_id,
            "filename": video.filename,
            "config": {},
        }
        source = {"source_url": video.url} if isinstance(video, VideoToImport) else _source_fields(video)
        return cls(**about | source | fields)

    @property
    def source(self) -> SourceFile | None:
        """The file of the video; None while it is not known that it was imported."""
        if self.source_key is None or self.source_container is None or self.source_size_bytes is None:
            return None
        return SourceFile(self.source_key, self.source_container, self.source_size_bytes, self.source_sha256)

    def with_imported(self, video: Video) -> Self:
        """The same job, now that its video is in storage."""
        return self.model_copy(update=_source_fields(video))

    def without_url(self) -> Self:
        """The same job without the secrets that the URL of its video may hold."""
        return self.model_copy(update={"source_url": None})


def _source_fields(video: Video) -> dict[str, Any]:
    return {
        "source_key": video.key,
        "source_size_bytes": video.size_bytes,
        "source_sha256": video.sha256,
        "source_container": video.container,
    }


def rfc3339(moment: datetime | None) -> str | None:
    """UTC to the millisecond, as ``2026-01-31T12:00:00.000Z``."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
