"""Locks of uploads in Redis: one request at a time writes an upload, at whichever front end."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from clipzy_storage.errors import QueueUnavailable, UploadLocked
from clipzy_storage.jobs.scripts import run_script
from clipzy_storage.redis_client import RedisDatabase

TTL_SECONDS = 6.0
"""How long the lock of a front end that is gone keeps others out: clients try again for about nine seconds."""
HOLDS_PER_TTL = 6
"""How often in that time a lock is held for longer, and its holder told if another request wants it."""
_WANTED = 2


@dataclass
class Held:
    """A lock that this process holds."""

    upload_id: str
    token: str = field(default_factory=lambda: os.urandom(8).hex())
    valid_until: float = 0.0
    """By the monotonic clock of this process, which began to count before Redis did."""
    is_released: bool = False
    asking: threading.Lock = field(default_factory=threading.Lock)
    """Held while Redis is asked, so that a lock is not taken again after it was released."""
    when_wanted: Callable[[], object] | None = None
    """Called in a thread of its own as often as another request wants it."""

    @property
    def is_valid(self) -> bool:
        """Whether no other process can have it by now."""
        return not self.is_released and time.monotonic() <= self.valid_until

    def check(self) -> None:
        """Raises ``UploadLocked`` unless it is valid."""
        if not self.is_valid:
            raise UploadLocked(self.upload_id)


class UploadLocks:
    """The locks of one process. A thread holds them on as long as there are any, however slowly a body arrives."""

    def __init__(self, redis: RedisDatabase, *, ttl_seconds: float = TTL_SECONDS) -> None:
        self._redis = redis
        self._ttl_seconds = ttl_seconds
        self._held: list[Held] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, upload_id: str) -> Iterator[Held]:
        """The lock, in the ``with`` block. Raises ``UploadLocked``, ``QueueUnavailable``."""
        lock = Held(upload_id)
        if not self._ask("lock_upload", lock):
            raise UploadLocked(upload_id)
        with self._changed:
            self._held.append(lock)
            if self._thread is None:
                self._thread = threading.Thread(target=self._hold_on, name="upload-locks", daemon=True)
                self._thread.start()
        try:
            yield lock
        finally:
            with self._changed:
                self._held.remove(lock)
                self._changed.notify()
            self.release(lock)

    def release(self, lock: Held) -> None:
        """Let others have it, before the end of the ``with`` block too. Raises nothing."""
        with lock.asking, suppress(QueueUnavailable):  # then it expires
            lock.is_released = True
            run_script(self._redis, "unlock_upload", lock.upload_id, lock.token)

    def _ask(self, script: str, lock: Held) -> int:
        """What the script answers; 0 if the lock is not held."""
        begun_at = time.monotonic()
        with lock.asking:
            if lock.is_released:
                return 0
            answer: int = run_script(self._redis, script, lock.upload_id, lock.token, int(self._ttl_seconds * 1000))
        lock.valid_until = begun_at + self._ttl_seconds if answer else 0.0
        return answer

    def _hold_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._held, self._ttl_seconds / HOLDS_PER_TTL)
                held = list(self._held)
                if not held:
                    self._thread = None
                    return
            for lock in held:
                with suppress(Exception):  # it is tried again, and `check` fails in the end
                    if self._ask("hold_upload_lock", lock) == _WANTED and lock.when_wanted:
                        threading.Thread(target=lock.when_wanted, name="upload-wanted", daemon=True).start()
