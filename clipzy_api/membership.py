"""This front end's place in the deployment, as its serving process sees it. Its main process keeps the place."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from clipzy_storage.backends.base import StorageLifecycle
from clipzy_storage.errors import ConfigurationError, QueueUnavailable, StorageError, StorageUnavailable
from clipzy_storage.guard.guard import Guard, OtherStorage, Refused

RETRY_SECONDS = 2.0
PATIENCE_SECONDS = 5.0  # how long a request waits for another that proves the storage
CHECK_SECONDS = 5.0  # after which a storage that does not answer at all counts as out of reach


class Membership:
    """Knows the guard as soon as the storage can be reached, which may be long after the start."""

    def __init__(self, prove: Callable[[], Guard], storage: StorageLifecycle) -> None:
        """``prove`` proves the storage and gives the guard."""
        self._prove = prove
        self._storage = storage
        self._guard: Guard | None = None
        self._trying = threading.Lock()
        self._is_silent = False
        self._next_try_at = 0.0
        self._check: Future[None] | None = None
        self._checking = threading.Lock()

    def guard(self) -> Guard:
        """Raises ``StorageUnavailable`` as long as the storage could not be proved."""
        if self._guard is not None:
            return self._guard
        if not self._trying.acquire(timeout=0 if self._is_silent else PATIENCE_SECONDS):
            self._is_silent = True  # one wait is enough to know it
            raise StorageUnavailable("the storage does not answer")
        try:
            self._is_silent = False
            return self._guard or self._try()
        finally:
            self._trying.release()

    def look(self) -> None:
        """Prove the storage without making anybody wait; where that fails, the next request tries again."""
        threading.Thread(target=self._look, name="storage-proof", daemon=True).start()

    def check_storage(self) -> None:
        """Raise ``StorageError`` where files cannot be read and written now.

        A dead network mount holds up one thread of this process for as long as it is dead, however many ask.
        """
        self.guard()
        with self._checking:
            if self._check is None or self._check.done():
                self._check = Future()
                threading.Thread(target=self._settle, args=[self._check], name="storage-check", daemon=True).start()
            check = self._check
        try:
            check.result(CHECK_SECONDS)
        except TimeoutError as error:
            raise StorageUnavailable("the storage does not answer") from error

    def _settle(self, check: "Future[None]") -> None:
        try:
            self._storage.check()
        except StorageError as error:
            check.set_exception(error)
        else:
            check.set_result(None)
        finally:
            if not check.done():
                check.set_exception(StorageUnavailable("the storage could not be checked"))

    def _look(self) -> None:
        try:
            self.guard()
        except StorageUnavailable:
            return  # the main process says so

    def _try(self) -> Guard:
        if time.monotonic() < self._next_try_at:
            raise StorageUnavailable("the storage could not be reached a moment ago")
        try:
            guard = self._prove()
            self._reject_other_storage(guard)
        except ConfigurationError as error:  # the main process finds the same, and stops
            raise StorageUnavailable(str(error)) from error
        finally:
            self._next_try_at = time.monotonic() + RETRY_SECONDS
        self._guard = guard
        return guard

    def _reject_other_storage(self, guard: Guard) -> None:
        """Keep a process that was started again over a vanished mount from settling in the empty folder."""
        try:
            guard.admit()
        except OtherStorage as error:
            self._storage.retract()
            raise StorageUnavailable(str(error)) from error
        except (Refused, QueueUnavailable):
            return  # that is told to each request
