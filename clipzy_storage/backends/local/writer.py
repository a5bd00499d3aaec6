"""One file of a local storage that is being written."""

import fcntl
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from clipzy_storage import keys
from clipzy_storage.backends.background import BackgroundHash, BackgroundSink
from clipzy_storage.backends.base import BlobInfo, check_kept
from clipzy_storage.backends.local.dirfd import FILE_MODE, NEW_FILE, link_once, size_bytes
from clipzy_storage.backends.local.errors import os_errors_translated
from clipzy_storage.backends.local.root import LocalRoot
from clipzy_storage.backends.local.writeback import Writeback
from clipzy_storage.errors import StorageError

_FICLONE = 0x40049409  # a constant of Linux, which Python has since 3.14


class LocalWriter:
    """The ``StorageWriter`` of one file, which grows in ``directory`` and gets its key in ``root`` by a hard link."""

    def __init__(self, key: str, *, root: LocalRoot, directory: int, writer: str) -> None:
        """Closes the descriptor ``directory`` at the end. Raises ``OSError``."""
        self._key = key
        self._root = root
        self._directory = directory
        self._name = writer + secrets.token_hex(16)
        self._hash = BackgroundHash()
        self._sink = BackgroundSink(self._append)
        self._size_bytes = 0
        self._closed = False
        try:
            self._file = io.FileIO(os.open(self._name, NEW_FILE, 0o600, dir_fd=directory), "w")
        except OSError:
            os.close(directory)
            raise
        self._writeback = Writeback(self._file.fileno())

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        block = data if isinstance(data, bytes) else bytes(data)
        self._size_bytes += len(block)
        with self._discarded_on_failure(keys.INCOMING):
            self._hash.update(block)
            self._sink.put(block)

    def publish(self) -> BlobInfo:
        with self._discarded_on_failure(self._key):
            self._sink.finish()
            self._hash.finish()
            self._make_durable()
            self._root.in_parent_of(self._key, self._link)
        self.discard()
        return BlobInfo(self._key, self._size_bytes)

    def reflink(self, file: int) -> bool:
        """Share the content of an open file until one of them changes; false if the filesystem cannot.

        btrfs, XFS and some network filesystems can. For a writer to which nothing was written; its ``sha256`` stays
        that of no bytes.
        """
        try:
            fcntl.ioctl(self._file.fileno(), _FICLONE, file)
        except OSError:  # whatever it is, the file can still be linked or copied
            return False
        self._size_bytes = os.fstat(file).st_size
        return True

    def discard(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._hash.stop()
        self._sink.stop()
        with suppress(OSError):  # the error concerns bytes that are discarded
            self._file.close()
        with suppress(OSError):  # the unfinished file counts for nothing, and the sweep will remove it
            os.unlink(self._name, dir_fd=self._directory)
        os.close(self._directory)

    def _append(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        self._writeback.grown_to(self._file.tell())

    def _link(self, parent: int, name: str) -> None:
        link_once(self._directory, self._name, parent, name, self._key)

    def _make_durable(self) -> None:
        """Network filesystems report failed writes only here."""
        with suppress(PermissionError):  # some filesystems have no modes and refuse every change of them
            os.fchmod(self._file.fileno(), FILE_MODE)
        os.fsync(self._file.fileno())
        self._file.close()
        check_kept(size_bytes(self._directory, self._name), self._size_bytes)

    @contextmanager
    def _discarded_on_failure(self, key: str) -> Iterator[None]:
        try:
            with os_errors_translated(key, writing=True):
                yield
        except StorageError:
            self.discard()
            raise
