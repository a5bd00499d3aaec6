"""How many of the server's threads each kind of request may hold, so that quick requests always find a free one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# An upload, a download, a large answer, the drain of a refused body and an event stream each hold a thread for as long
# as their client takes. The remaining threads answer quick requests.
REQUEST_BODIES = 416
BUCKET_BODIES = 24  # into a bucket, where each has a part of 5 MiB or more in memory
DOWNLOADS = 16
LARGE_ANSWERS = 16
DRAINS = 8
EVENT_STREAMS = 64
QUICK_REQUESTS = 16
THREADS = REQUEST_BODIES + DOWNLOADS + LARGE_ANSWERS + DRAINS + EVENT_STREAMS + QUICK_REQUESTS

# Each runs in a thread that is not one of the server's.
CACHE_HITS = 8


class ConcurrencyLimit:
    """At most ``size`` holders at a time; a request over the limit is refused, never kept waiting."""

    def __init__(self, size: int) -> None:
        self._slots = threading.Semaphore(size)

    def acquire(self) -> bool:
        """Take a slot until ``release``; false if none is free."""
        return self._slots.acquire(blocking=False)

    def release(self) -> None:
        self._slots.release()

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Whether a slot was free; if so, it is held until the end of the ``with`` block."""
        acquired = self.acquire()
        try:
            yield acquired
        finally:
            if acquired:
                self.release()
