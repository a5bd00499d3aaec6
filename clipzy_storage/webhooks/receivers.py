"""Keeps slow receivers from occupying all attempts of a process, so that events for others are not late."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

SLOW_SECONDS = 1.0
MAX_SLOW_ATTEMPTS = 4


class Receivers:
    """The hosts to which a process delivers. One whose last attempt was slow gets a few at a time, any other as many.

    Used by several threads.
    """

    def __init__(self, *, slow_seconds: float = SLOW_SECONDS, max_slow_attempts: int = MAX_SLOW_ATTEMPTS) -> None:
        self._slow_seconds = slow_seconds
        self._max_slow_attempts = max_slow_attempts
        self._lock = threading.Lock()
        self._slow: set[str] = set()
        self._attempts: Counter[str] = Counter()

    @contextmanager
    def attempt(self, host: str) -> Iterator[bool]:
        """Around an attempt; false if it must not be made now."""
        if not self._begin(host):
            yield False
            return
        began_at = monotonic()
        try:
            yield True
        finally:
            self._end(host, is_slow=monotonic() - began_at >= self._slow_seconds)

    def _begin(self, host: str) -> bool:
        with self._lock:
            if host in self._slow and self._attempts[host] >= self._max_slow_attempts:
                return False
            self._attempts[host] += 1
            return True

    def _end(self, host: str, *, is_slow: bool) -> None:
        with self._lock:
            (self._slow.add if is_slow else self._slow.discard)(host)
            self._attempts[host] -= 1
            if not self._attempts[host]:
                del self._attempts[host]
