"""Threads of a worker's main process that run a task at a fixed interval."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from clipzy_storage.errors import QueueUnavailable, StorageError

log = structlog.stdlib.get_logger(__name__)


@contextmanager
def failures_logged(thread: str) -> Iterator[None]:
    """Log an error instead of raising it: a thread must outlive whatever one job or record causes."""
    try:
        yield
    except QueueUnavailable as error:
        log.warning("thread.redis_unavailable", thread=thread, reason=str(error))
    except StorageError as error:
        log.warning("thread.storage_unavailable", thread=thread, reason=str(error))
    except Exception:
        log.exception("thread.failed", thread=thread)


class PeriodicThread(ABC):
    """A thread that calls ``run_once`` at a fixed interval until it is stopped. An error never ends it."""

    def __init__(self, name: str, *, interval_seconds: float, retry_seconds: float | None = None) -> None:
        """After an error the thread waits ``retry_seconds``; by default, as long as always."""
        self._name = name
        self._interval_seconds = interval_seconds
        self._retry_seconds = interval_seconds if retry_seconds is None else retry_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def run_once(self) -> None:
        """Do what is due. May raise ``QueueUnavailable`` and ``StorageError``: then it is tried again."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        wait_seconds = self._interval_seconds
        while not self._stopping.wait(wait_seconds):
            wait_seconds = self._retry_seconds
            with failures_logged(self._name):
                self.run_once()
                wait_seconds = self._interval_seconds
