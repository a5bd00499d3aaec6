"""The digests of uploads that arrive over several requests, as far as one process has received them all."""

import threading
from collections import OrderedDict
from datetime import datetime

from clipzy_storage.backends.background import BackgroundHash
from clipzy_storage.models.records import Upload

MOST = 1000
"""How many are remembered; a further one displaces the one that was used longest ago."""


class RunningDigests:
    """Digests between two requests, by upload and size. A digest cannot be handed to another process.

    Also by when the upload was begun: one that was given up, and is begun anew under its key, may be of another file.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, datetime], tuple[int, BackgroundHash]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, upload: Upload, size_bytes: int) -> BackgroundHash | None:
        """That of the first ``size_bytes``, to be continued; None if another process has received some of them."""
        with self._lock:
            known_bytes, digest = self._kept.pop(_id(upload), (0, BackgroundHash()))
        return digest if known_bytes == size_bytes else None

    def keep(self, upload: Upload, size_bytes: int, digest: BackgroundHash) -> None:
        digest.finish()
        with self._lock:
            self._kept[_id(upload)] = size_bytes, digest
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)


def _id(upload: Upload) -> tuple[str, datetime]:
    return upload.upload_id, upload.created_at
