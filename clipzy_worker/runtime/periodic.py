"""Threads of a worker's main process that run a task at a fixed interval."""

import threading
from abc import ABC, abstractmethod

import structlog

from clipzy_storage.errors import QueueUnavailable, StorageError

log = structlog.stdlib.get_logger(__name__)


class PeriodicThread(ABC):
    """A thread that calls ``run_once`` at a fixed interval until it is stopped. An error never ends it."""

    def __init__(self, name: str, *, interval_seconds: float) -> None:
        self._name = name
        self._interval_seconds = interval_seconds
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
        while not self._stopping.wait(self._interval_seconds):
            try:
                self.run_once()
            except QueueUnavailable as error:
                log.warning("thread.redis_unavailable", thread=self._name, reason=str(error))
            except StorageError as error:
                log.warning("thread.storage_unavailable", thread=self._name, reason=str(error))
            except Exception:  # the thread must outlive whatever one job or record causes
                log.exception("thread.failed", thread=self._name)
