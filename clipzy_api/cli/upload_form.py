"""The multipart form of an upload: one file, streamed from disk, after the job's ``config``."""

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import click

BLOCK_BYTES = 256 << 10


class FileForm:
    """A request body of known length that is never in memory as a whole.

    Every iteration starts at the beginning, so that it can be sent again; ``key`` stays the same, for an
    Idempotency-Key. ``on_sent``, if set, is called with the size of every block of the file that was sent, and with a
    negative number when the form is sent again and the bytes sent before no longer count.

    Raises:
        click.ClickException: there is no file to send, or it became shorter while it was sent.
    """

    on_sent: Callable[[int], None] | None = None

    def __init__(self, path: Path, *, config: str = "") -> None:
        self.size_bytes = _size_of(path)
        self.key = secrets.token_urlsafe(24)
        self._path = path
        self._sent_bytes = 0
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        config_part = _part(boundary, 'name="config"') + f"{config}\r\n" if config else ""
        file_part = _part(boundary, f'name="file"; filename="{_quoted(path.name)}"', "application/octet-stream")
        self._head = (config_part + file_part).encode("utf-8", "replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self.size_bytes + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        self._report(-self._sent_bytes)
        yield self._head
        remaining_bytes = self.size_bytes
        with self._path.open("rb") as file:
            while remaining_bytes:
                block = file.read(min(BLOCK_BYTES, remaining_bytes))
                if not block:
                    raise click.ClickException(f"{self._path} became shorter while it was sent.")
                remaining_bytes -= len(block)
                yield block
                self._report(len(block))
        yield self._tail

    def _report(self, sent_bytes: int) -> None:
        self._sent_bytes += sent_bytes
        if self.on_sent and sent_bytes:
            self.on_sent(sent_bytes)


def _size_of(path: Path) -> int:
    """The size of a file that can be sent. Raises ``click.ClickException`` if it cannot."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # to open a pipe waits for its writer
            raise click.ClickException(f"{path} is not a regular file. Save the video to a file first.")
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
    except IsADirectoryError as error:
        raise click.ClickException(f"{path} is a directory, not a video file.") from error
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from error
    if not size_bytes:
        raise click.ClickException(f"{path} is empty.")
    return size_bytes


def _part(boundary: str, parameters: str, content_type: str = "") -> str:
    """The head of a part."""
    type_header = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {parameters}\r\n{type_header}\r\n"


def _quoted(name: str) -> str:
    """A file name as browsers escape it in a form."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
