"""The multipart form of an upload: one file, streamed from disk, after the other fields of a job."""

import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from clipzy_api.client.errors import UnusableFile

BLOCK_BYTES = 256 << 10

OnProgress = Callable[[int, int], None]
"""Called with the bytes that are done and those of the whole."""


class FileForm:
    """A request body of known length that is never in memory as a whole.

    Every iteration starts at the beginning, so that it can be sent again. ``on_progress``, if set, is called after
    every block of the file that was sent; the bytes done fall to 0 when the form is sent again.

    Raises:
        UnusableFile: there is no file to send, or it became shorter while it was sent.
    """

    def __init__(
        self, path: Path, *, fields: Mapping[str, str] | None = None, on_progress: OnProgress | None = None
    ) -> None:
        self.size_bytes = _size_of(path)
        self._path = path
        self._on_progress = on_progress
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [_part(boundary, f'name="{name}"') + f"{value}\r\n" for name, value in (fields or {}).items()]
        parts.append(_part(boundary, f'name="file"; filename="{_quoted(path.name)}"', "application/octet-stream"))
        self._head = "".join(parts).encode("utf-8", "replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self.size_bytes + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        self._report(0)
        yield self._head
        sent_bytes = 0
        with self._path.open("rb") as file:
            while sent_bytes < self.size_bytes:
                block = file.read(min(BLOCK_BYTES, self.size_bytes - sent_bytes))
                if not block:
                    raise UnusableFile(f"{self._path} became shorter while it was sent.")
                yield block
                sent_bytes += len(block)
                self._report(sent_bytes)
        yield self._tail

    def _report(self, sent_bytes: int) -> None:
        if self._on_progress:
            self._on_progress(sent_bytes, self.size_bytes)


def _size_of(path: Path) -> int:
    """The size of a file that can be sent. Raises ``UnusableFile`` if it cannot."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # to open a pipe waits for its writer
            raise UnusableFile(f"{path} is not a regular file. Save the video to a file first.")
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
    except IsADirectoryError as error:
        raise UnusableFile(f"{path} is a directory, not a video file.") from error
    except OSError as error:
        raise UnusableFile(f"{path} cannot be read: {error.strerror}.") from error
    if not size_bytes:
        raise UnusableFile(f"{path} is empty.")
    return size_bytes


def _part(boundary: str, parameters: str, content_type: str = "") -> str:
    """The head of a part."""
    type_header = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {parameters}\r\n{type_header}\r\n"


def _quoted(name: str) -> str:
    """A file name as browsers escape it in a form."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
