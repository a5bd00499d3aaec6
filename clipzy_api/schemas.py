"""The bodies of answers, which are made with them and described in the OpenAPI document."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from clipzy_api.request_schemas import MAX_PAGE_SIZE
from clipzy_storage.keys import MAX_KEY_LENGTH
from clipzy_storage.models import output, records
from clipzy_storage.models.access import ApiKey, Scope
from clipzy_storage.models.answers import Address, Body, Timestamp
from clipzy_storage.models.answers import Job as Job
from clipzy_storage.models.answers import JobError as JobError
from clipzy_storage.models.answers import JobId as JobId
from clipzy_storage.models.answers import VideoId as VideoId
from clipzy_storage.models.deliveries import DeliveryRecord, DeliveryStatus

if TYPE_CHECKING:  # clients read answers with these models, and have neither a server nor Redis
    from flask import Response

    from clipzy_storage.jobs.owner_limits import OwnerLimits, OwnerUsage

DeliveryId = Annotated[str, Field(pattern="^dlv_[0-9a-hjkmnp-tv-z]{26}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
FileKey = Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH)]


class Video(Body):
    """An uploaded file."""

    video_id: VideoId
    filename: str
    """The client's name for it; for display only, never part of a path."""
    size_bytes: int = Field(ge=1)
    sha256: Sha256 | None
    """Null until a worker has computed it, for a file that did not arrive as a whole at one front end."""
    uploaded_at: Timestamp

    @classmethod
    def of(cls, video: records.Video) -> Self:
        return cls(**video.model_dump(include=set(cls.model_fields)))


class SignedPart(Body):
    """Where to send one part."""

    number: int
    url: str
    """For a `PUT` whose body is the part. The answer's `ETag` is needed to complete the upload."""


class SignedParts(Body):
    """Where to send parts."""

    parts: list[SignedPart]
    expires_at: Timestamp
    """When the URLs expire; further ones can be had at any time."""


class DirectUpload(Body):
    """A direct upload that was begun."""

    upload_id: VideoId
    """Also the id of the video that it becomes."""
    part_size_bytes: int
    """Of every part but the last one."""
    parts: list[SignedPart]
    """The first 100."""
    expires_at: Timestamp
    """When the URLs expire; further ones can be had at any time."""


class JobPage(Body):
    """One page of jobs, newest first."""

    jobs: list[Job]
    total: int = Field(ge=0)
    """Of all pages."""
    page: int | None = Field(ge=1)
    """Null for a page that was asked for by its cursor."""
    page_size: int = Field(ge=1, le=MAX_PAGE_SIZE)
    next_cursor: str | None
    """Where the next page begins; null on the last one."""


class DeliveryAttempt(Body):
    """One request to the webhook."""

    attempted_at: Timestamp
    duration_seconds: float = Field(ge=0)
    status_code: int | None
    """Of the answer; null if there was none."""
    error: str | None
    """Why there was no answer."""
    response: str
    """The first 500 bytes of the answer's body."""


class Delivery(Body):
    """The announcement of a job's end to its webhook."""

    delivery_id: DeliveryId
    """The `webhook-id` of every attempt, those of replays included."""
    type: Literal["job.completed", "job.failed", "job.cancelled"]
    status: DeliveryStatus
    """`delivered` once the receiver has answered 200 to 299; `failed` when no further attempt is made."""
    next_attempt_at: Timestamp | None
    """When the next attempt is made, about; null if it is due now, or if there is none."""
    attempts: list[DeliveryAttempt]
    """The last 50, oldest first."""

    @classmethod
    def of(cls, job: records.Job, record: DeliveryRecord) -> Self:
        shown = record.model_dump(include=set(cls.model_fields))
        return cls(**shown, type=f"job.{job.status}")


class Deliveries(Body):
    """What is sent to the webhook of a job: nothing before it has finished, or if it has none."""

    deliveries: list[Delivery]


class LinkedArtifact(output.Artifact):
    """One file of the result, with a link to it."""

    storage_url: Address


class Result(output.Output):
    """`output.json`, with fresh links."""

    artifacts: list[LinkedArtifact]  # type: ignore[assignment] # the models are frozen, so a narrower list is safe


class Key(Body):
    """An API key, without its secret."""

    name: str
    scopes: list[Scope]
    expires_at: Timestamp | None
    """Null if it does not expire."""


class Limits(Body):
    """What the owner may have at a time; null is no limit."""

    unfinished_jobs: int | None
    """Jobs that wait or are processed; one more is refused."""
    running_jobs: int | None
    """Jobs that are processed; one more waits."""
    stored_bytes: int | None
    """Videos and results; one more video is refused."""
    uploads: int | None
    """Requests with a file that is being received; one more is refused."""


class Usage(Body):
    """What the owner has now."""

    unfinished_jobs: int = Field(ge=0)
    running_jobs: int = Field(ge=0)
    stored_bytes: int = Field(ge=0)
    uploads: int = Field(ge=0)


class Me(Body):
    """The caller, its owner, and what that may have and has."""

    owner: str
    key: Key | None
    """Null where no keys are asked for."""
    limits: Limits
    usage: Usage

    @classmethod
    def of(cls, owner: str, key: ApiKey | None, *, limits: "OwnerLimits", usage: "OwnerUsage") -> Self:
        shown = key and Key(name=key.name, scopes=sorted(key.scopes), expires_at=key.expires_at)
        return cls(owner=owner, key=shown, limits=Limits(**asdict(limits)), usage=Usage(**asdict(usage)))


class Alive(Body):
    status: Literal["ok"]


class Ready(Body):
    status: Literal["ok"]
    redis: Literal["ok"]
    storage: Literal["ok"]
    guard: Literal["ok"]
    live_workers: int | None
    """Workers with a current heartbeat; none is needed to accept a job."""


class Problem(Body):
    """An error as in RFC 9457. More members may be added."""

    title: str
    status: int
    detail: str
    """For people: what was found and what to do."""
    code: str
    """For programs; each answer lists its codes."""
    field: str | SkipJsonSchema[None] = None
    """With `MISSING_FIELD` and `INVALID_FIELD`: the field."""
    limit: str | SkipJsonSchema[None] = None
    """With `QUOTA_EXCEEDED`: which limit of the owner is reached, by its name in `GET /me`."""
    request_id: str | SkipJsonSchema[None] = None
    """With `INTERNAL`: the id under which the operator finds the error in the log."""


class NotReady(Problem):
    """An error that says which part is not ready."""

    redis: Literal["ok", "unavailable"]
    storage: Literal["ok", "unavailable"]
    guard: Literal["ok", "unavailable"]
    live_workers: int | None
    """Null if unknown."""


def json_response(body: BaseModel) -> "Response":
    """The body as JSON, fields in the order of its model."""
    from flask import jsonify

    return jsonify(body.model_dump(mode="json"))
