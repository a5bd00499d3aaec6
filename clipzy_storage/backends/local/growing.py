"""One file of a local storage that several requests write, one after the other."""

import os
from contextlib import suppress

from clipzy_storage.backends.base import HEAD_BYTES, BlobInfo, KeyOf
from clipzy_storage.backends.local.background_file import BackgroundFile
from clipzy_storage.backends.local.dirfd import link_once
from clipzy_storage.backends.local.errors import os_errors_translated
from clipzy_storage.backends.local.root import LocalRoot

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
            self._file = BackgroundFile(os.open(name, _OPEN, 0o600, dir_fd=directory), "r+")
        except OSError:
            os.close(directory)
            raise

    @property
    def size_bytes(self) -> int:
        return self._file.size_bytes

    def write(self, data: bytes) -> None:
        with os_errors_translated(self._name, writing=True):
            self._file.write(data)

    def keep(self) -> None:
        with os_errors_translated(self._name, writing=True):
            self._file.finish()

    def publish(self) -> BlobInfo:
        self.keep()
        key = self._key_of(os.pread(self._file.descriptor, HEAD_BYTES, 0))
        with os_errors_translated(key, writing=True):
            self._file.make_durable()
            self._root.in_parent_of(key, lambda parent, name: link_once(self._directory, self._name, parent, name, key))
            with suppress(FileNotFoundError):  # it was renamed, where there are no hard links
                os.unlink(self._name, dir_fd=self._directory)
        return BlobInfo(key, self.size_bytes)

    def close(self) -> None:
        self._file.close()
        os.close(self._directory)
