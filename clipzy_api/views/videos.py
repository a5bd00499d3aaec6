"""Videos: uploading, showing and deleting them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
from flask import Blueprint, Response, url_for

from clipzy_api import request_schemas, schemas
from clipzy_api.inputs.idempotency import REPLAYED, fingerprinted, sent_key
from clipzy_api.inputs.preconditions import (
    MULTIPART,
    RAW,
    admit,
    refuse_fields,
    refuse_parameters,
    require_media_type,
)
from clipzy_api.links import absolute
from clipzy_api.openapi.operations import (
    CONTENT_DIGEST,
    CONTENT_DISPOSITION,
    DELETED,
    FILE_CONTENT,
    IDEMPOTENCY_KEY,
    NO_FIELDS_PROBLEMS,
    Answer,
    described,
)
from clipzy_api.problems import video_not_found
from clipzy_api.schemas import json_response
from clipzy_api.services import owner, services
from clipzy_api.video_uploads import store_body, store_form
from clipzy_storage import keys
from clipzy_storage.errors import NotFound, StorageError, StorageUnavailable
from clipzy_storage.jobs import deletion
from clipzy_storage.jobs.durable_records import read_video
from clipzy_storage.jobs.rollback import Rollback
from clipzy_storage.jobs.types import IdempotencyKey
from clipzy_storage.log_events import STORAGE_DAMAGED
from clipzy_storage.models.records import Video

REFUSED_UPLOADS = (
    "TRUNCATED_UPLOAD",
    "FILE_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "MISSING_FIELD",
    "INVALID_FIELD",
    "UNSUPPORTED_FORMAT",
    "IDEMPOTENCY_MISMATCH",
    "QUEUE_UNAVAILABLE",
    "STORAGE_UNAVAILABLE",
    "OVERLOADED",
    "STORAGE_FULL",
)

videos = Blueprint("videos", __name__)

log = structlog.stdlib.get_logger(__name__)


@videos.post("/videos")
@described(
    "Upload a video",
    [Answer(201, "The video.", schemas.Video, ("Location", "Idempotent-Replayed"))],
    takes={MULTIPART: request_schemas.Upload, RAW[0]: FILE_CONTENT[RAW[0]]},
    query=request_schemas.UploadQuery,
    problems=[*REFUSED_UPLOADS, "LENGTH_REQUIRED", "DIGEST_MISMATCH", "VIDEO_NOT_FOUND", "QUOTA_EXCEEDED"],
    headers=[IDEMPOTENCY_KEY, CONTENT_DIGEST, CONTENT_DISPOSITION],
)
def upload_video() -> tuple[Response, int, dict[str, str]]:
    """As a form, or the file itself as the body, of this type or of any `video/…`.

    Any number of jobs can be submitted on the video afterwards.
    """
    is_form = require_media_type(MULTIPART, *RAW) == MULTIPART
    if is_form:
        refuse_parameters()
    text = sent_key()
    with Rollback(services().storage) as rollback:
        video = store_form(rollback)[0] if is_form else store_body(rollback)
        key = fingerprinted(text, "upload", **content_of(video))
        first_id = _add(video, key, rollback)
        if first_id == video.video_id:
            rollback.commit()
    if first_id != video.video_id:
        return _created(find_video(first_id), REPLAYED)
    return _created(video, {})


def _add(video: Video, key: IdempotencyKey | None, rollback: Rollback) -> str:
    """The id of the first video that was uploaded under this key: this one's, unless it is a replay.

    Raises ``IdempotencyMismatch``, ``QuotaExceeded``, ``QueueUnavailable``.
    """
    with rollback.committed_if_redis_may_know():
        submitted = services().store.accounts.add_video(video, key=key)
    return submitted.first_id


def _created(video: Video, headers: dict[str, str]) -> tuple[Response, int, dict[str, str]]:
    location = absolute(url_for("videos.show_video", video_id=video.video_id))
    return json_response(schemas.Video.of(video)), 201, {"Location": location, **headers}


@videos.get("/videos/<video_id>")
@described("Show a video", [Answer(200, "The video.", schemas.Video)], problems=["STORAGE_UNAVAILABLE"])
def show_video(video_id: str) -> Response:
    """Its size, digest and file name."""
    return json_response(schemas.Video.of(find_video(video_id)))


@videos.delete("/videos/<video_id>")
@described(
    "Delete a video",
    [DELETED],
    problems=["VIDEO_IN_USE", *NO_FIELDS_PROBLEMS, "QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE"],
)
def delete_video(video_id: str) -> Response:
    """Refused while an unfinished job uses it. Finished jobs keep their results."""
    refuse_parameters()
    admit()
    refuse_fields()
    deletion.delete_video(services().storage, services().admin, find_video(video_id))
    return Response(status=204)


def content_of(video: Video) -> dict[str, str | int | None]:
    """What the client sent when it uploaded the video, for the fingerprint of its ``Idempotency-Key``."""
    return {"sha256": video.sha256, "size_bytes": video.size_bytes, "filename": video.filename}


def find_video(video_id: str, *, has_link: bool = False) -> Video:
    """Raises ``ApiError`` 404 if there is none, or it belongs to another owner; who ``has_link`` needs to be none."""
    if keys.is_video_id(video_id):
        with suppress(NotFound), _hidden_if_damaged():
            video = read_video(services().storage, video_id)
            if has_link or video.owner == owner():
                return video
    raise video_not_found()


@contextmanager
def _hidden_if_damaged() -> Iterator[None]:
    """A damaged record does not say whose it is, so where there are several owners it belongs to none of them."""
    try:
        yield
    except (NotFound, StorageUnavailable):
        raise
    except StorageError as error:
        if services().settings.auth != "keys":
            raise
        log.error(STORAGE_DAMAGED, reason=str(error))
        raise video_not_found() from None
