"""Keeps one process a member of the deployment: joins, sends heartbeats, replies to probes, and reports a refusal."""

import threading
from collections.abc import Callable
from concurrent import futures

import structlog

from clipzy_storage.errors import ConfigurationError, QueueRefused, QueueUnavailable, StorageError
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.refusals import Refused, RetryLater
from clipzy_storage.log_events import (
    GUARD_JOINED,
    GUARD_NO_ANSWER,
    GUARD_REDIS_REFUSED,
    GUARD_REDIS_UNAVAILABLE,
    GUARD_STORAGE_ERROR,
    GUARD_STORAGE_UNAVAILABLE,
    GUARD_WAITING,
)

RETRY_SECONDS = 2.0
POLL_SECONDS = 1.0
FIRST_TRY_SECONDS = 10.0
STOP_SECONDS = 3.0

log = structlog.stdlib.get_logger(__name__)


class HeartbeatThreads:
    """Runs one membership in two threads: one sends heartbeats, the other may be blocked by a filesystem that hangs.

    ``new_guard`` checks the storage and returns the guard; it is called until the storage is available. ``on_refused``
    is called once, from one of the threads, with the message of a refusal; the process must then stop.
    """

    def __init__(
        self,
        new_guard: Callable[[], Guard],
        *,
        on_refused: Callable[[str], None],
        first_try_seconds: float = FIRST_TRY_SECONDS,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        """A storage that has not answered after ``first_try_seconds`` is reported.

        ``stop_seconds`` is how long ``stop`` waits for each thread.
        """
        self._new_guard = new_guard
        self._on_refused = on_refused
        self._first_try_seconds = first_try_seconds
        self._stop_seconds = stop_seconds
        self._guard: Guard | None = None
        self._joined: futures.Future[Guard] = futures.Future()
        self._refusal: Refused | ConfigurationError | None = None
        self._is_started = False
        self._refusing = threading.Lock()
        self._first_try = threading.Event()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send_heartbeats, name="guard-heartbeat", daemon=True)]
        self._waiting_for: dict[str, tuple[str, str]] = {}

    def start(self, *, wait: bool) -> None:
        """Start to join; with ``wait`` return as a member, otherwise after the first try.

        Raises:
            Refused: the guard does not admit this process.
            ConfigurationError: the storage cannot be used as it is configured.
        """
        self._threads[0].start()
        if not self._first_try.wait(self._first_try_seconds) and self._guard is None:
            log.warning(GUARD_NO_ANSWER)
        if wait:
            futures.wait([self._joined])
        with self._refusing:
            self._is_started = True
            if self._refusal is not None:
                raise self._refusal

    def joined(self) -> Guard:
        """Wait until this process is a member. Raises ``Refused``, ``ConfigurationError``."""
        return self._joined.result()

    def stop(self) -> bool:
        """Stop the heartbeats and leave. If Redis is unavailable the membership expires by itself.

        False if the storage blocks a thread, and so would block any caller now.
        """
        self._stopping.set()
        for thread in self._threads:  # the first may still add the second
            if thread.is_alive():
                thread.join(self._stop_seconds)
        try:
            if self._guard is not None:
                self._guard.leave()
        except QueueUnavailable:
            log.info("guard.left_silently")
        return not any(thread.is_alive() for thread in self._threads)

    def _send_heartbeats(self) -> None:
        self._repeat(self._join_or_heartbeat)
        self._first_try.set()
        if not self._joined.done():
            self._joined.set_exception(self._refusal or Refused("this process was stopped before it joined"))
            if self._guard is not None:
                self._guard.clean_up()

    def _serve_verifications(self, guard: Guard) -> None:
        self._repeat(lambda: self._serve_verifications_once(guard))
        guard.clean_up()

    def _repeat(self, step: Callable[[], float]) -> None:
        pause_seconds = 0.0
        while not self._stopping.wait(pause_seconds):
            try:
                pause_seconds = step()
            except (Refused, ConfigurationError) as refusal:
                self._refuse(refusal)
            except Exception:  # the membership must outlive an error that was not foreseen
                log.exception("guard.failed")
                pause_seconds = RETRY_SECONDS

    def _refuse(self, refusal: Refused | ConfigurationError) -> None:
        with self._refusing:
            self._refusal, is_started = refusal, self._is_started
        self._stopping.set()
        if is_started:
            self._on_refused(str(refusal))

    def _join_or_heartbeat(self) -> float:
        """Check the storage, join or send a heartbeat; returns the seconds until the next one is due."""
        try:
            guard = self._guard = self._guard or self._new_guard()
            if self._joined.done():
                guard.heartbeat()
            else:
                guard.join()
            self._has_joined(guard)
            return guard.window_seconds / 4
        except RetryLater as reason:
            self._wait_for("guard", GUARD_WAITING, reason)
            return min(reason.seconds, RETRY_SECONDS)
        except QueueRefused as error:
            self._wait_for("guard", GUARD_REDIS_REFUSED, error)
        except QueueUnavailable as error:
            self._wait_for("guard", GUARD_REDIS_UNAVAILABLE, error)
        except StorageError as error:
            self._wait_for("guard", GUARD_STORAGE_UNAVAILABLE, error)
        finally:
            self._first_try.set()
        return RETRY_SECONDS

    def _has_joined(self, guard: Guard) -> None:
        is_new = not self._joined.done()
        if self._waiting_for.pop("guard", None) or is_new:
            log.info(GUARD_JOINED)
        if is_new:
            self._threads.append(
                threading.Thread(target=self._serve_verifications, args=[guard], name="guard-verification", daemon=True)
            )
            self._threads[-1].start()
            self._joined.set_result(guard)

    def _serve_verifications_once(self, guard: Guard) -> float:
        try:
            guard.serve_verifications()
            self._waiting_for.pop("verification", None)
        except QueueUnavailable:
            pass  # the other thread logs it
        except StorageError as error:
            self._wait_for("verification", GUARD_STORAGE_ERROR, error)
        return POLL_SECONDS

    def _wait_for(self, what: str, event: str, reason: Exception) -> None:
        """Log a reason for waiting when it changes, not at every try."""
        found = (event, str(reason))
        if found != self._waiting_for.get(what):
            log.warning(event, reason=str(reason))
        self._waiting_for[what] = found
