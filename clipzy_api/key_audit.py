"""What the log and `clipzy keys list` know of the use of API keys: the day of the last use, and refusals."""

import threading
import time
from datetime import UTC, date, datetime

import structlog

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.log_events import ACCESS_KEY_REFUSED, ACCESS_KEY_USED
from clipzy_storage.models.access import ApiKey
from clipzy_storage.redis_client import RedisDatabase, translated

USED_HASH = "access:used"
REFUSAL_LOG_SECONDS = 10.0

log = structlog.stdlib.get_logger(__name__)


class KeyUse:
    """Notes the day on which a key was last used, once a day for each process."""

    def __init__(self, redis: RedisDatabase) -> None:
        self._redis = redis
        self._noted: dict[str, date] = {}

    def note(self, key: ApiKey) -> None:
        today = datetime.now(UTC).date()
        if self._noted.get(key.key_id) == today:
            return
        self._noted[key.key_id] = today
        if self._is_first(key.key_id, today):
            log.info(ACCESS_KEY_USED, key_id=key.key_id, name=key.name, owner=key.owner)

    def _is_first(self, key_id: str, today: date) -> bool:
        """Of all front ends; true if Redis is unavailable, which must not keep a request waiting again."""
        hash_key, text = self._redis.key(USED_HASH), today.isoformat()
        try:
            with translated():
                before = self._redis.client.hget(hash_key, key_id)
                self._redis.client.hset(hash_key, key_id, text)
        except QueueUnavailable:
            return True
        return bool(before != text)


def last_used(redis: RedisDatabase) -> dict[str, str]:
    """The day on which each key was last used, in UTC, by its id. Redis knows it as long as it is not emptied.

    Raises ``QueueUnavailable``.
    """
    with translated():
        found: dict[str, str] = redis.client.hgetall(redis.key(USED_HASH))
        return found


class RefusedKeys:
    """Logs refusals, however many there are: at most one line in ``interval_seconds``, with the number since."""

    def __init__(self, interval_seconds: float = REFUSAL_LOG_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._logged_at = float("-inf")
        self._unlogged = 0
        self._lock = threading.Lock()

    def note(self, reason: str, *, key_id: str | None = None) -> None:
        with self._lock:
            self._unlogged += 1
            now = time.monotonic()
            if now - self._logged_at < self._interval_seconds:
                return
            refused, self._unlogged, self._logged_at = self._unlogged, 0, now
        log.warning(ACCESS_KEY_REFUSED, reason=reason, key_id=key_id, refused=refused)
