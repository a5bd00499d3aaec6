"""Bodies of requests, made by hand so that each byte of them is known."""

import io
import os

from clipzy_api.inputs.multipart import UploadForm
from clipzy_api.inputs.request_body import RequestBody

BOUNDARY = "front-end-tests-7f3a"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
CLOSING = f"\r\n--{BOUNDARY}--\r\n".encode()


def mp4_bytes(size_bytes: int) -> bytes:
    """Bytes that are recognised as mp4: the right head, then noise with line ends and dashes in it."""
    return (MP4_HEAD + os.urandom(max(0, size_bytes - len(MP4_HEAD))))[:size_bytes]


def part(name: str | None, content: bytes, *, filename: str | None = None) -> bytes:
    """One part, with the boundary before it and without the one after it."""
    disposition = "form-data" + (f'; name="{name}"' if name is not None else "")
    if filename is not None:
        disposition += f'; filename="{filename}"'
    return f"\r\n--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + CLOSING


def video_form(content: bytes, *, filename: str = "holiday.mp4") -> bytes:
    return form(part("file", content, filename=filename))


class Received(bytearray):
    """What is written to storage."""

    def write(self, data: bytes | bytearray) -> None:
        self += data


def read_upload(body: bytes, boundary: bytes) -> tuple[UploadForm, bytes]:
    """The form in the body and the file in it, as a front end receives them."""
    request = RequestBody({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    upload, stored = UploadForm(request, boundary=boundary, cap_bytes=1 << 30, for_job=True), Received()
    upload.read_head()
    upload.copy_file(stored)  # type: ignore[arg-type]  # all that is used of a writer
    return upload, bytes(stored)
