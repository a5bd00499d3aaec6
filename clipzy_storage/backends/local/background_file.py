"""An open file of a local storage that is written in other threads, and goes to disk while it grows."""

import io
import os
from contextlib import suppress
from typing import Literal

from clipzy_storage.backends.background import BackgroundSink
from clipzy_storage.backends.local.dirfd import FILE_MODE
from clipzy_storage.backends.local.writeback import Writeback


class BackgroundFile:
    """Written at its end. Methods may raise ``OSError``, also that of an earlier ``write``."""

    def __init__(self, descriptor: int, mode: Literal["w", "r+"]) -> None:
        self._file = io.FileIO(descriptor, mode)
        self._size_bytes = self._file.seek(0, os.SEEK_END)
        self._sink = BackgroundSink(self._append)
        self._writeback = Writeback(descriptor, size_bytes=self._size_bytes)

    @property
    def size_bytes(self) -> int:
        """What it has once everything is written."""
        return self._size_bytes

    @property
    def descriptor(self) -> int:
        return self._file.fileno()

    def write(self, block: bytes) -> None:
        self._sink.put(block)
        self._size_bytes += len(block)

    def finish(self) -> None:
        """Wait until everything is written."""
        self._sink.finish()

    def make_durable(self) -> None:
        """Have all of it on disk, readable by others. Network filesystems report failed writes only here."""
        self._sink.finish()
        with suppress(PermissionError):  # some filesystems have no modes and refuse every change of them
            os.fchmod(self.descriptor, FILE_MODE)
        os.fsync(self.descriptor)

    def close(self) -> None:
        """Drop what is not written yet. Raises nothing; the errors of what matters came before."""
        self._sink.stop()
        with suppress(OSError):
            self._file.close()

    def _append(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        self._writeback.grown_to(self._file.tell())
