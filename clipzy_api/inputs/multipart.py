"""Reads one uploaded file from a multipart body as it arrives, without a temporary file or a second copy.

The form may also have a job's ``config``, before or after the file.
"""

import re
import unicodedata
from typing import Any

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Field, File, MultipartDecoder, NeedData, State

from clipzy_api.inputs import job_config
from clipzy_api.inputs.container_sniffing import SNIFF_BYTES, Container, container_of
from clipzy_api.inputs.request_body import BLOCK_BYTES, RequestBody
from clipzy_api.problems import ApiError, file_too_large, invalid_field, missing_field, truncated, unknown_field
from clipzy_storage.backends.base import StorageWriter
from clipzy_storage.models.job_config import MAX_CONFIG_BYTES

FRAMING_LIMIT_BYTES = 1 << 20  # everything but the file: boundaries, part headers, config, epilogue
MAX_PARTS = 20
MAX_HEADER_BYTES = 64 << 10
MAX_FILENAME_LENGTH = 255

_BACKSLASH = re.compile(r'\\(["\\]?)')
_FILE_EXPECTS = "one part with a file name and the bytes of the video"
_CONFIG_EXPECTS = "one part with a JSON object"


class UploadForm:
    """One form with one file, read from a request body block by block.

    Call ``read_head``, then ``copy_file``; ``filename`` and ``config`` are complete after both. Both raise ``ApiError``
    if the upload is refused; a ``config`` is validated as soon as it is complete.
    """

    def __init__(self, body: RequestBody, *, boundary: bytes, cap_bytes: int, takes_config: bool = False) -> None:
        # A block may end anywhere, so the decoder may have to buffer a whole header and a whole block.
        self._decoder = MultipartDecoder(boundary, BLOCK_BYTES + MAX_HEADER_BYTES, max_parts=MAX_PARTS)
        self._delimiter = b"--" + boundary
        self._body = body
        self._cap_bytes = cap_bytes
        self._fields = ("file", job_config.NAME) if takes_config else ("file",)
        self._part = ""
        self._config_text: bytearray | None = None
        self._head = bytearray()
        self._container: Container | None = None
        self._writer: StorageWriter | None = None
        self._has_file = False
        self._file_bytes = 0
        self._framing_bytes = 0
        self.filename = ""
        self.config: dict[str, Any] = {}

    def read_head(self) -> Container:
        """Read until the first bytes of the file show its container."""
        while self._container is None and (block := self._body.read()):
            self._feed(block)
        if self._container is None:
            self._check_end()
            raise missing_field("file", expects=_FILE_EXPECTS)
        return self._container

    def copy_file(self, writer: StorageWriter) -> None:
        """Read the body to its end and write the whole file. Also raises what ``writer`` raises."""
        self._writer = writer
        writer.write(self._head)
        self._head.clear()
        while block := self._body.read():
            self._feed(block)
        self._check_end()

    def _check_end(self) -> None:
        if self._body.is_short:
            raise truncated(
                f"{self._body.received_bytes} of the {self._body.declared_bytes} bytes declared in Content-Length"
                " arrived. Nothing was kept; send it again."
            )
        if self._decoder.state is not State.EPILOGUE:
            raise truncated("The form does not end in its final boundary. Nothing was kept; send it again.")

    def _feed(self, block: bytes) -> None:
        if self._decoder.state is State.EPILOGUE:
            self._count_framing(len(block))
        elif self._is_inside_the_file(block):
            self._take(block, is_last=False)
        else:
            self._decode(block)

    def _is_inside_the_file(self, block: bytes) -> bool:
        """Whether the block is file content only, which need not be copied through the decoder."""
        decoder = self._decoder
        is_within = self._part == "file" and decoder.state is State.DATA and not decoder.buffer
        if not is_within or self._delimiter in block:
            return False
        tail = block[-len(self._delimiter) - 2 :]
        line_end = max(tail.rfind(b"\r"), tail.rfind(b"\n"))
        return line_end < 0 or not self._delimiter.startswith(tail[line_end + 1 :])

    def _decode(self, block: bytes) -> None:
        before_bytes = self._file_bytes
        try:
            self._decoder.receive_data(block)
            while not isinstance(event := self._decoder.next_event(), NeedData):
                match event:
                    case Field() | File():
                        self._begin(event)
                    case Data() if self._part == "file":
                        self._take(event.data, is_last=not event.more_data)
                    case Data() if self._config_text is not None:
                        self._take_config(self._config_text, event.data, is_last=not event.more_data)
                if self._decoder.state is State.EPILOGUE:
                    break
        except RequestEntityTooLarge:
            expects = f"a form of at most {MAX_PARTS} parts with headers of at most {MAX_HEADER_BYTES} bytes"
            raise invalid_field("body", expects=expects) from None
        except ValueError as error:
            raise invalid_field("body", expects="a well-formed multipart/form-data body") from error
        self._count_framing(len(block) - (self._file_bytes - before_bytes))

    def _begin(self, part: Field | File) -> None:
        if part.name not in self._fields:
            raise unknown_field(str(part.name or ""), known=", ".join(self._fields))
        self._part = part.name
        if part.name == job_config.NAME:
            self._begin_config()
            return
        if self._has_file or isinstance(part, Field):
            raise invalid_field("file", expects=_FILE_EXPECTS)
        self._has_file = True
        self.filename = clean_filename(_filename_of(part))

    def _begin_config(self) -> None:
        if self._config_text is not None:
            raise invalid_field(job_config.NAME, expects=_CONFIG_EXPECTS)
        self._config_text = bytearray()

    def _take_config(self, text: bytearray, data: bytes, *, is_last: bool) -> None:
        text += data
        if len(text) > MAX_CONFIG_BYTES:
            raise job_config.config_too_long()
        if is_last:
            self.config = job_config.read_config(bytes(text))

    def _take(self, data: bytes, *, is_last: bool) -> None:
        self._file_bytes += len(data)
        if self._file_bytes > self._cap_bytes:
            raise file_too_large(f"The file is larger than the {self._cap_bytes >> 20} MiB allowed.")
        if self._writer is not None:
            self._writer.write(data)
            return
        self._head += data
        is_enough = len(self._head) >= SNIFF_BYTES or (is_last and self._head)
        if self._container is None and is_enough:
            self._container = _recognised(bytes(self._head[:SNIFF_BYTES]))

    def _count_framing(self, size_bytes: int) -> None:
        self._framing_bytes += size_bytes
        if self._framing_bytes > FRAMING_LIMIT_BYTES:
            raise invalid_field("body", expects=f"a form with at most {FRAMING_LIMIT_BYTES >> 20} MiB around its file")


def _recognised(head: bytes) -> Container:
    container = container_of(head)
    if container is None:
        detail = "The file is not mp4, mov, avi, mkv or webm, whatever its name says."
        raise ApiError("UNSUPPORTED_FORMAT", detail=detail)
    return container


def _filename_of(part: File) -> str:
    """The client's file name. Browsers send a backslash as it is, which the parser takes for an escape."""
    doubled = _BACKSLASH.sub(lambda match: match[0] if match[1] else r"\\", part.headers["content-disposition"])
    return parse_options_header(doubled)[1].get("filename", part.filename)


def clean_filename(name: str) -> str:
    """The client's name of its file, safe to show: the last path component, without control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in last if unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"})
    return shown.strip()[:MAX_FILENAME_LENGTH] or "upload"
