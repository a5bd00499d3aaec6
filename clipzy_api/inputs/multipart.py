"""Reads one uploaded file from a multipart body as it arrives, without a temporary file or a second copy.

The form may also have a job's ``config``, ``queue`` and ``webhook_url``, before or after the file.
"""

import re
from collections.abc import Iterator
from typing import Any

from werkzeug.http import parse_options_header

from clipzy_api.inputs import job_config, job_queue, webhook_url
from clipzy_api.inputs.multipart_reader import MAX_HEADER_BYTES, MultipartReader, PartData, PartHead
from clipzy_api.inputs.received_file import ReceivedFile, clean_filename
from clipzy_api.inputs.request_body import RequestBody
from clipzy_api.problems import invalid_field, missing_field, truncated, unknown_field
from clipzy_storage.backends.base import StorageWriter
from clipzy_storage.container_sniffing import Container
from clipzy_storage.models.job_config import MAX_CONFIG_BYTES
from clipzy_storage.models.records import Queue

FRAMING_LIMIT_BYTES = 1 << 20  # everything but the file: boundaries, part headers, config, epilogue

_BACKSLASH = re.compile(r'\\(["\\]?)')
_FORM_EXPECTS = (
    "a well-formed multipart/form-data body: a boundary that occurs in none of its parts,"
    f" and at most {MAX_HEADER_BYTES >> 10} KiB of headers in each"
)
_FILE_EXPECTS = "one part with a file name and the bytes of the video"
_TEXT_EXPECTS = {
    job_config.NAME: "one part with a JSON object",
    job_queue.NAME: "one part with the name of a queue",
    webhook_url.NAME: "one part with a URL",
}


class UploadForm:
    """One form with one file, read from a request body block by block.

    Call ``read_head``, then ``copy_file``; ``filename`` and the other fields are complete after both. Both raise
    ``ApiError`` if the upload is refused; a field is validated as soon as it is complete.
    """

    def __init__(self, body: RequestBody, *, boundary: bytes, cap_bytes: int, for_job: bool = False) -> None:
        self._body = body
        self._events = self._read_events(boundary)
        self._file = ReceivedFile(cap_bytes=cap_bytes)
        self._fields = ("file", *_TEXT_EXPECTS) if for_job else ("file",)
        self._part = ""
        self._texts: dict[str, bytearray] = {}
        self._has_file = False
        self.filename = ""
        self.config: dict[str, Any] = {}
        self.queue = Queue.INTERACTIVE
        self.webhook_url: str | None = None

    def read_head(self) -> Container:
        """Read until the first bytes of the file show its container."""
        for event in self._events:
            self._accept(event)
            if self._file.container is not None:
                return self._file.container
        raise missing_field("file", expects=_FILE_EXPECTS)

    def copy_file(self, writer: StorageWriter) -> None:
        """Read the body to its end and write the whole file. Also raises what ``writer`` raises."""
        self._file.begin(writer)
        for event in self._events:
            self._accept(event)

    def _read_events(self, boundary: bytes) -> Iterator[PartHead | PartData]:
        try:
            yield from MultipartReader(self._read_block, boundary).events()
        except EOFError:
            self._body.check_whole()
            detail = "The form does not end in its final boundary. Nothing was kept; send it again."
            raise truncated(detail) from None
        except ValueError as error:
            raise invalid_field("body", expects=_FORM_EXPECTS) from error
        self._body.check_whole()

    def _read_block(self) -> bytes:
        # What was received before is the file or the framing: the reader asks for more when it has given out the file.
        if self._body.received_bytes - self._file.size_bytes > FRAMING_LIMIT_BYTES:
            raise invalid_field("body", expects=f"a form with at most {FRAMING_LIMIT_BYTES >> 20} MiB around its file")
        return self._body.read()

    def _accept(self, event: PartHead | PartData) -> None:
        match event:
            case PartHead():
                self._begin(event)
            case PartData() if self._part == "file":
                self._file.take(event.data, is_last=event.is_last)
            case PartData():
                self._take_text(event)

    def _begin(self, part: PartHead) -> None:
        parameters = _parameters_of(part)
        name = parameters.get("name", "")
        if name not in self._fields:
            raise unknown_field(name, known=", ".join(self._fields))
        self._part = name
        if name != "file":
            self._begin_text(name)
            return
        if self._has_file or "filename" not in parameters:
            raise invalid_field("file", expects=_FILE_EXPECTS)
        self._has_file = True
        self.filename = clean_filename(parameters["filename"])

    def _begin_text(self, name: str) -> None:
        if name in self._texts:
            raise invalid_field(name, expects=_TEXT_EXPECTS[name])
        self._texts[name] = bytearray()

    def _take_text(self, part: PartData) -> None:
        text = self._texts[self._part]
        text += part.data
        if part.is_last or len(text) > MAX_CONFIG_BYTES:  # no field is longer
            self._set(bytes(text))

    def _set(self, text: bytes) -> None:
        match self._part:
            case job_config.NAME:
                self.config = job_config.read_config(text)
            case job_queue.NAME:
                self.queue = job_queue.read_queue(text)
            case webhook_url.NAME:
                self.webhook_url = webhook_url.read_webhook_url(text)


def _parameters_of(part: PartHead) -> dict[str, str]:
    """Name and file name. Browsers send a backslash as it is, which the parser takes for an escape."""
    doubled = _BACKSLASH.sub(lambda match: match[0] if match[1] else r"\\", part.disposition)
    return parse_options_header(doubled)[1]
