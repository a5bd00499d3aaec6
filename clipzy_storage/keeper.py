"""Keeps one process a member of the deployment: joins, beats, and says when it has been thrown out."""

import logging
import threading
from collections.abc import Callable

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.guard import Guard, NotYet, Refused

RETRY_SECONDS = 2.0

log = logging.getLogger(__name__)


class Keeper:
    """Runs the membership of ``guard`` in a thread of its own.

    ``on_refused`` is called once, from that thread, with the guard's message; the process must then stop.
    """

    def __init__(self, guard: Guard, *, on_refused: Callable[[str], None]) -> None:
        self._guard = guard
        self._on_refused = on_refused
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guard-keeper", daemon=True)
        self._is_new = True
        self._last_complaint = ""

    def join(self, *, wait: bool) -> bool:
        """Join before the thread starts; without ``wait`` try once and leave the rest to the thread.

        Returns whether it is a member now. Raises ``Refused``.
        """
        while True:
            delay_seconds = self._beat()
            if not self._is_new or not wait:
                return not self._is_new
            self._stopping.wait(delay_seconds)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and leave. Where Redis is away the others count us out by themselves."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)
        try:
            self._guard.leave()
        except QueueUnavailable:
            log.info("guard.left_silently: Redis cannot be reached")

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._beat()):
                pass
        except Refused as refusal:
            self._on_refused(str(refusal))

    def _beat(self) -> float:
        """Join or beat once; returns the seconds until the next one is due."""
        try:
            self._guard.join(is_new=self._is_new)
        except NotYet as reason:
            self._complain(f"guard.waiting: {reason}")
            return min(reason.seconds, RETRY_SECONDS)
        except QueueUnavailable as error:
            self._complain(f"guard.redis_away: {error}; waiting for it")
            return RETRY_SECONDS
        if self._is_new or self._last_complaint:
            log.info("guard.joined")
        self._is_new = False
        self._last_complaint = ""
        return self._guard.window_seconds / 4

    def _complain(self, message: str) -> None:
        """Log a reason for waiting when it changes, not at every try."""
        if message != self._last_complaint:
            log.warning(message)
        self._last_complaint = message
