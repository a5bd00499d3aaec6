"""Resumable uploads, by tus 1.0: a file over several requests, to any front ends, which is a video once it is whole."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from flask import Blueprint, Response, url_for
from werkzeug.http import http_date

from clipzy_api.inputs import tus
from clipzy_api.inputs.idempotency import keyed_upload_id
from clipzy_api.inputs.preconditions import (
    chunk_body,
    refuse_parameters,
    require_media_type,
    require_room,
)
from clipzy_api.inputs.request_body import RequestBody, current_body
from clipzy_api.links import absolute
from clipzy_api.openapi.operations import (
    CHUNK_BODY,
    IDEMPOTENCY_KEY,
    TUS_RESUMABLE,
    UPLOAD_CHECKSUM,
    UPLOAD_LENGTH,
    UPLOAD_METADATA,
    UPLOAD_OFFSET,
    Answer,
    described,
)
from clipzy_api.problems import ApiError, checksum_mismatch, file_too_large, storage_full
from clipzy_api.services import owner, services
from clipzy_api.views.videos import find_video
from clipzy_storage.errors import OffsetMismatch, UploadNotFound
from clipzy_storage.models.records import Upload
from clipzy_storage.uploads.resumable import Continued

SPOOL_BYTES = 4 << 20
"""How much of a piece with a checksum is kept in memory until it is compared; the rest in a file."""
_UNAVAILABLE = ("QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE")
_REFUSED_PIECES = (
    "BAD_REQUEST",
    "UPLOAD_NOT_FOUND",
    "OFFSET_MISMATCH",
    "TUS_VERSION_MISMATCH",
    "FILE_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "UNSUPPORTED_FORMAT",
    "UPLOAD_LOCKED",
    "CHECKSUM_MISMATCH",
    "OVERLOADED",
    "STORAGE_FULL",
)

uploads = Blueprint("uploads", __name__)


@uploads.after_request
def _name_version(answer: Response) -> Response:
    answer.headers["Tus-Resumable"] = tus.VERSION
    return answer


@uploads.route("/uploads", methods=["OPTIONS"])
@uploads.route("/uploads/<upload_id:upload_id>", methods=["OPTIONS"])
def show_protocol(upload_id: str = "") -> Response:
    """What of tus is supported."""
    headers = {
        "Tus-Version": tus.VERSION,
        "Tus-Extension": tus.EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
        "Tus-Max-Size": str(services().settings.max_file_size_bytes),
        "Allow": "OPTIONS, HEAD, PATCH, DELETE" if upload_id else "OPTIONS, POST",
    }
    return Response(status=204, headers=headers)


@uploads.post("/uploads", provide_automatic_options=False)
@described(
    "Begin a resumable upload",
    [Answer(201, "It is begun.", headers=("Location", "Upload-Offset", "Upload-Expires"))],
    takes={tus.CHUNK: CHUNK_BODY},
    problems=[
        *_REFUSED_PIECES,
        "MISSING_FIELD",
        "INVALID_FIELD",
        "IDEMPOTENCY_MISMATCH",
        "QUOTA_EXCEEDED",
        *_UNAVAILABLE,
    ],
    headers=[TUS_RESUMABLE, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_CHECKSUM, IDEMPOTENCY_KEY],
)
def begin_upload() -> Response:
    """The body may already be the first piece of the file.

    Repeated under the same `Idempotency-Key` it is the same upload, until that is given up or has expired.
    """
    tus.require_version()
    refuse_parameters()
    length, metadata, checksum = tus.sent_length(), tus.sent_metadata(), tus.sent_checksum()
    has_body = current_body().is_unread
    if has_body:
        require_media_type(tus.CHUNK)
    require_room(length)
    upload_id = keyed_upload_id(owner(), storage_id=services().membership.guard().storage_id)
    announced = Upload.begun_now(
        upload_id=upload_id,
        owner=owner(),
        filename=tus.filename_in(metadata),
        metadata=metadata,
        size_bytes=length,
    )
    upload = services().resumable.begin(announced, is_keyed=upload_id is not None)
    if not has_body:
        size_bytes = services().resumable.size_bytes(upload)
    elif upload is announced:
        size_bytes = _append_first(upload, checksum)
    else:
        size_bytes = _append(upload, offset=0, checksum=checksum)
    location = absolute(url_for("uploads.show_upload", upload_id=upload.upload_id))
    return Response(status=201, headers={"Location": location, **_progress(upload, size_bytes)})


@uploads.route("/uploads/<upload_id:upload_id>", methods=["HEAD"], provide_automatic_options=False)
@described(
    "How much of an upload has arrived?",
    [Answer(200, "The headers tell.", headers=("Upload-Offset", "Upload-Length", "Upload-Expires"))],
    problems=["TUS_VERSION_MISMATCH", "UPLOAD_NOT_FOUND", "UPLOAD_LOCKED", "UNSUPPORTED_FORMAT", *_UNAVAILABLE],
    headers=[TUS_RESUMABLE],
)
def show_upload(upload_id: str) -> Response:
    """Continue it after `Upload-Offset` bytes. A file that is whole has all of `Upload-Length`."""
    tus.require_version()
    refuse_parameters()
    try:
        upload = services().resumable.find(upload_id, owner=owner())
    except UploadNotFound:
        size_bytes = _video_size(upload_id)
        return Response(headers={"Upload-Offset": str(size_bytes), "Upload-Length": str(size_bytes)})
    with _removed_if_unsupported(upload):
        size_bytes = services().resumable.size_bytes(upload)
    idle_seconds = services().storage.growing_idle_seconds(upload_id) if size_bytes < upload.size_bytes else 0.0
    headers = _progress(upload, size_bytes, idle_seconds=idle_seconds) | {"Upload-Length": str(upload.size_bytes)}
    return Response(headers=headers | ({"Upload-Metadata": upload.metadata} if upload.metadata else {}))


@uploads.patch("/uploads/<upload_id:upload_id>", provide_automatic_options=False)
@described(
    "Continue an upload",
    [Answer(204, "It is kept.", headers=("Upload-Offset", "Upload-Expires"))],
    takes={tus.CHUNK: CHUNK_BODY},
    problems=[*_REFUSED_PIECES, *_UNAVAILABLE],
    headers=[TUS_RESUMABLE, UPLOAD_OFFSET, UPLOAD_CHECKSUM],
)
def continue_upload(upload_id: str) -> Response:
    """With the next piece of the file, of any length. After the last one it is the video of the same id."""
    tus.require_version()
    refuse_parameters()
    require_media_type(tus.CHUNK)
    offset, checksum = tus.sent_offset(), tus.sent_checksum()
    try:
        upload = services().resumable.find(upload_id, owner=owner())
        return Response(status=204, headers=_progress(upload, _append(upload, offset=offset, checksum=checksum)))
    except UploadNotFound:
        size_bytes = _video_size(upload_id)
    if offset != size_bytes or current_body().is_unread:
        raise OffsetMismatch(size_bytes)
    return Response(status=204, headers={"Upload-Offset": str(size_bytes)})  # tuspy asks so, if it has lost an answer


@uploads.delete("/uploads/<upload_id:upload_id>", provide_automatic_options=False)
@described(
    "Give an upload up",
    [Answer(204, "Nothing of it is kept.")],
    problems=["TUS_VERSION_MISMATCH", "UPLOAD_NOT_FOUND", "UPLOAD_LOCKED", *_UNAVAILABLE],
    headers=[TUS_RESUMABLE],
)
def remove_upload(upload_id: str) -> Response:
    """One that is whole is a video, and is deleted as one."""
    tus.require_version()
    refuse_parameters()
    services().resumable.remove(services().resumable.find(upload_id, owner=owner()))
    return Response(status=204)


def _append_first(upload: Upload, checksum: tus.Checksum | None) -> int:
    """The same for the request that has begun it: whoever is refused does not know the upload's address."""
    try:
        return _append(upload, offset=0, checksum=checksum)
    except ApiError:
        with suppress(UploadNotFound):
            services().resumable.remove(services().resumable.find(upload.upload_id, owner=upload.owner))
        raise


def _append(upload: Upload, *, offset: int, checksum: tus.Checksum | None) -> int:
    """Append the body; returns how many bytes there are then."""
    with (
        _removed_if_unsupported(upload),
        chunk_body(upload.size_bytes - offset) as body,
        services().resumable.continued(upload, offset=offset, silent_seconds=lambda: body.silent_seconds) as part,
    ):
        if checksum is None:
            _copy(body, part)
        else:
            _copy_compared(body, part, checksum)
        return part.size_bytes


@contextmanager
def _removed_if_unsupported(upload: Upload) -> Iterator[None]:
    """An upload that can never be a video is not kept."""
    try:
        yield
    except ApiError as error:
        if error.code == "UNSUPPORTED_FORMAT":
            services().resumable.remove(upload)
        raise


def _copy(body: RequestBody, part: Continued) -> None:
    """What arrives is kept, also if the connection breaks."""
    while block := body.read():
        _check_fits(len(block), part)
        part.write(block)


def _copy_compared(body: RequestBody, part: Continued, checksum: tus.Checksum) -> None:
    """All of the body, or nothing if it has another digest or is cut."""
    digest, size_bytes = checksum.new_digest(), 0
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=str(_scratch())) as spool:
        while block := body.read():
            size_bytes += len(block)
            _check_fits(size_bytes, part)
            digest.update(block)
            _spool(block, spool)
        body.check_whole()
        if digest.hexdigest() != checksum.hexdigest:
            raise checksum_mismatch(checksum.algorithm, sent=checksum.hexdigest, found=digest.hexdigest())
        spool.seek(0)
        while block := spool.read(SPOOL_BYTES):
            part.write(block)


def _spool(block: bytes, spool: IO[bytes]) -> None:
    """Raises ``ApiError`` 507 if there is no room."""
    try:
        spool.write(block)
    except OSError as error:
        raise storage_full() from error


def _scratch() -> Path:
    directory = services().settings.work_dir
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _check_fits(size_bytes: int, part: Continued) -> None:
    if size_bytes > part.missing_bytes:
        raise file_too_large(f"The upload was begun for {part.upload.size_bytes} bytes, and more arrive.")


def _progress(upload: Upload, size_bytes: int, *, idle_seconds: float = 0.0) -> dict[str, str]:
    """``idle_seconds``: how long ago the last byte has come."""
    expires_at = datetime.now(UTC) + timedelta(seconds=services().resumable.expires_seconds - idle_seconds)
    expires = {} if size_bytes == upload.size_bytes else {"Upload-Expires": http_date(expires_at)}
    return {"Upload-Offset": str(size_bytes)} | expires


def _video_size(upload_id: str) -> int:
    """Of an upload that is whole. Raises ``UploadNotFound``."""
    with suppress(ApiError):
        return find_video(upload_id).size_bytes
    raise UploadNotFound(upload_id)
