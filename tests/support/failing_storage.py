"""A storage that stops to answer when it is told to: a directory cannot be made to."""

import threading
from collections.abc import Iterator
from pathlib import Path

from clipzy_storage.backends.base import BlobInfo
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import StorageUnavailable


class FailingStorage(LocalStorage):
    """Its listings are counted, fail if ``fails``, and wait while ``answers`` is cleared."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, shared=False)
        self.fails = False
        self.listings = 0
        self.answers = threading.Event()
        self.answers.set()
        self.is_waited_for = threading.Event()

    def list(self, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
        self.listings += 1
        if self.fails:
            raise StorageUnavailable("it fails")
        if not self.answers.is_set():
            self.is_waited_for.set()
            assert self.answers.wait(60)
        return super().list(prefix, after=after)
