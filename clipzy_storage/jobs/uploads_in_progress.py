"""The uploads that are being received, counted for each owner over all front ends."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs.owner_limits import any_if_none, too_many_uploads
from clipzy_storage.jobs.scripts import run_script
from clipzy_storage.redis_client import RedisDatabase

TTL_SECONDS = 30.0
"""How long an upload counts whose front end is gone."""

log = structlog.stdlib.get_logger(__name__)


class UploadsInProgress:
    """Those of this process. A thread has them count on, however slowly they arrive, as long as there are any.

    ``limit`` is how many an owner may have at a time, None being any number.
    """

    def __init__(self, redis: RedisDatabase, *, limit: int | None, ttl_seconds: float = TTL_SECONDS) -> None:
        self._redis = redis
        self._limit = limit
        self._ttl_seconds = ttl_seconds
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()
        self._is_refreshing = False

    @contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """One upload, in the ``with`` block.

        Raises ``QuotaExceeded``; ``QueueUnavailable`` too, but only if there is a limit: otherwise it is not counted.
        """
        upload_id = os.urandom(8).hex()
        self._begin(owner, upload_id)
        try:
            yield
        finally:
            self._end(owner, upload_id)

    def _begin(self, owner: str, upload_id: str) -> None:
        try:
            count = self._run("hold_upload", owner, upload_id, self._ttl_ms, any_if_none(self._limit))
        except QueueUnavailable:
            if self._limit is not None:
                raise
            return
        if count >= 0:
            raise too_many_uploads(self._limit or 0, count)
        with self._lock:
            self._held[upload_id] = owner
            if not self._is_refreshing:
                self._is_refreshing = True
                threading.Thread(target=self._refresh, name="uploads", daemon=True).start()

    def _end(self, owner: str, upload_id: str) -> None:
        with self._lock:
            self._held.pop(upload_id, None)
        with suppress(QueueUnavailable):  # then it expires
            self._run("end_upload", owner, upload_id)

    def _refresh(self) -> None:
        try:
            self._refresh_while_held()
        except BaseException:
            with self._lock:
                self._is_refreshing = False  # the next upload starts another thread
            raise

    def _refresh_while_held(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(self._ttl_seconds / 3)
            with self._lock:
                held = dict(self._held)
                self._is_refreshing = bool(held)
            if not held:
                return
            for upload_id, owner in held.items():
                self._hold_on(owner, upload_id)

    def _hold_on(self, owner: str, upload_id: str) -> None:
        try:
            self._run("hold_upload", owner, upload_id, self._ttl_ms, "")
        except QueueUnavailable as error:
            log.debug("uploads.not_refreshed", reason=str(error))
            return
        if upload_id not in self._held:  # it ended meanwhile, and was held again here
            self._end(owner, upload_id)

    @property
    def _ttl_ms(self) -> int:
        return int(self._ttl_seconds * 1000)

    def _run(self, script: str, *args: str | int) -> Any:
        return run_script(self._redis, script, *args)
