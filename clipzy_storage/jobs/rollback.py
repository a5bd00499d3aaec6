"""Deletes what a request has written so far, unless the request succeeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import structlog

from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import QueueUnavailable, ScriptFailed, StorageError

log = structlog.stdlib.get_logger(__name__)


class Rollback:
    """Used with ``with``: at its end deletes the registered keys, last first, unless ``commit`` was called."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._keys: list[str] = []

    def on_failure_delete(self, key: str) -> None:
        """Register ``key`` before it is written: a failed write may have written it after all."""
        self._keys.append(key)

    def commit(self) -> None:
        """Keep what was written so far."""
        self._keys.clear()

    def roll_back(self) -> None:
        """Delete now what was not committed. Raises nothing: the request's own error is the one to answer with."""
        while self._keys:
            key = self._keys.pop()
            try:
                self._storage.delete(key)
            except StorageError as error:
                log.warning("rollback.failed", key=key, reason=str(error))

    @contextmanager
    def committed_if_redis_may_know(self) -> Iterator[None]:
        """Around a command to Redis: if its answer was lost, Redis may know of the files, so they are kept."""
        try:
            yield
        except QueueUnavailable as error:
            if not error.certain:
                self.commit()
            raise
        except ScriptFailed:  # it may have written the record before it failed
            self.commit()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.roll_back()
