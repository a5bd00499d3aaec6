"""One file of a local storage that is being written."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from clipzy_storage import keys
from clipzy_storage.backends.background import BackgroundHash
from clipzy_storage.backends.base import BlobInfo, check_kept
from clipzy_storage.backends.local.background_file import BackgroundFile
from clipzy_storage.backends.local.dirfd import NEW_FILE, link_once, rename_over, size_bytes
from clipzy_storage.backends.local.errors import os_errors_translated
from clipzy_storage.backends.local.root import LocalRoot
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
        self._cloned_bytes = 0
        self._closed = False
        try:
            self._file = BackgroundFile(os.open(self._name, NEW_FILE, 0o600, dir_fd=directory), "w")
        except OSError:
            os.close(directory)
            raise

    @property
    def size_bytes(self) -> int:
        return self._cloned_bytes + self._file.size_bytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        block = data if isinstance(data, bytes) else bytes(data)
        with self._discarded_on_failure(keys.INCOMING):
            self._hash.update(block)
            self._file.write(block)

    def publish(self) -> BlobInfo:
        self._publish(self._link)
        return BlobInfo(self._key, self.size_bytes)

    def replace(self) -> None:
        """Publish the file in place of the one that has the key, if there is one."""
        self._publish(self._rename)

    def reflink(self, file: int) -> bool:
        """Share the content of an open file until one of them changes; false if the filesystem cannot.

        btrfs, XFS and some network filesystems can. For a writer to which nothing was written; its ``sha256`` stays
        that of no bytes.
        """
        try:
            fcntl.ioctl(self._file.descriptor, _FICLONE, file)
        except OSError:  # whatever it is, the file can still be linked or copied
            return False
        self._cloned_bytes = os.fstat(file).st_size
        return True

    def discard(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._hash.stop()
        self._file.close()
        with suppress(OSError):  # the unfinished file counts for nothing, and the sweep will remove it
            os.unlink(self._name, dir_fd=self._directory)
        os.close(self._directory)

    def _publish(self, give_name: Callable[[int, str], None]) -> None:
        with self._discarded_on_failure(self._key):
            self._hash.finish()
            self._file.make_durable()
            check_kept(size_bytes(self._directory, self._name), self.size_bytes)
            self._root.in_parent_of(self._key, give_name)
        self.discard()

    def _link(self, parent: int, name: str) -> None:
        link_once(self._directory, self._name, parent, name, self._key)

    def _rename(self, parent: int, name: str) -> None:
        rename_over(self._directory, self._name, parent, name)

    @contextmanager
    def _discarded_on_failure(self, key: str) -> Iterator[None]:
        try:
            with os_errors_translated(key, writing=True):
                yield
        except StorageError:
            self.discard()
            raise
