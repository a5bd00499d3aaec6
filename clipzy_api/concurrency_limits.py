"""How many of the server's threads one kind of request may hold, so that polling always finds one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A slow body, a slow reader, a refused client that still sends and one that follows a job each hold a thread for as
# long as they like. The rest answers what is quick.
BODIES_AT_ONCE = 24
DOWNLOADS_AT_ONCE = 16
DRAINS_AT_ONCE = 8
EVENTS_AT_ONCE = 64
QUICK_AT_ONCE = 16
REUSES_AT_ONCE = 8  # in threads of their own
THREADS = BODIES_AT_ONCE + DOWNLOADS_AT_ONCE + DRAINS_AT_ONCE + EVENTS_AT_ONCE + QUICK_AT_ONCE


class ConcurrencyLimit:
    """At most ``size`` holders at once; whoever comes when it is taken is turned away, never kept waiting."""

    def __init__(self, size: int) -> None:
        self._free = threading.Semaphore(size)

    def take(self) -> bool:
        """Whether a place was free; if so it is taken until ``give_back``."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        self._free.release()

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Whether a place was free, and the place with it until the end of the ``with``."""
        taken = self.take()
        try:
            yield taken
        finally:
            if taken:
                self.give_back()
