"""This front end's membership, as its serving process sees it. Its main process sends the heartbeats."""

import threading
import time
from collections.abc import Callable

from clipzy_api.storage_probe import StorageProbe
from clipzy_storage.backends.base import StorageLifecycle
from clipzy_storage.errors import ConfigurationError, QueueUnavailable, StorageUnavailable
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.refusals import OtherStorage, Refused

RETRY_SECONDS = 2.0
LOCK_TIMEOUT_SECONDS = 5.0
CHECK_TIMEOUT_SECONDS = 5.0


class Membership:
    """Has the guard as soon as the storage is available, which may be long after the start."""

    def __init__(
        self,
        new_guard: Callable[[], Guard],
        storage: StorageLifecycle,
        *,
        retry_seconds: float = RETRY_SECONDS,
        lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
        check_timeout_seconds: float = CHECK_TIMEOUT_SECONDS,
    ) -> None:
        """``new_guard`` checks the storage and returns the guard.

        It is called again ``retry_seconds`` after it failed; meanwhile requests are refused. A request waits for
        another one's call for ``lock_timeout_seconds``. A storage that does not answer a check within
        ``check_timeout_seconds`` counts as unavailable.
        """
        self._new_guard = new_guard
        self._storage = storage
        self._retry_seconds = retry_seconds
        self._lock_timeout_seconds = lock_timeout_seconds
        self._guard: Guard | None = None
        self._opening = threading.Lock()
        self._is_blocked = False
        self._next_try_at = 0.0
        self._check = StorageProbe(storage.check, timeout_seconds=check_timeout_seconds)

    def guard(self) -> Guard:
        """Raises ``StorageUnavailable`` as long as the storage could not be checked."""
        if self._guard is not None:
            return self._guard
        if not self._opening.acquire(timeout=0 if self._is_blocked else self._lock_timeout_seconds):
            self._is_blocked = True  # further requests need not wait to find out
            raise StorageUnavailable("the storage does not answer")
        try:
            self._is_blocked = False
            return self._guard or self._open()
        finally:
            self._opening.release()

    def open_in_background(self) -> None:
        """Check the storage without making a request wait; if that fails, the next request tries again."""
        threading.Thread(target=self._try_to_open, name="storage-open", daemon=True).start()

    def check_storage(self) -> None:
        """Raise ``StorageError`` if files cannot be read and written now.

        A dead network mount blocks one thread of this process as long as it is dead, however many requests there are.
        """
        self.guard()
        self._check.answer()

    def _try_to_open(self) -> None:
        try:
            self.guard()
        except StorageUnavailable:
            return  # the main process logs it

    def _open(self) -> Guard:
        if time.monotonic() < self._next_try_at:
            raise StorageUnavailable("the storage could not be reached a moment ago")
        try:
            guard = self._new_guard()
            self._reject_other_storage(guard)
        except ConfigurationError as error:  # the main process finds the same, and stops
            raise StorageUnavailable(str(error)) from error
        finally:
            self._next_try_at = time.monotonic() + self._retry_seconds
        self._guard = guard
        return guard

    def _reject_other_storage(self, guard: Guard) -> None:
        """Keep a process that was restarted over a vanished mount from adopting the empty directory below it."""
        try:
            guard.admit()
        except OtherStorage as error:
            self._storage.retract()
            raise StorageUnavailable(str(error)) from error
        except (Refused, QueueUnavailable):
            return  # each request is answered with it
