"""One file of a local storage on its way in, and one on its way out; and errors turned into our own."""

import errno
import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo
from clipzy_storage.backends.local.dirfd import BLOCKED, FILE_MODE, FULL, NEW_FILE, size_bytes
from clipzy_storage.errors import AlreadyExists, BadKey, NotFound, StorageError, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@contextmanager
def translated(key: str, *, writing: bool = False) -> Iterator[None]:
    """Turn what the system says into our own errors, without the machine's paths."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull("the storage is full; delete something or add space") from error
        if error.errno == errno.EEXIST:
            raise AlreadyExists(f"{key} is stored already") from error
        if error.errno in BLOCKED and writing:
            raise BadKey(f"{key} leads through something that is not a folder") from error
        if error.errno in {*BLOCKED, errno.ENOENT} and not writing:
            raise NotFound(f"there is no {key} in the storage") from error
        raise StorageUnavailable(f"the storage does not answer: {error.strerror}") from error


class LocalWriter:
    """One unfinished file, and the folder it lies in, which it closes."""

    def __init__(self, key: str, folder: int, *, writer: str, place: Callable[[int, str, str], None]) -> None:
        self._key = key
        self._folder = folder
        self._place = place
        self._name = writer + secrets.token_hex(16)
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._closed = False
        try:
            self._file = io.FileIO(os.open(self._name, NEW_FILE, 0o600, dir_fd=folder), "w")
        except OSError:
            os.close(folder)
            raise

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data).cast("B")
        self._hash.update(rest)
        with self._discarded_on_failure(keys.INCOMING):
            while rest:
                count = self._file.write(rest) or 0
                self._size_bytes += count
                rest = rest[count:]

    def publish(self) -> BlobInfo:
        with self._discarded_on_failure(self._key):
            self._finish()
            self._place(self._folder, self._name, self._key)
        self.discard()
        return BlobInfo(self._key, self._size_bytes)

    def discard(self) -> None:
        if self._closed:
            return
        self._closed = True
        with suppress(OSError):  # an error here is about bytes that nobody wants
            self._file.close()
        with suppress(OSError):  # what cannot be removed counts for nothing here, and the sweep comes
            os.unlink(self._name, dir_fd=self._folder)
        os.close(self._folder)

    def _finish(self) -> None:
        """Make the content durable. Network filesystems tell of failed writes only here."""
        with suppress(PermissionError):  # some filesystems have no modes and refuse every change of them
            os.fchmod(self._file.fileno(), FILE_MODE)
        os.fsync(self._file.fileno())
        self._file.close()
        if size_bytes(self._folder, self._name) != self._size_bytes:
            raise StorageUnavailable("the storage kept fewer or more bytes than it was given")

    @contextmanager
    def _discarded_on_failure(self, key: str) -> Iterator[None]:
        try:
            with translated(key, writing=True):
                yield
        except StorageError:
            self.discard()
            raise


class RangeReader(io.RawIOBase):
    """A range of an open file as a file of its own, which it closes. Seekable; read errors come translated."""

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
        room = memoryview(buffer).cast("B")[: max(0, self._size - self._position)]
        with translated(self._key):
            count = os.preadv(self._file, [room], self._start + self._position)
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()
