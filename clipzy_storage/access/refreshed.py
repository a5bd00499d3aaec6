"""What the storage holds as one process knows it: read again within seconds, so that a request costs no storage."""

import math
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from clipzy_storage.errors import Damaged, StorageError, StorageUnavailable
from clipzy_storage.log_events import ACCESS_NOT_REFRESHED

REFRESH_SECONDS = 2.0
# A request that needs the value waits so long for another one that reads it.
_WAIT_SECONDS = 2.0

_Value = TypeVar("_Value")

log = structlog.stdlib.get_logger(__name__)


class Refreshed(Generic[_Value]):
    """A value that one request at a time reads again, once it is ``refresh_seconds`` old.

    The others go on with the one that is known as long as it is younger than ``max_age_seconds``, and so do all while
    it cannot be read. ``read`` gets the one that is known, at first ``empty``. ``name`` is what messages call it.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[_Value], _Value],
        empty: _Value,
        *,
        refresh_seconds: float,
        max_age_seconds: float = math.inf,
    ) -> None:
        self._name, self._read, self._known = name, read, empty
        self._refresh_seconds, self._max_age_seconds = refresh_seconds, max_age_seconds
        self._read_at: float | None = None
        self._due_at = float("-inf")
        self._is_failing = False
        self._reading = threading.Lock()

    def value(self) -> _Value:
        """The value. Raises ``Damaged`` and ``StorageUnavailable`` if it cannot be read and none is young enough."""
        if self._is_due():
            self._refresh()
        return self._known

    def _refresh(self) -> None:
        if not self._reading.acquire(timeout=_WAIT_SECONDS if self._is_too_old() else 0):
            if self._is_too_old():
                raise StorageUnavailable(f"{self._name} cannot be read: the storage does not answer")
            return
        try:
            if self._is_due():  # otherwise another request has just read it
                self._read_again()
        except StorageError as error:
            self._go_on_after(error)
        finally:
            self._reading.release()

    def _read_again(self) -> None:
        begun_at = time.monotonic()
        self._known = self._read(self._known)
        self._read_at, self._due_at, self._is_failing = begun_at, begun_at + self._refresh_seconds, False

    def _go_on_after(self, error: StorageError) -> None:
        """With the known value, if that is young enough; not every request tries to read it then."""
        if self._is_too_old():
            if isinstance(error, (Damaged, StorageUnavailable)):
                raise error
            raise StorageUnavailable(f"{self._name} cannot be read: {error}") from error
        self._due_at = time.monotonic() + self._refresh_seconds
        if not self._is_failing:
            log.warning(ACCESS_NOT_REFRESHED, what=self._name, reason=str(error))
        self._is_failing = True

    def _is_due(self) -> bool:
        return time.monotonic() >= self._due_at or self._is_too_old()

    def _is_too_old(self) -> bool:
        return self._read_at is None or time.monotonic() - self._read_at >= self._max_age_seconds
