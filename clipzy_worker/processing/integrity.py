"""Whether a file is still what was uploaded, found out beside the work on it."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from clipzy_storage.backends.base import READ_BLOCK_BYTES
from clipzy_storage.errors import Damaged, StorageUnavailable

_POLL_SECONDS = 0.25


class Sha256Check:
    """Reads all of a file in a thread, from ``with`` on, and compares it with its sha256.

    Leaving the block ends the thread at its next read, or leaves it to itself where storage hangs.
    """

    def __init__(self, path: Path, *, sha256: str) -> None:
        self._path = path
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._error: OSError | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="comparison", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()

    def check(self, *, on_progress: Callable[[], object] = lambda: None) -> None:
        """Wait for the end of it; meanwhile ``on_progress`` is called again and again, and may raise to end it.

        Raises:
            Damaged: the file is not what was uploaded.
            StorageUnavailable: it could not be read.
        """
        while self._thread.is_alive():
            on_progress()
            self._thread.join(_POLL_SECONDS)
        if self._error is not None:
            raise StorageUnavailable(f"the upload cannot be read: {self._error.strerror}") from self._error
        if self._digest.hexdigest() != self._sha256:
            raise Damaged(f"the upload is not what was stored: its sha256 is {self._digest.hexdigest()}")

    def _read(self) -> None:
        block = memoryview(bytearray(READ_BLOCK_BYTES))
        try:
            with self._path.open("rb", buffering=0) as stream:
                while not self._is_over.is_set() and (count := stream.readinto(block)):
                    self._digest.update(block[:count])
        except OSError as error:
            self._error = error
