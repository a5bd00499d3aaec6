"""This front end's place in the deployment, as its serving process sees it. Its main process keeps the place."""

import threading
import time
from collections.abc import Callable

from clipzy_storage.errors import ConfigurationError, StorageUnavailable
from clipzy_storage.guard import Guard

RETRY_SECONDS = 2.0
PATIENCE_SECONDS = 10.0  # how long a request waits for another that proves the storage


class Membership:
    """Knows the guard as soon as the storage can be reached, which may be long after the start."""

    def __init__(self, prove: Callable[[], Guard]) -> None:
        """``prove`` proves the storage and gives the guard."""
        self._prove = prove
        self._guard: Guard | None = None
        self._trying = threading.Lock()
        self._next_try_at = 0.0

    def guard(self) -> Guard:
        """Raises ``StorageUnavailable`` as long as the storage could not be proved."""
        if self._guard is not None:
            return self._guard
        if not self._trying.acquire(timeout=PATIENCE_SECONDS):
            raise StorageUnavailable("the storage does not answer")
        try:
            return self._guard or self._try()
        finally:
            self._trying.release()

    def look(self) -> None:
        """Prove the storage without making anybody wait; where that fails, the next request tries again."""
        threading.Thread(target=self._look, name="storage-proof", daemon=True).start()

    def _look(self) -> None:
        try:
            self.guard()
        except StorageUnavailable:
            return  # the main process says so

    def _try(self) -> Guard:
        if time.monotonic() < self._next_try_at:
            raise StorageUnavailable("the storage could not be reached a moment ago")
        try:
            self._guard = self._prove()
        except ConfigurationError as error:  # the main process finds the same, and stops
            raise StorageUnavailable(str(error)) from error
        finally:
            self._next_try_at = time.monotonic() + RETRY_SECONDS
        return self._guard
