"""Takes one uploaded file out of a multipart body and into storage, as it comes: no spool, no second copy.

Beside it a job's `config` may come, before or after it.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
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

FRAMING_LIMIT_BYTES = 1 << 20  # boundaries and part headers around the file, and whatever follows the last boundary
MAX_PARTS = 20
MAX_HEADER_BYTES = 64 << 10
MAX_FILENAME_LENGTH = 255

_BACKSLASH = re.compile(r'\\(["\\]?)')
_FILE_EXPECTS = "one part with a file name and the video's bytes"
_CONFIG_EXPECTS = "one part with a JSON object"


@dataclass(frozen=True)
class ReceivedFile:
    """A whole upload that lies in its ``StorageWriter``, not yet published."""

    filename: str
    container: Container
    incoming: StorageWriter
    config: dict[str, Any]


def receive_file(
    body: RequestBody,
    *,
    boundary: bytes,
    begin: Callable[[Container], StorageWriter],
    cap_bytes: int,
    takes_config: bool = False,
) -> ReceivedFile:
    """Read the body to its end and write the part named ``file`` into what ``begin`` gives.

    It is asked once, as soon as the first bytes show what the file is. A ``config`` is judged as soon as it is whole.

    Raises:
        ApiError: the upload is refused, in the contract's words. What was begun is then to be discarded.
        StorageFull, StorageUnavailable: from ``begin`` and what it gave.
    """
    form = _UploadForm(boundary, begin=begin, cap_bytes=cap_bytes, takes_config=takes_config)
    while block := body.read():
        form.feed(block)
    if body.is_short:
        raise truncated(
            f"{body.received_bytes} of the {body.declared_bytes} bytes declared in Content-Length came."
            " Nothing was kept; send it again."
        )
    return form.finish()


class _UploadForm:
    """One form with one file in it, fed block by block."""

    def __init__(
        self, boundary: bytes, *, begin: Callable[[Container], StorageWriter], cap_bytes: int, takes_config: bool
    ) -> None:
        # A block may be cut anywhere, so that a whole header and a whole block can wait in the decoder together.
        self._decoder = MultipartDecoder(boundary, BLOCK_BYTES + MAX_HEADER_BYTES, max_parts=MAX_PARTS)
        self._delimiter = b"--" + boundary
        self._begin_file = begin
        self._cap_bytes = cap_bytes
        self._fields = ("file", job_config.NAME) if takes_config else ("file",)
        self._part = ""  # the one that is coming
        self._config_text: bytearray | None = None
        self._config: dict[str, Any] = {}
        self._filename: str | None = None
        self._head = bytearray()  # what came of the file before it was known what it is
        self._container: Container | None = None
        self._into: StorageWriter | None = None
        self._file_bytes = 0
        self._framing_bytes = 0

    def feed(self, block: bytes) -> None:
        if self._decoder.state is State.EPILOGUE:
            self._count_framing(len(block))
        elif self._is_inside_the_file(block):
            self._take(block, is_last=False)
        else:
            self._decode(block)

    def finish(self) -> ReceivedFile:
        """Raises ``ApiError`` where the form did not end, or ended without a file."""
        if self._decoder.state is not State.EPILOGUE:
            raise truncated("The form does not end in its final boundary. Nothing was kept; send it again.")
        if self._filename is None or self._into is None or self._container is None:
            raise missing_field("file", expects=_FILE_EXPECTS)
        return ReceivedFile(self._filename, self._container, self._into, self._config)

    def _is_inside_the_file(self, block: bytes) -> bool:
        """Whether the block is file and nothing else, so that it need not be copied through the decoder."""
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
                    case Data():
                        self._take_config(event.data, is_last=not event.more_data)
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
        if self._filename is not None or isinstance(part, Field):
            raise invalid_field("file", expects=_FILE_EXPECTS)
        self._filename = clean_filename(_filename_of(part))

    def _begin_config(self) -> None:
        if self._config_text is not None:
            raise invalid_field(job_config.NAME, expects=_CONFIG_EXPECTS)
        self._config_text = bytearray()

    def _take_config(self, data: bytes, *, is_last: bool) -> None:
        assert self._config_text is not None
        self._config_text += data
        if len(self._config_text) > MAX_CONFIG_BYTES:
            raise job_config.config_too_long()
        if is_last:
            self._config = job_config.read_config(bytes(self._config_text))

    def _take(self, data: bytes, *, is_last: bool) -> None:
        self._file_bytes += len(data)
        if self._file_bytes > self._cap_bytes:
            raise file_too_large(f"The file is larger than the {self._cap_bytes >> 20} MiB allowed.")
        if self._into is not None:
            self._into.write(data)
            return
        self._head += data
        if len(self._head) >= SNIFF_BYTES or (is_last and self._head):
            self._container = _recognised(bytes(self._head[:SNIFF_BYTES]))
            self._into = self._begin_file(self._container)
            self._into.write(self._head)

    def _count_framing(self, size_bytes: int) -> None:
        self._framing_bytes += size_bytes
        if self._framing_bytes > FRAMING_LIMIT_BYTES:
            raise invalid_field("body", expects=f"a form with at most {FRAMING_LIMIT_BYTES >> 20} MiB beside its file")


def _recognised(head: bytes) -> Container:
    container = container_of(head)
    if container is None:
        detail = "The file is not mp4, mov, avi, mkv or webm, whatever its name says."
        raise ApiError(422, "UNSUPPORTED_FORMAT", detail=detail)
    return container


def _filename_of(part: File) -> str:
    """The client's file name. Browsers send a backslash as it is, where the parser expects it to escape something."""
    doubled = _BACKSLASH.sub(lambda match: match[0] if match[1] else r"\\", part.headers["content-disposition"])
    return parse_options_header(doubled)[1].get("filename", part.filename)


def clean_filename(name: str) -> str:
    """What a client called its file, fit to be shown: the last path component, no control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in last if unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"})
    return shown.strip()[:MAX_FILENAME_LENGTH] or "upload"
