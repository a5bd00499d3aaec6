"""The digests of uploads that arrive over several requests, as far as one process has received them all."""

import threading
from collections import OrderedDict

from clipzy_storage.backends.background import BackgroundHash

MOST = 1000
"""How many are remembered; a further one displaces the one that was used longest ago."""


class RunningDigests:
    """Digests between two requests, by upload and size. A digest cannot be handed to another process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, BackgroundHash]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, upload_id: str, size_bytes: int) -> BackgroundHash | None:
        """That of the first ``size_bytes``, to be continued; None if another process has received some of them."""
        with self._lock:
            known_bytes, digest = self._kept.pop(upload_id, (0, BackgroundHash()))
        return digest if known_bytes == size_bytes else None

    def keep(self, upload_id: str, size_bytes: int, digest: BackgroundHash) -> None:
        digest.finish()
        with self._lock:
            self._kept[upload_id] = size_bytes, digest
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
