"""Uploads: taking one in, and showing what is known of it."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for

from clipzy_api import schemas as models
from clipzy_api.inputs.container_sniffing import Container
from clipzy_api.inputs.idempotency import REPLAYED, over, sent_key
from clipzy_api.inputs.multipart import receive_file
from clipzy_api.inputs.preconditions import (
    MULTIPART,
    admit,
    refuse_fields,
    refuse_parameters,
    require_media_type,
    upload_body,
)
from clipzy_api.links import absolute
from clipzy_api.openapi.operations import DELETED, IDEMPOTENCY_KEY, LOCATION, REFUSED_FIELDS, Answer, Call, described
from clipzy_api.openapi.operations import REPLAYED as REPLAYED_HEADER
from clipzy_api.problems import RETRY_AFTER, ApiError, invalid_field, video_not_found
from clipzy_api.rollback import Rollback
from clipzy_api.services import owner, services
from clipzy_storage import keys
from clipzy_storage.backends.base import StorageWriter
from clipzy_storage.errors import AnsweredBefore, NotFound
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs.durable_records import read_video, write_video
from clipzy_storage.jobs.store import IdempotencyKey
from clipzy_storage.models.records import Video

CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}
MAX_BOUNDARY_LENGTH = 200  # RFC 2046 says 70
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
    "TOO_MANY_UPLOADS",
    "STORAGE_FULL",
)

videos = Blueprint("videos", __name__)


@videos.post("/videos")
@described(
    Call(
        summary="Upload a video",
        takes={MULTIPART: models.Upload},
        answers=[Answer(201, "The video.", models.Video, (LOCATION, REPLAYED_HEADER))],
        problems=[*REFUSED_UPLOADS, "VIDEO_NOT_FOUND"],
        headers=[IDEMPOTENCY_KEY],
    )
)
def upload_video() -> tuple[Response, int, dict[str, str]]:
    """Without a job; any number of jobs can be submitted for it afterwards."""
    require_media_type(MULTIPART)
    refuse_parameters()
    key, repeated = sent_key(), {}
    try:
        with Rollback(services().storage) as undo:
            video, _ = take_video(undo)
            _remember(video, over(key, "upload", **content_of(video)), undo)
            undo.keep()
    except AnsweredBefore as before:
        video, repeated = find_video(before.made_id), REPLAYED
    location = absolute(url_for("videos.show_video", video_id=video.video_id))
    return jsonify(video.public()), 201, {"Location": location, **repeated}


@videos.get("/videos/<video_id>")
@described(
    Call(
        summary="Look at an upload",
        answers=[Answer(200, "The video.", models.Video)],
        problems=["NOT_FOUND", "VIDEO_NOT_FOUND", "STORAGE_UNAVAILABLE"],
    )
)
def show_video(video_id: str) -> Response:
    """What is known of it."""
    return jsonify(find_video(video_id).public())


@videos.delete("/videos/<video_id>")
@described(
    Call(
        summary="Delete an upload",
        answers=[DELETED],
        problems=[
            "NOT_FOUND",
            "VIDEO_NOT_FOUND",
            "VIDEO_IN_USE",
            *REFUSED_FIELDS,
            "QUEUE_UNAVAILABLE",
            "STORAGE_UNAVAILABLE",
        ],
    )
)
def delete_video(video_id: str) -> Response:
    """Unless a job that is not finished uses it. Finished jobs keep their results."""
    refuse_parameters()
    admit()
    refuse_fields()
    video = find_video(video_id)
    # From here on Redis lets no job over it in: one that is just being submitted is refused, or was there before us.
    if services().upkeep.block_video(video_id) == "in use":
        detail = "A job that is not finished uses the video. Wait for its end, or cancel it."
        raise ApiError(409, "VIDEO_IN_USE", detail=detail, headers=RETRY_AFTER)
    # The record first: with it the video is gone, and a file without a record is the janitor's.
    services().storage.delete(keys.video_record(video_id))
    services().storage.delete(video.key)
    return Response(status=204)


def take_video(undo: Rollback, *, takes_config: bool = False) -> tuple[Video, dict[str, Any]]:
    """Store the file of this multipart request and the record of it; ``undo`` knows of both.

    Returns its record and the ``config`` that came with it, where one may.

    Raises:
        ApiError: the upload is refused; nothing of it is left.
        StorageFull, StorageUnavailable: what is left is in ``undo``.
    """
    storage, video_id = services().storage, keys.new_id("vid")
    boundary = _boundary()
    with upload_body() as body, ExitStack() as stack:

        def begin(container: Container) -> StorageWriter:
            key = keys.upload(video_id, container)
            return stack.enter_context(storage.incoming(key, content_type=CONTENT_TYPES[container]))

        cap_bytes = services().settings.max_file_size_bytes
        file = receive_file(body, boundary=boundary, begin=begin, cap_bytes=cap_bytes, takes_config=takes_config)
        undo.remember(keys.upload(video_id, file.container))
        blob = file.incoming.publish()
    failpoint("upload-stored")
    video = Video(
        owner=owner(),
        video_id=video_id,
        filename=file.filename,
        key=blob.key,
        container=file.container,
        size_bytes=blob.size_bytes,
        sha256=file.incoming.sha256,
        uploaded_at=datetime.now(UTC),
    )
    undo.remember(keys.video_record(video_id))
    write_video(storage, video)
    failpoint("video-recorded")
    return video, file.config


def content_of(video: Video) -> dict[str, str | int]:
    """What a client sent when it uploaded it, for the fingerprint under its ``Idempotency-Key``."""
    return {"sha256": video.sha256, "size_bytes": video.size_bytes, "filename": video.filename}


def _remember(video: Video, key: IdempotencyKey | None, undo: Rollback) -> None:
    """Raises ``AnsweredBefore``, ``IdempotencyMismatch``, ``QueueUnavailable``."""
    if key is None:
        return
    with undo.kept_if_redis_may_know():
        services().jobs.remember_video(video.video_id, owner=video.owner, key=key)


def find_video(video_id: str) -> Video:
    """Raises ``ApiError`` 404 where there is none, or it belongs to another owner."""
    try:
        if keys.is_video_id(video_id):
            video = read_video(services().storage, video_id)
            if video.owner == owner():
                return video
    except NotFound:
        pass  # answered below like an id that cannot be one
    raise video_not_found()


def _boundary() -> bytes:
    boundary = request.mimetype_params.get("boundary", "")
    if not (0 < len(boundary) <= MAX_BOUNDARY_LENGTH and boundary.isascii() and boundary.isprintable()):
        raise invalid_field("body", expects="multipart/form-data whose Content-Type names its boundary")
    return boundary.encode("ascii")
