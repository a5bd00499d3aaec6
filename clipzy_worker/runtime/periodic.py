"""Work that a worker's main process does again and again beside its jobs."""

import logging
import threading
from abc import ABC, abstractmethod

from clipzy_storage.errors import QueueUnavailable, StorageError

log = logging.getLogger(__name__)


class PeriodicThread(ABC):
    """A thread that calls ``look`` in even pauses until it is stopped; whatever a look raises, the next one comes."""

    def __init__(self, name: str, *, interval_seconds: float) -> None:
        self._name = name
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def look(self) -> None:
        """One round. May raise ``QueueUnavailable`` and ``StorageError``: what is due is then tried again."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            try:
                self.look()
            except QueueUnavailable as error:
                log.warning("%s.redis_away: %s", self._name, error)
            except StorageError as error:
                log.warning("%s.storage_trouble: %s; tried again later", self._name, error)
            except Exception:  # the thread must outlive whatever one job or record holds in store
                log.exception("%s.failed", self._name)
