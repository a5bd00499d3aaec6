"""Receives a video: the bytes of a request into storage, then their record next to them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from flask import request

from clipzy_api.inputs.multipart import UploadForm
from clipzy_api.inputs.preconditions import admit, admit_job, form_body, raw_body
from clipzy_api.inputs.raw_body import RawUpload
from clipzy_api.inputs.request_body import RequestBody
from clipzy_api.problems import invalid_field
from clipzy_api.services import owner, services
from clipzy_storage import keys
from clipzy_storage.backends.base import StorageWriter
from clipzy_storage.container_sniffing import Container
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs.durable_records import write_video
from clipzy_storage.jobs.rollback import Rollback
from clipzy_storage.models.records import Video

CONTENT_TYPES: dict[Container, str] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}
MAX_BOUNDARY_LENGTH = 200  # RFC 2046 says 70


class _Upload(Protocol):
    """A file in the body of a request. Both methods may raise ``ApiError``."""

    filename: str
    """Known once the file is copied."""

    def read_head(self) -> Container:
        """Read until the first bytes of the file show its container."""

    def copy_file(self, writer: StorageWriter) -> None:
        """Read the body to its end and write the whole file. Also raises what ``writer`` raises."""


_SomeUpload = TypeVar("_SomeUpload", bound=_Upload)


def store_form(rollback: Rollback, *, for_job: bool = False) -> tuple[Video, UploadForm]:
    """Store the file of this multipart request and its record; both are registered with ``rollback``.

    Returns the record, and the form, which may have the other fields of a job if it is ``for_job``.

    Raises:
        ApiError: the upload is refused.
        QueueFull, QuotaExceeded, StorageFull, StorageUnavailable
    """
    boundary, cap_bytes = _boundary(), services().settings.max_file_size_bytes
    body = form_body(admit=admit_job if for_job else admit)
    return _store(
        rollback, body, lambda body: UploadForm(body, boundary=boundary, cap_bytes=cap_bytes, for_job=for_job)
    )


def store_body(rollback: Rollback) -> Video:
    """The same for a request whose body is the file."""
    cap_bytes = services().settings.max_file_size_bytes
    return _store(rollback, raw_body(), lambda body: RawUpload(body, cap_bytes=cap_bytes))[0]


def _store(
    rollback: Rollback, body: AbstractContextManager[RequestBody], upload_in: Callable[[RequestBody], _SomeUpload]
) -> tuple[Video, _SomeUpload]:
    storage, video_id = services().storage, keys.new_id("vid")
    with body as admitted:
        upload = upload_in(admitted)
        container = upload.read_head()
        key = keys.upload(video_id, container)
        with storage.open_writer(key, content_type=CONTENT_TYPES[container]) as writer:
            upload.copy_file(writer)
            rollback.on_failure_delete(key)
            writer.publish()
    failpoint("upload-stored")
    video = Video(
        owner=owner(),
        video_id=video_id,
        filename=upload.filename,
        key=key,
        container=container,
        size_bytes=writer.size_bytes,
        sha256=writer.sha256,
        uploaded_at=datetime.now(UTC),
    )
    rollback.on_failure_delete(keys.video_record(video_id))
    write_video(storage, video)
    failpoint("video-recorded")
    return video, upload


def _boundary() -> bytes:
    boundary = request.mimetype_params.get("boundary", "")
    if not (0 < len(boundary) <= MAX_BOUNDARY_LENGTH and boundary.isascii() and boundary.isprintable()):
        raise invalid_field("body", expects="multipart/form-data whose Content-Type names its boundary")
    return boundary.encode("ascii")
