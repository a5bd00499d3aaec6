"""One file of a local storage that several requests write, one after the other."""

import io
import os
from contextlib import suppress

from clipzy_storage.backends.background import BackgroundSink
from clipzy_storage.backends.base import HEAD_BYTES, BlobInfo, KeyOf
from clipzy_storage.backends.local.dirfd import FILE_MODE, link_once
from clipzy_storage.backends.local.errors import os_errors_translated
from clipzy_storage.backends.local.root import LocalRoot
from clipzy_storage.backends.local.writeback import Writeback

_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW


class LocalGrowingFile:
    """The ``GrowingFile`` that lies under ``name`` in ``directory``, and gets its key in ``root`` by a hard link."""

    def __init__(self, name: str, *, root: LocalRoot, directory: int, key_of: KeyOf) -> None:
        """Closes the descriptor ``directory`` at the end. Raises ``OSError``."""
        self._name = name
        self._root = root
        self._directory = directory
        self._key_of = key_of
        try:
            self._file = io.FileIO(os.open(name, _OPEN, 0o600, dir_fd=directory), "r+")
        except OSError:
            os.close(directory)
            raise
        self._size_bytes = self._file.seek(0, os.SEEK_END)
        self._sink = BackgroundSink(self._append)
        self._writeback = Writeback(self._file.fileno(), size_bytes=self._size_bytes)

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def write(self, data: bytes) -> None:
        with os_errors_translated(self._name, writing=True):
            self._sink.put(data)
        self._size_bytes += len(data)

    def keep(self) -> None:
        with os_errors_translated(self._name, writing=True):
            self._sink.finish()

    def publish(self) -> BlobInfo:
        self.keep()
        key = self._key_of(os.pread(self._file.fileno(), HEAD_BYTES, 0))
        with os_errors_translated(key, writing=True):
            with suppress(PermissionError):  # some filesystems have no modes and refuse every change of them
                os.fchmod(self._file.fileno(), FILE_MODE)
            os.fsync(self._file.fileno())
            self._root.in_parent_of(key, lambda parent, name: link_once(self._directory, self._name, parent, name, key))
            with suppress(FileNotFoundError):  # it was renamed, where there are no hard links
                os.unlink(self._name, dir_fd=self._directory)
        return BlobInfo(key, self._size_bytes)

    def close(self) -> None:
        self._sink.stop()
        with suppress(OSError):
            self._file.close()
        os.close(self._directory)

    def _append(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        self._writeback.grown_to(self._file.tell())
