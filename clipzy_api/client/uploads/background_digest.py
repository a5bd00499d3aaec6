"""The digest of a file, computed in another thread while the file is sent."""

import hashlib
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from clipzy_api.client.errors import UnusableFile
from clipzy_api.client.uploads.source import Source


class BackgroundDigest:
    """The sha256 of a file from the ``with`` block on; its end stops the computation."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._digest: Future[str] = Future()
        self._is_stopped = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._compute, name="clipzy-digest", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_stopped = True

    def hexdigest(self) -> str:
        """Waits for it. Raises ``UnusableFile``."""
        return self._digest.result()

    def _compute(self) -> None:
        digest = hashlib.sha256()
        try:
            for block in self._source.blocks():
                if self._is_stopped:
                    return
                digest.update(block)
        except UnusableFile as error:
            self._digest.set_exception(error)
        else:
            self._digest.set_result(digest.hexdigest())
