"""Keeps one process a member of the deployment: joins, beats, answers for it, and says when it has been thrown out."""

import logging
import threading
from collections.abc import Callable

from clipzy_storage.errors import ConfigurationError, QueueUnavailable, StorageError
from clipzy_storage.guard.guard import Guard, NotYet, Refused

RETRY_SECONDS = 2.0
ATTEND_SECONDS = 1.0
FIRST_TRY_SECONDS = 10.0  # after which a storage that does not answer at all is complained of
STOP_SECONDS = 3.0  # how long the end may be held up by one, for each thread
NO_ANSWER = "the storage has not answered at all so far; waiting for it. A dead network mount hangs like this."

log = logging.getLogger(__name__)


class HeartbeatThreads:
    """Runs one membership in two threads: one beats, the other may be held up by a filesystem that hangs.

    ``prove`` proves the storage and gives the guard; it is tried until the storage can be reached. ``on_refused`` is
    called once, from one of the threads, with the message of a refusal; the process must then stop.
    """

    def __init__(self, prove: Callable[[], Guard], *, on_refused: Callable[[str], None]) -> None:
        self._prove = prove
        self._on_refused = on_refused
        self._guard: Guard | None = None
        self._is_member = False
        self._refusal: Refused | ConfigurationError | None = None
        self._is_entered = False
        self._refusing = threading.Lock()
        self._first_try = threading.Event()
        self._decided = threading.Event()
        self._stopping = threading.Event()
        self._beating = threading.Thread(target=self._keep_beating, name="guard-keeper", daemon=True)
        self._attending = threading.Thread(target=self._keep_attending, name="guard-proof", daemon=True)
        self._complaints: dict[str, str] = {}

    @property
    def storage_id(self) -> str:
        """The identity of the proved storage; to be asked of members only."""
        assert self._guard is not None
        return self._guard.storage_id

    def enter(self, *, wait: bool) -> None:
        """Start to join; with ``wait`` return as a member, without it once it was tried.

        Raises:
            Refused: the guard does not admit this process.
            ConfigurationError: the storage cannot be used as it is set up.
        """
        self._beating.start()
        if not self._first_try.wait(FIRST_TRY_SECONDS) and self._guard is None:
            log.warning("guard.no_answer: %s", NO_ANSWER)
        if wait:
            self._decided.wait()
        with self._refusing:
            self._is_entered = True
            if self._refusal is not None:
                raise self._refusal

    def stop(self) -> bool:
        """Stop beating and leave. Where Redis is away the others count us out by themselves.

        False where the storage holds a thread up, and would do the same to whoever touches it now.
        """
        self._stopping.set()
        for thread in (self._beating, self._attending):
            if thread.is_alive():
                thread.join(STOP_SECONDS)
        try:
            if self._guard is not None:
                self._guard.leave()
        except QueueUnavailable:
            log.info("guard.left_silently: Redis cannot be reached")
        return not (self._beating.is_alive() or self._attending.is_alive())

    def _keep_beating(self) -> None:
        self._keep(self._beat)
        self._first_try.set()
        self._decided.set()
        if self._guard is not None and not self._is_member:
            self._guard.retire()

    def _keep_attending(self) -> None:
        assert self._guard is not None
        self._keep(self._attend)
        self._guard.retire()

    def _keep(self, step: Callable[[], float]) -> None:
        pause_seconds = 0.0
        while not self._stopping.wait(pause_seconds):
            try:
                pause_seconds = step()
            except (Refused, ConfigurationError) as refusal:
                self._refuse(refusal)
            except Exception:  # a membership must not end because of what nobody thought of
                log.exception("guard.failed")
                pause_seconds = RETRY_SECONDS

    def _refuse(self, refusal: Refused | ConfigurationError) -> None:
        with self._refusing:
            self._refusal, is_entered = refusal, self._is_entered
        self._stopping.set()
        if is_entered:
            self._on_refused(str(refusal))

    def _beat(self) -> float:
        """Prove, join or beat once; returns the seconds until the next one is due."""
        try:
            return self._join()
        except NotYet as reason:
            self._complain("guard", f"guard.waiting: {reason}")
            return min(reason.seconds, RETRY_SECONDS)
        except QueueUnavailable as error:
            self._complain("guard", f"guard.redis_away: {error}; waiting for it")
        except StorageError as error:
            self._complain("guard", f"guard.storage_away: {error}; waiting for it")
        finally:
            self._first_try.set()
        return RETRY_SECONDS

    def _join(self) -> float:
        self._guard = self._guard or self._prove()
        self._guard.join(is_new=not self._is_member)
        if self._complaints.pop("guard", "") or not self._is_member:
            log.info("guard.joined")
        if not self._is_member:
            self._is_member = True
            self._decided.set()
            self._attending.start()
        return self._guard.window_seconds / 4

    def _attend(self) -> float:
        assert self._guard is not None
        try:
            self._guard.attend()
            self._complaints.pop("proof", "")
        except QueueUnavailable:
            pass  # the other thread says so
        except StorageError as error:
            self._complain("proof", f"guard.storage_trouble: {error}; proofs wait")
        return ATTEND_SECONDS

    def _complain(self, about: str, message: str) -> None:
        """Log a reason for waiting when it changes, not at every try."""
        if message != self._complaints.get(about):
            log.warning(message)
        self._complaints[about] = message
