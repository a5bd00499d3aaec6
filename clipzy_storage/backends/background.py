"""Hashing and writing in threads of their own, while the caller receives the next block."""

import hashlib
import queue
import threading
from collections.abc import Callable

INLINE_BYTES = 1 << 20
"""A thread is worth its start for files that are larger than this."""
_PENDING_BLOCKS = 4


class BackgroundSink:
    """Calls ``take`` with each block, in order, in a thread of its own once there are many.

    Its error is raised by the next call here; the blocks after it are dropped.
    """

    def __init__(self, take: Callable[[bytes], object], *, name: str) -> None:
        self._take = take
        self._name = name
        self._inline_bytes = 0
        self._pending: queue.Queue[bytes | None] = queue.Queue(_PENDING_BLOCKS)
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._is_dropping = False

    def put(self, block: bytes) -> None:
        """Hand over a block; waits while several are pending."""
        self._raise_error()
        if self._thread is None and self._inline_bytes + len(block) <= INLINE_BYTES:
            self._inline_bytes += len(block)
            self._take(block)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._pending.put(block)

    def finish(self) -> None:
        """Wait until all blocks were taken. May be followed by more of them."""
        if self._thread is not None:
            self._pending.put(None)
            self._thread.join()
            self._thread = None
        self._raise_error()

    def stop(self) -> None:
        """End the thread, and drop what waits. Raises nothing."""
        self._is_dropping, self._error = True, None
        self.finish()

    def _run(self) -> None:
        while (block := self._pending.get()) is not None:
            if self._error is None and not self._is_dropping:
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
        self._sink = BackgroundSink(self._hash.update, name="sha256")

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
        """End the thread; the digest does not matter any more."""
        self._sink.stop()
