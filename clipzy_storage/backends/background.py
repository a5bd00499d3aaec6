"""Hashing and writing in other threads, while the caller receives the next block."""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

INLINE_BYTES = 1 << 20
"""Handing blocks over is worth its cost for files that are larger than this."""
THREADS = 8
"""For all files of this process together: most of them wait for their clients."""
_PENDING_BLOCKS = 4

_pool_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}  # by process id: a forked process has none of the threads


def _pool() -> ThreadPoolExecutor:
    with _pool_lock:
        if os.getpid() not in _pools:
            _pools.clear()
            _pools[os.getpid()] = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")
        return _pools[os.getpid()]


class BackgroundSink:
    """Calls ``take`` with each block, in order and one at a time; in other threads once there are many.

    Its error is raised by the next call here; the blocks after it are dropped.
    """

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._inline_bytes = 0
        self._pending: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._is_running = False
        self._error: Exception | None = None

    def put(self, block: bytes) -> None:
        """Hand over a block; waits while several are pending."""
        self._raise_error()
        if self._inline_bytes + len(block) <= INLINE_BYTES:
            self._inline_bytes += len(block)
            self._take(block)
            return
        self._inline_bytes = INLINE_BYTES
        with self._changed:
            self._changed.wait_for(lambda: len(self._pending) < _PENDING_BLOCKS)
            self._pending.append(block)
            if not self._is_running:
                self._is_running = True
                _pool().submit(self._run)

    def finish(self) -> None:
        """Wait until all blocks were taken. May be followed by more of them."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_running)
        self._raise_error()

    def stop(self) -> None:
        """Drop what waits. Raises nothing."""
        with self._changed:
            self._pending.clear()
            self._changed.wait_for(lambda: not self._is_running)
        self._error = None

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._pending:
                    self._is_running = False
                    self._changed.notify_all()
                    return
                block = self._pending.popleft()
                self._changed.notify_all()
            if self._error is None:
                try:
                    self._take(block)
                except Exception as error:  # noqa: BLE001 - it is raised in the caller's thread
                    self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


class BackgroundHash:
    """A sha256 that is computed in the background."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._sink = BackgroundSink(self._hash.update)

    def update(self, data: bytes) -> None:
        self._sink.put(data)

    def hexdigest(self) -> str:
        """Of all data so far."""
        self.finish()
        return self._hash.hexdigest()

    def finish(self) -> None:
        """Wait until all data so far is hashed."""
        self._sink.finish()

    def stop(self) -> None:
        """The digest does not matter any more."""
        self._sink.stop()
