"""The bodies and queries of requests, which are validated with them and described in the OpenAPI document."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticKnownError

from clipzy_api.exports import MAX_MEDIA_LENGTH, MEDIA_PATTERN, Of
from clipzy_storage.models import records
from clipzy_storage.models.answers import Body, VideoId
from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.outbound.target_url import MAX_URL_LENGTH

MAX_PAGE_SIZE = 100
MAX_PAGE = 1_000_000_000

Url = Annotated[str, Field(max_length=MAX_URL_LENGTH, json_schema_extra={"format": "uri"})]


def _decimal(text: str | int) -> str | int:
    """Digits only; pydantic would also accept ``+1``, ``1_0`` and ``1.0``."""
    if isinstance(text, str) and not (text.isascii() and text.isdecimal()):
        raise PydanticKnownError("int_parsing")
    return text


WholeNumber = Annotated[int, BeforeValidator(_decimal)]
PageNumber = Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_decimal)]


def _never_null(schema: dict[str, Any]) -> None:
    """A parameter is absent, and not null."""
    schema |= schema.pop("anyOf")[0]


class _Request(Body):
    model_config = ConfigDict(extra="forbid")


class Upload(_Request):
    """A form with one file."""

    file: bytes
    """The video: mp4, mov, avi, mkv or webm, recognised by its content. The part needs a file name."""


class UploadQuery(_Request):
    """The query of an upload whose body is the file itself."""

    filename: str | SkipJsonSchema[None] = None
    """The file's name; that of `Content-Disposition` counts without it."""


class DirectUploadRequest(_Request):
    """A file whose parts the client will send to the S3 service."""

    filename: str = Field(max_length=1024)
    size_bytes: int = Field(ge=1)
    """Of the whole file; at most `MAX_FILE_SIZE_MB`."""
    sha256: str | SkipJsonSchema[None] = Field(None, pattern="^[0-9a-f]{64}$")
    """Hex digest of the file. The first worker that reads the file compares it: a job on another file fails."""


class CompletedPart(_Request):
    number: int = Field(ge=1, le=10_000)
    etag: str = Field(min_length=1, max_length=200)
    """As the S3 service answered it, with or without quotes."""


class CompletedParts(_Request):
    """All parts of the file."""

    parts: list[CompletedPart] = Field(min_length=1, max_length=10_000)
    sha256: str | SkipJsonSchema[None] = Field(None, pattern="^[0-9a-f]{64}$")
    """As when the upload is begun, for a client that reads the file only once."""


class PartsQuery(_Request):
    """The query of a request for URLs."""

    numbers: str
    """Numbers of parts and ranges of them, such as `101-200,205`, at most 1,000 in all."""


class _Job(_Request):
    """What every submission may have."""

    config: JobConfig = JobConfig()
    """At most 16 KiB; as JSON text in a form."""
    queue: records.Queue = records.Queue.INTERACTIVE
    """`batch` for a job that may wait: workers take jobs of `interactive` first."""
    webhook_url: Url | SkipJsonSchema[None] = None
    """Where the end of the job is announced, if `WEBHOOK_SECRETS` is set: `http` or `https`, without a password."""


# Fields are described in the order of the base classes, the last one first.
class JobUpload(_Job, Upload):
    """A form with one file and, before or after it, the job's `config` and `queue`."""


class JobRequest(_Job):
    """A job on an uploaded video."""

    video_id: VideoId


class JobImport(_Job):
    """A job on a video that a worker fetches, where `ALLOW_URL_IMPORT` is set."""

    source_url: Url
    """Where the video is: `http` or `https`, without user and password."""


class JobsQuery(_Request):
    """Which jobs to list, and which page of them."""

    status: records.Status | None = Field(default=None, json_schema_extra=_never_null)
    """Only jobs with this status."""
    page: PageNumber | None = Field(default=None, json_schema_extra=_never_null)
    """Counted from 1, which is the default. Jobs that arrive push others to the next page."""
    cursor: str | None = Field(default=None, max_length=200, json_schema_extra=_never_null)
    """The `next_cursor` of a page, instead of `page`: jobs that arrive change nothing of what follows."""
    page_size: WholeNumber = Field(default=20, ge=1, le=MAX_PAGE_SIZE)


class ExportQuery(_Request):
    """What to export, and for which file."""

    of: Of = "shots"
    """`shots` for the video cut at all its shots, `clips` for the clips one after the other."""
    media: str | None = Field(
        default=None, max_length=MAX_MEDIA_LENGTH, pattern=MEDIA_PATTERN, json_schema_extra=_never_null
    )
    """The name, path or URL by which the editing program finds the video: by default the file name of the upload."""
