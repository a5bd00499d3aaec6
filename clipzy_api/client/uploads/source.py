"""The file of an upload: what it was when it was first looked at, and its bytes."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from clipzy_api.client.errors import UnusableFile

BLOCK_BYTES = 256 << 10

OnProgress = Callable[[int, int], None]
"""Called with the bytes that are done and those of the whole."""


@dataclass(frozen=True)
class Source:
    """A file by its path, and what tells it from another one. Methods may raise ``UnusableFile``."""

    path: Path
    size_bytes: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Raises ``UnusableFile`` if it cannot be sent."""
        try:
            mode = path.stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # to open a pipe waits for its writer
                raise UnusableFile(f"{path} is not a regular file. Save the video to a file first.")
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
        except IsADirectoryError as error:
            raise UnusableFile(f"{path} is a directory, not a video file.") from error
        except OSError as error:
            raise _unreadable(path, error) from error
        if not found.st_size:
            raise UnusableFile(f"{path} is empty.")
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ino)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the whole file."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Its bytes from ``start`` to before ``stop``; those of the whole file unless given."""
        left = (self.size_bytes if stop is None else stop) - start
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                while left:
                    block = file.read(min(BLOCK_BYTES, left))
                    if not block:
                        raise UnusableFile(f"{self.path} became shorter while it was sent.")
                    left -= len(block)
                    yield block
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def check_unchanged(self) -> None:
        try:
            found = self.path.stat()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if (found.st_size, found.st_mtime_ns, found.st_ino) != (self.size_bytes, self.modified_ns, self.inode):
            raise UnusableFile(f"{self.path} was changed while it was sent. Send it again once nothing writes it.")


class Piece:
    """A part of a file as the body of a request; every iteration starts at its beginning.

    ``on_sent`` is called with the bytes of it that were sent, after every block, and may raise. A file that has
    changed is not sent to its end: what would arrive is neither of both versions.
    """

    def __init__(self, source: Source, *, start: int, stop: int, on_sent: Callable[[int], None]) -> None:
        self._source, self._start, self._stop = source, start, stop
        self._on_sent = on_sent

    def __len__(self) -> int:
        return self._stop - self._start

    def __iter__(self) -> Iterator[bytes]:
        sent_bytes = 0
        for block in self._source.blocks(self._start, self._stop):
            self._source.check_unchanged()
            yield block
            sent_bytes += len(block)
            self._on_sent(sent_bytes)


def _unreadable(path: Path, error: OSError) -> UnusableFile:
    return UnusableFile(f"{path} cannot be read: {error.strerror}.")
