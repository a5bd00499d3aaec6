"""A file in one multipart form, streamed from disk, after the other fields of a job."""

import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clipzy_api.client.errors import TRANSIENT_STATUSES
from clipzy_api.client.paths import JOBS, VIDEOS
from clipzy_api.client.transport import Request, Transport, parsed
from clipzy_api.client.uploads.source import OnProgress, Source
from clipzy_api.schemas import Job, Video

# A large file is not sent again for an error that may be permanent.
UPLOAD_TRANSIENT_STATUSES = TRANSIENT_STATUSES - {500}


class FormUpload:
    """The whole file in one request, which every front end takes; sent again from its beginning if it is broken off.

    Creates once for each ``idempotency_key``. Methods raise ``ClipzyError``.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self, path: Path, options: Mapping[str, Any], *, idempotency_key: str, on_progress: OnProgress | None
    ) -> Job:
        """The file as a new job with these options."""
        form = FileForm(path, fields={name: _text(value) for name, value in options.items()}, on_progress=on_progress)
        return parsed(Job, self._transport.call(_request(JOBS, form, idempotency_key)))

    def upload(self, path: Path, *, idempotency_key: str, on_progress: OnProgress | None) -> Video:
        """The file as a video without a job."""
        form = FileForm(path, on_progress=on_progress)
        return parsed(Video, self._transport.call(_request(VIDEOS, form, idempotency_key)))


class FileForm:
    """A request body of known length that is never in memory as a whole.

    Every iteration starts at the beginning, so that it can be sent again. ``on_progress``, if set, is called after
    every block of the file that was sent; the bytes done fall to 0 when the form is sent again.

    Raises:
        UnusableFile: there is no file to send, or it changed while it was sent.
    """

    def __init__(
        self, path: Path, *, fields: Mapping[str, str] | None = None, on_progress: OnProgress | None = None
    ) -> None:
        self._source = Source.of(path)
        self._on_progress = on_progress
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [_part(boundary, f'name="{name}"') + f"{value}\r\n" for name, value in (fields or {}).items()]
        parts.append(_part(boundary, f'name="file"; filename="{_quoted(path.name)}"', "application/octet-stream"))
        self._head = "".join(parts).encode("utf-8", "replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self._source.size_bytes + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        self._report(0)
        yield self._head
        sent_bytes = 0
        for block in self._source.blocks():
            self._source.check_unchanged()
            yield block
            sent_bytes += len(block)
            self._report(sent_bytes)
        yield self._tail

    def _report(self, sent_bytes: int) -> None:
        if self._on_progress:
            self._on_progress(sent_bytes, self._source.size_bytes)


def _request(path: str, form: FileForm, idempotency_key: str) -> Request:
    headers = {
        "Content-Type": form.content_type,
        "Content-Length": str(len(form)),
        "Idempotency-Key": idempotency_key,
    }
    return Request("POST", path, headers, form, transient_statuses=UPLOAD_TRANSIENT_STATUSES)


def _text(value: Any) -> str:
    """As a field of a form."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def _part(boundary: str, parameters: str, content_type: str = "") -> str:
    """The head of a part."""
    type_header = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {parameters}\r\n{type_header}\r\n"


def _quoted(name: str) -> str:
    """A file name as browsers escape it in a form."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
