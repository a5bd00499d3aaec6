"""The API keys as one process knows them: read again within seconds, so that a request costs no storage."""

import threading
import time

import structlog

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.errors import NotFound, StorageError, StorageUnavailable
from clipzy_storage.log_events import ACCESS_KEY_DAMAGED
from clipzy_storage.models.access import ApiKey

REFRESH_SECONDS = 2.0
MAX_AGE_SECONDS = 4.0
"""A key that is older knowledge than this is not accepted: revoked ones are refused within 5 s."""
# A request that needs the list waits so long for another one that reads it.
_WAIT_SECONDS = 2.0

log = structlog.stdlib.get_logger(__name__)


class KeyTable:
    """All keys that are not revoked. Unknown ids cost nothing, however many are tried.

    One request at a time reads the list again, once it is ``refresh_seconds`` old; the others go on with the old one as
    long as that is younger than ``max_age_seconds``.
    """

    def __init__(
        self, api_keys: ApiKeys, *, refresh_seconds: float = REFRESH_SECONDS, max_age_seconds: float = MAX_AGE_SECONDS
    ) -> None:
        self._api_keys = api_keys
        self._refresh_seconds, self._max_age_seconds = refresh_seconds, max_age_seconds
        self._known: dict[str, ApiKey] = {}
        self._read_at = float("-inf")
        self._reading = threading.Lock()

    def find(self, key_id: str) -> ApiKey | None:
        """The key; None if there is none. Raises ``StorageUnavailable`` if the list cannot be read for seconds."""
        if self._age_seconds() >= self._refresh_seconds:
            self._refresh()
        return self._known.get(key_id)

    def _refresh(self) -> None:
        if not self._reading.acquire(timeout=_WAIT_SECONDS if self._is_too_old() else 0):
            if self._is_too_old():
                raise StorageUnavailable("the API keys cannot be read: the storage does not answer")
            return
        try:
            if self._age_seconds() >= self._refresh_seconds:  # otherwise another request has just read it
                self._read()
        except StorageError as error:
            if self._is_too_old():
                raise StorageUnavailable(f"the API keys cannot be read: {error}") from error
        finally:
            self._reading.release()

    def _read(self) -> None:
        begun_at = time.monotonic()
        ids = self._api_keys.ids()
        known = {key_id: key for key_id, key in self._known.items() if key_id in ids}
        for key_id in ids - known.keys():
            try:
                known[key_id] = self._api_keys.read(key_id)
            except NotFound:
                continue  # revoked meanwhile
            except StorageUnavailable:
                raise
            except StorageError as error:
                log.error(ACCESS_KEY_DAMAGED, key_id=key_id, reason=str(error))
        self._known, self._read_at = known, begun_at

    def _age_seconds(self) -> float:
        return time.monotonic() - self._read_at

    def _is_too_old(self) -> bool:
        return self._age_seconds() >= self._max_age_seconds
