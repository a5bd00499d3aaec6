"""What the log and `clipzy keys list` know of the use of API keys: the day of the last use, and refusals."""

import threading
import time
from collections import Counter
from datetime import UTC, date, datetime
from enum import StrEnum

import structlog

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.log_events import ACCESS_KEY_REFUSED, ACCESS_KEY_USED
from clipzy_storage.models.access import ApiKey
from clipzy_storage.redis_client import RedisDatabase, translated

USED_HASH = "access:used"
REFUSAL_LOG_SECONDS = 10.0
RETRY_SECONDS = 10.0

log = structlog.stdlib.get_logger(__name__)


class Refusal(StrEnum):
    """Why a key was refused, as the log has it."""

    NO_KEY = "no key in the header"
    UNKNOWN = "unknown"
    REVOKED = "revoked"
    WRONG_SECRET = "wrong secret"
    EXPIRED = "expired"
    SCOPE = "lacks the scope"


class KeyUse:
    """Notes the day on which a key was last used, and logs it, once a day for each process."""

    def __init__(self, redis: RedisDatabase, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._redis, self._retry_seconds = redis, retry_seconds
        self._retry_at = float("-inf")
        self._noted: dict[str, date] = {}
        self._logged: dict[str, date] = {}

    def note(self, key: ApiKey) -> None:
        """While Redis is unavailable, few requests wait for it here."""
        today = datetime.now(UTC).date()
        if self._noted.get(key.key_id) == today or time.monotonic() < self._retry_at:
            return
        is_first = True  # for all that is known without Redis
        try:
            is_first = self._is_first(key.key_id, today)
            self._noted[key.key_id] = today
        except QueueUnavailable:
            self._retry_at = time.monotonic() + self._retry_seconds
        if is_first and self._logged.get(key.key_id) != today:
            self._logged[key.key_id] = today
            log.info(ACCESS_KEY_USED, key_id=key.key_id, name=key.name, owner=key.owner)

    def _is_first(self, key_id: str, today: date) -> bool:
        """Of all front ends. Raises ``QueueUnavailable``."""
        hash_key, text = self._redis.key(USED_HASH), today.isoformat()
        with translated():
            before = self._redis.client.hget(hash_key, key_id)
            self._redis.client.hset(hash_key, key_id, text)
        return bool(before != text)


def last_used(redis: RedisDatabase) -> dict[str, str]:
    """The day on which each key was last used, in UTC, by its id. Redis knows it as long as it is not emptied.

    Raises ``QueueUnavailable``.
    """
    with translated():
        found: dict[str, str] = redis.client.hgetall(redis.key(USED_HASH))
        return found


class RefusedKeys:
    """Logs refusals, however many: for each reason at most one line in ``interval_seconds``, with the number since."""

    def __init__(self, interval_seconds: float = REFUSAL_LOG_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._logged_at: dict[Refusal, float] = {}
        self._unlogged: Counter[Refusal] = Counter()
        self._lock = threading.Lock()

    def note(self, why: Refusal, *, key_id: str | None = None) -> None:
        with self._lock:
            self._unlogged[why] += 1
            now = time.monotonic()
            if now - self._logged_at.get(why, float("-inf")) < self._interval_seconds:
                return
            self._logged_at[why], refused = now, self._unlogged.pop(why)
        log.warning(ACCESS_KEY_REFUSED, reason=why.value, key_id=key_id, refused=refused)
