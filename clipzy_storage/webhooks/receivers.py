"""Keeps slow receivers from occupying all attempts of a process, so that events for others are not late."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

SLOW_SECONDS = 1.0
MAX_SLOW_ATTEMPTS = 4
FIRST_TURN_SECONDS, LAST_TURN_SECONDS = 5.0, 300.0
"""When an event that a slow host cannot be sent now is looked at again."""
MAX_SLOW_HOSTS = 1000
"""How many are remembered: those of the latest attempts."""


class Receivers:
    """The hosts to which a process delivers. One whose last attempt was slow gets a few at a time, any other as many.

    What a slow host cannot be sent now takes turns, as many as the host can have attempts: otherwise a process would do
    nothing but look at everything that waits for it, again and again. Used by several threads.
    """

    def __init__(self, *, slow_seconds: float = SLOW_SECONDS, max_slow_attempts: int = MAX_SLOW_ATTEMPTS) -> None:
        self._slow_seconds = slow_seconds
        self._max_slow_attempts = max_slow_attempts
        self._lock = threading.Lock()
        self._turn_seconds = slow_seconds / max_slow_attempts
        self._slow: dict[str, float] = {}  # each with the last turn that was given out
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

    def turn_in_seconds(self, host: str) -> float:
        """After how many seconds an event is looked at again that could not be sent now."""
        with self._lock:
            now = monotonic()
            turn = max(self._slow.get(host, 0.0) + self._turn_seconds, now + FIRST_TURN_SECONDS)
            if turn > now + LAST_TURN_SECONDS:
                turn = now + FIRST_TURN_SECONDS
            if host in self._slow:
                self._slow[host] = turn
            return turn - now

    def _begin(self, host: str) -> bool:
        with self._lock:
            if host in self._slow and self._attempts[host] >= self._max_slow_attempts:
                return False
            self._attempts[host] += 1
            return True

    def _end(self, host: str, *, is_slow: bool) -> None:
        with self._lock:
            last_turn = self._slow.pop(host, 0.0)
            if is_slow:
                self._slow[host] = last_turn
                if len(self._slow) > MAX_SLOW_HOSTS:
                    del self._slow[next(iter(self._slow))]
            self._attempts[host] -= 1
            if not self._attempts[host]:
                del self._attempts[host]
