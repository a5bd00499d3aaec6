"""One file of a local storage that is being read, and listings of directories with the age of files."""

import io
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo
from clipzy_storage.backends.local.dirfd import clock, open_descendant, open_subdirectory, opened, status_of
from clipzy_storage.backends.local.errors import os_errors_translated
from clipzy_storage.backends.local.identity import OWN_DIRECTORY
from clipzy_storage.errors import BadKey

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = structlog.stdlib.get_logger(__name__)


class RangeReader(io.RawIOBase):
    """A range of an open file as a seekable file. Closes the descriptor; raises ``StorageError`` for read errors."""

    def __init__(self, file: int, key: str, start: int, length: int | None) -> None:
        self._file, self._key, self._start = file, key, start
        rest = max(0, os.fstat(file).st_size - start)
        self._size = rest if length is None else min(rest, length)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = max(0, offset + (0, self._position, self._size)[whence])
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")[: max(0, self._size - self._position)]
        with os_errors_translated(self._key):
            count = os.preadv(self._file, [target], self._start + self._position)
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()


def time_of(root: int) -> float | None:
    """The storage's time; None if it is mounted read-only, or belongs to another user."""
    with suppress(OSError), open_descendant(root, [OWN_DIRECTORY]) as own:
        return clock(own)
    return None


def list_files(directory: int, prefix: str, *, now: float | None, after: str = "") -> Iterator[BlobInfo]:
    """All files below, in the order of their whole keys, of which ``prefix`` is the beginning. Raises ``OSError``.

    ``now`` is ``time_of`` the root; if it is None, no file has an age. ``after``: see ``Storage.list``. A directory
    below that may not be read is logged and skipped, such as a ``lost+found``: it must not end every listing.
    """
    if len(prefix) > keys.MAX_KEY_LENGTH:  # no file below has a key, however deep the directories go
        return
    with os.scandir(directory) as entries:
        # The name of a directory sorts with the slash after it, as in keys.
        names = sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries)
    for name in names:
        if prefix + name <= after and not after.startswith(prefix + name):
            continue
        if name.startswith(".nfs") or f"{prefix}{name}" == f"{keys.INCOMING}/":
            continue
        with suppress(FileNotFoundError, NotADirectoryError, BadKey):  # removed meanwhile, or not our file
            if name.endswith("/"):
                try:
                    deeper = open_subdirectory(directory, name[:-1], create=False)
                except PermissionError:
                    log.warning("storage.unreadable", prefix=ascii(prefix + name))
                    continue
                with opened(deeper):
                    yield from list_files(deeper, prefix + name, now=now, after=after)
            elif prefix + name > after:
                status = status_of(directory, name)
                # 0 also if the clock was set back since: a file that seems to be from the future is not old.
                age_seconds = 0.0 if now is None else max(0.0, now - status.st_mtime)
                yield BlobInfo(keys.checked(prefix + name), status.st_size, age_seconds)
