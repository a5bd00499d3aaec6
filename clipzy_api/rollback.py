"""What a request has written so far, taken back unless the request succeeds."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import QueueUnavailable, StorageError

log = logging.getLogger(__name__)


class Rollback:
    """Used with ``with``: deletes the keys it was told of, last first, unless ``keep`` was called."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._keys: list[str] = []

    def remember(self, key: str) -> None:
        """Say, before it is written, that this request writes ``key``: a failed write may have written it after all."""
        self._keys.append(key)

    def keep(self) -> None:
        """What was written so far stays."""
        self._keys.clear()

    @contextmanager
    def kept_if_redis_may_know(self) -> Iterator[None]:
        """Around a command to Redis: where its answer was lost, what was written stays, for Redis may know of it."""
        try:
            yield
        except QueueUnavailable as error:
            if not error.certain:
                self.keep()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for key in reversed(self._keys):
            try:
                self._storage.delete(key)
            except StorageError as trouble:  # the request's own error is the one to answer with
                log.warning("undo.failed: %s stays behind: %s", key, trouble)
