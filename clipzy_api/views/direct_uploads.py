"""Direct uploads: the parts of a file go from the client to the S3 service, by signed URLs."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar

from flask import Blueprint, Response, request, url_for
from pydantic import ValidationError

from clipzy_api import request_schemas, schemas
from clipzy_api.inputs.idempotency import keyed_upload_id
from clipzy_api.inputs.preconditions import JSON, admit, json_body, refuse_parameters, require_media_type, require_room
from clipzy_api.inputs.received_file import clean_filename
from clipzy_api.inputs.validation import refused
from clipzy_api.links import absolute
from clipzy_api.openapi.operations import IDEMPOTENCY_KEY, Answer, described
from clipzy_api.problems import ApiError, invalid_field, unknown_field
from clipzy_api.schemas import json_response
from clipzy_api.services import owner, services
from clipzy_api.views.videos import find_video
from clipzy_storage.errors import UploadNotFound
from clipzy_storage.models.records import Upload, Video
from clipzy_storage.uploads.direct import DirectUploads, part_bytes_of

FIRST_PARTS, MOST_NUMBERS = 100, 1000
_RANGE = re.compile("([0-9]{1,5})(?:-([0-9]{1,5}))?")
_NUMBERS = "numbers of parts of this file and ranges of them, such as 101-200,205, at most 1000 in all"
_REFUSED = ("NOT_OFFERED", "UPLOAD_NOT_FOUND", "QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE")
_REFUSED_BODIES = (
    "TRUNCATED_UPLOAD",
    "LENGTH_REQUIRED",
    "FILE_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "INVALID_FIELD",
    "OVERLOADED",
)

_SomeRequest = TypeVar("_SomeRequest", request_schemas.DirectUploadRequest, request_schemas.CompletedParts)

direct_uploads = Blueprint("direct_uploads", __name__)


@direct_uploads.post("/uploads/s3")
@described(
    "Begin a direct upload",
    [Answer(201, "Where to send the first 100 parts.", schemas.DirectUpload, ("Location",))],
    takes={JSON: request_schemas.DirectUploadRequest},
    problems=[*_REFUSED, *_REFUSED_BODIES, "MISSING_FIELD", "IDEMPOTENCY_MISMATCH", "UPLOAD_LOCKED", "QUOTA_EXCEEDED"],
    headers=[IDEMPOTENCY_KEY],
)
def begin_direct_upload() -> tuple[Response, int, dict[str, str]]:
    """On S3 alone. Send each part of `part_size_bytes`, the last one shorter, with `PUT` to its URL.

    Repeated under the same `Idempotency-Key` it is the same upload, until that is given up or has expired.
    """
    direct = _offered()
    require_media_type(JSON)
    refuse_parameters()
    wanted = _validated(request_schemas.DirectUploadRequest)
    require_room(wanted.size_bytes)
    filename = clean_filename(wanted.filename)
    upload_id = keyed_upload_id(owner(), storage_id=services().membership.guard().storage_id)
    upload = Upload.begun_now(
        upload_id=upload_id,
        owner=owner(),
        kind="s3",
        filename=filename,
        size_bytes=wanted.size_bytes,
        sha256=wanted.sha256,
    )
    upload = direct.begin(upload, is_keyed=upload_id is not None)
    count = _count_of(upload)
    urls, expires_at = direct.sign(upload, range(1, min(count, FIRST_PARTS) + 1))
    body = schemas.DirectUpload(
        upload_id=upload.upload_id,
        part_size_bytes=part_bytes_of(upload.size_bytes),
        parts=_parts(urls),
        expires_at=expires_at,
    )
    location = absolute(url_for("direct_uploads.sign_parts", upload_id=upload.upload_id))
    return json_response(body), 201, {"Location": location}


@direct_uploads.get("/uploads/s3/<upload_id>/parts")
@described(
    "Sign further parts",
    [Answer(200, "Where to send these parts.", schemas.SignedParts)],
    query=request_schemas.PartsQuery,
    problems=[*_REFUSED, "MISSING_FIELD", "INVALID_FIELD"],
)
def sign_parts(upload_id: str) -> Response:
    """Also for parts whose URLs have expired. A key needs the scope `write` for this."""
    direct = _offered()
    upload = direct.find(upload_id, owner=owner())
    urls, expires_at = direct.sign(upload, _numbers(upload))
    return json_response(schemas.SignedParts(parts=_parts(urls), expires_at=expires_at))


@direct_uploads.post("/uploads/s3/<upload_id>/complete")
@described(
    "Complete a direct upload",
    [Answer(201, "The video.", schemas.Video, ("Location",))],
    takes={JSON: request_schemas.CompletedParts},
    problems=[*_REFUSED, *_REFUSED_BODIES, "MISSING_FIELD", "UNSUPPORTED_FORMAT", "UPLOAD_LOCKED"],
)
def complete_direct_upload(upload_id: str) -> tuple[Response, int, dict[str, str]]:
    """With the `ETag` of each part, as the S3 service has answered it. Its digest is null until a worker has read it.

    May be repeated. Parts that are not what has arrived can be sent again.
    """
    direct = _offered()
    require_media_type(JSON)
    refuse_parameters()
    completed = _validated(request_schemas.CompletedParts)
    etags = {part.number: part.etag.strip('"') for part in completed.parts}
    try:
        upload = _with_digest(direct.find(upload_id, owner=owner()), completed.sha256)
        video = direct.complete(upload, etags)
    except UploadNotFound:
        video = _completed_before(upload_id)
    location = absolute(url_for("videos.show_video", video_id=video.video_id))
    return json_response(schemas.Video.of(video)), 201, {"Location": location}


@direct_uploads.delete("/uploads/s3/<upload_id>")
@described(
    "Give a direct upload up",
    [Answer(204, "Nothing of it is kept.")],
    problems=[*_REFUSED, "INVALID_FIELD", "UPLOAD_LOCKED"],
)
def remove_direct_upload(upload_id: str) -> Response:
    """One that is complete is a video, and is deleted as one."""
    direct = _offered()
    refuse_parameters()
    direct.remove(direct.find(upload_id, owner=owner()))
    return Response(status=204)


def _offered() -> DirectUploads:
    if (direct := services().direct) is not None:
        return direct
    detail = (
        "This storage takes no files from clients directly. Send the file with `POST /api/v1/videos`, or in pieces with"
        " tus to `POST /api/v1/uploads`."
    )
    raise ApiError("NOT_OFFERED", detail=detail)


def _validated(model: type[_SomeRequest]) -> _SomeRequest:
    try:
        return model.model_validate(json_body(admit=admit), strict=True)
    except ValidationError as error:
        raise refused(error) from error


def _with_digest(upload: Upload, sha256: str | None) -> Upload:
    """Raises ``ApiError`` 422 if the upload was begun with another one."""
    if sha256 is None:
        return upload
    if upload.sha256 not in (None, sha256):
        raise invalid_field("sha256", expects=f"{upload.sha256}, with which the upload was begun")
    return upload.model_copy(update={"sha256": sha256})


def _count_of(upload: Upload) -> int:
    return -(-upload.size_bytes // part_bytes_of(upload.size_bytes))


def _numbers(upload: Upload) -> list[int]:
    """Those in the query. Raises ``ApiError`` 422."""
    for name in request.args:
        if name != "numbers":
            raise unknown_field(name, known="numbers")
    found: dict[int, None] = {}
    for text in request.args.get("numbers", "").split(","):
        matched = _RANGE.fullmatch(text.strip())
        first, last = (int(matched[1]), int(matched[2] or matched[1])) if matched else (0, 0)
        if not 1 <= first <= last <= _count_of(upload) or len(found) + last - first >= MOST_NUMBERS:
            raise invalid_field("numbers", expects=_NUMBERS)
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def _parts(urls: Mapping[int, str]) -> list[schemas.SignedPart]:
    return [schemas.SignedPart(number=number, url=url) for number, url in urls.items()]


def _completed_before(upload_id: str) -> Video:
    """The video that the upload has become. Raises ``UploadNotFound``."""
    with suppress(ApiError):
        return find_video(upload_id)
    raise UploadNotFound(upload_id)
