"""Verifies that a file is still what was uploaded, while it is processed."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from clipzy_storage.backends.base import READ_BLOCK_BYTES
from clipzy_storage.backends.error_counts import not_what_was_stored
from clipzy_storage.errors import StorageUnavailable

_POLL_SECONDS = 0.25


class Sha256Check:
    """Reads all of a file in a thread, from ``with`` on, and compares its sha256, or computes it if it is not known.

    After the block the thread ends at its next read, or stays behind if storage hangs.
    """

    def __init__(self, path: Path, *, sha256: str | None) -> None:
        self._path = path
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._error: OSError | None = None
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="integrity", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed.set()

    def check(self, *, on_progress: Callable[[], object] = lambda: None) -> str:
        """Wait until it is read, and return its sha256.

        Meanwhile ``on_progress`` is called repeatedly, and may raise to stop waiting.

        Raises:
            Damaged: the file is not what was uploaded.
            StorageUnavailable: it could not be read.
        """
        while self._thread.is_alive():
            on_progress()
            self._thread.join(_POLL_SECONDS)
        if self._error is not None:
            raise StorageUnavailable(f"the upload cannot be read: {self._error.strerror}") from self._error
        found = self._digest.hexdigest()
        if self._sha256 not in (None, found):
            raise not_what_was_stored("the upload", found)
        return found

    def _read(self) -> None:
        block = memoryview(bytearray(READ_BLOCK_BYTES))
        try:
            with self._path.open("rb", buffering=0) as stream:
                while not self._is_closed.is_set() and (count := stream.readinto(block)):
                    self._digest.update(block[:count])
        except OSError as error:
            self._error = error
