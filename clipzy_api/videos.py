"""Uploads: taking one in, and showing what is known of it."""

from contextlib import ExitStack
from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify, request, url_for

from clipzy_api import openapi_models as models
from clipzy_api.door import MULTIPART, refuse_parameters, require_media_type, upload_body
from clipzy_api.intake import receive_file
from clipzy_api.links import absolute
from clipzy_api.openapi_parts import LOCATION, Answer, Call, described
from clipzy_api.problems import ApiError, invalid_field
from clipzy_api.services import owner, services
from clipzy_api.sniff import Container
from clipzy_api.undo import Undo
from clipzy_storage import keys
from clipzy_storage.base import Incoming
from clipzy_storage.contract import Video
from clipzy_storage.durable import read_video, write_video
from clipzy_storage.errors import NotFound

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
        answers=[Answer(201, "The video.", models.Video, (LOCATION,))],
        problems=REFUSED_UPLOADS,
    )
)
def upload_video() -> tuple[Response, int, dict[str, str]]:
    """Without a job; any number of jobs can be submitted for it afterwards."""
    require_media_type(MULTIPART)
    refuse_parameters()
    with Undo(services().storage) as undo:
        video = take_video(undo)
        undo.keep()
    location = absolute(url_for("videos.show_video", video_id=video.video_id))
    return jsonify(video.public()), 201, {"Location": location}


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


def take_video(undo: Undo) -> Video:
    """Store the file of this multipart request and the record of it; ``undo`` knows of both.

    Raises:
        ApiError: the upload is refused; nothing of it is left.
        StorageFull, StorageUnavailable: what is left is in ``undo``.
    """
    storage, video_id = services().storage, keys.new_id("vid")
    boundary = _boundary()
    with upload_body() as body, ExitStack() as stack:

        def begin(container: Container) -> Incoming:
            key = keys.upload(video_id, container)
            return stack.enter_context(storage.incoming(key, content_type=CONTENT_TYPES[container]))

        cap_bytes = services().settings.max_file_size_bytes
        file = receive_file(body, boundary=boundary, begin=begin, cap_bytes=cap_bytes)
        undo.remember(keys.upload(video_id, file.container))
        blob = file.incoming.publish()
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
    return video


def find_video(video_id: str) -> Video:
    """Raises ``ApiError`` 404 where there is none, or it belongs to another owner."""
    try:
        if keys.is_video_id(video_id):
            video = read_video(services().storage, video_id)
            if video.owner == owner():
                return video
    except NotFound:
        pass  # answered below like an id that cannot be one
    raise ApiError(404, "VIDEO_NOT_FOUND", detail="There is no such video.")


def _boundary() -> bytes:
    boundary = request.mimetype_params.get("boundary", "")
    if not (0 < len(boundary) <= MAX_BOUNDARY_LENGTH and boundary.isascii() and boundary.isprintable()):
        raise invalid_field("body", expects="multipart/form-data whose Content-Type names its boundary")
    return boundary.encode("ascii")
