"""The bytes of one uploaded file as they arrive: under the size cap, recognised by the first of them, then stored."""

import re
import unicodedata

from clipzy_api.problems import ApiError, file_too_large
from clipzy_storage.backends.base import StorageWriter
from clipzy_storage.container_sniffing import SNIFF_BYTES, Container, container_of

MAX_FILENAME_LENGTH = 255
# Invisible characters by which a name is shown in another order than it has, `exe.4pm` as `mp4.exe` say: marks,
# embeddings, overrides and isolates of bidirectional text, deprecated controls, annotations. Joiners stay.
_REORDERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb]")


class ReceivedFile:
    """Takes a file block by block. Keeps the first ones until ``begin`` gives it a writer, then writes all of them."""

    def __init__(self, *, cap_bytes: int) -> None:
        self._cap_bytes = cap_bytes
        self._head = bytearray()
        self._writer: StorageWriter | None = None
        self.size_bytes = 0
        self.container: Container | None = None
        """None until enough has arrived."""

    def take(self, data: bytes, *, is_last: bool) -> None:
        """Raises ``ApiError`` 413 and 422, and what the writer raises."""
        self.size_bytes += len(data)
        if self.size_bytes > self._cap_bytes:
            raise file_too_large(f"The file is larger than the {self._cap_bytes >> 20} MiB allowed.")
        if self._writer is not None:
            self._writer.write(data)
            return
        self._head += data
        if self.container is None and (len(self._head) >= SNIFF_BYTES or (is_last and self._head)):
            self.container = recognised(bytes(self._head[:SNIFF_BYTES]))

    def begin(self, writer: StorageWriter) -> None:
        """Write what has arrived, and from now on what arrives."""
        self._writer = writer
        writer.write(self._head)
        self._head = bytearray()


def recognised(head: bytes) -> Container:
    """The container of a file by its first ``SNIFF_BYTES``. Raises ``ApiError`` 422."""
    container = container_of(head)
    if container is None:
        detail = "The file is not mp4, mov, avi, mkv or webm, whatever its name says."
        raise ApiError("UNSUPPORTED_FORMAT", detail=detail)
    return container


def clean_filename(name: str) -> str:
    """The client's name of its file, safe to show: the last path component, without control characters.

    Those that reorder text are control characters too.
    """
    last = _REORDERING.sub("", name.replace("\\", "/").rpartition("/")[2])
    shown = "".join(char for char in last if unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"})
    return shown.strip()[:MAX_FILENAME_LENGTH] or "upload"
