"""A multipart form with one file in it, read while it is sent, and a job's `config` before it."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import click

CHUNK_BYTES = 1 << 18


class FileForm:
    """The body of a request: its length is known beforehand, its content never in memory.

    It may be sent again, from its beginning; ``key`` is the same then, and tells that it is the same.
    ``on_sent``, if set, is told of every piece of the file how many bytes it had, and when it is sent again, by a
    number below zero, that what was sent before does not count.

    Raises:
        click.ClickException: at once where there is no file to send; while it is read where it became shorter.
    """

    on_sent: Callable[[int], None] | None = None

    def __init__(self, path: Path, *, config: str = "") -> None:
        self.size_bytes = _size_of(path)
        self.key = secrets.token_urlsafe(24)
        self._path = path
        self._sent_bytes = 0
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        options = _part(boundary, 'name="config"') + f"{config}\r\n" if config else ""
        file = _part(boundary, f'name="file"; filename="{_quoted(path.name)}"', "application/octet-stream")
        self._head = (options + file).encode("utf-8", "replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self.size_bytes + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        self._report(-self._sent_bytes)
        yield self._head
        remaining_bytes = self.size_bytes
        with self._path.open("rb") as file:
            while remaining_bytes:
                data = file.read(min(CHUNK_BYTES, remaining_bytes))
                if not data:
                    raise click.ClickException(f"{self._path} became shorter while it was sent.")
                remaining_bytes -= len(data)
                yield data
                self._report(len(data))
        yield self._tail

    def _report(self, sent_bytes: int) -> None:
        self._sent_bytes += sent_bytes
        if self.on_sent and sent_bytes:
            self.on_sent(sent_bytes)


def _size_of(path: Path) -> int:
    """Bytes of a file that can be sent. Raises ``click.ClickException`` where it cannot."""
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
    except IsADirectoryError as error:
        raise click.ClickException(f"{path} is a folder, not a video file.") from error
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from error
    if not size_bytes:
        raise click.ClickException(f"{path} is empty.")
    return size_bytes


def _part(boundary: str, about: str, content_type: str = "") -> str:
    """How a part begins, up to its content."""
    of_type = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {about}\r\n{of_type}\r\n"


def _quoted(name: str) -> str:
    """A file name as browsers write it into a form."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
