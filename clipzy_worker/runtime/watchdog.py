"""Ends a worker that lives but takes nothing, so that its supervisor starts it anew.

Such a worker looks well from outside: its process is there, it beats, Redis answers. What betrays it is that jobs wait
while it has room for one and takes none. Looks are counted and not time, so that nobody is blamed for having slept.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery import signals
from celery.worker import state

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.log_events import WATCHDOG_DEAF
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.runtime.liveness import LivenessFile
from clipzy_worker.runtime.periodic import PeriodicThread
from clipzy_worker.runtime.transport import queue_length

LOOKS = 12  # in two leases
LEAST_INTERVAL_SECONDS = 0.5  # a connection that is made anew takes a while, however short the lease
STATUS_DEAF = 75  # "try again", in the words of sysexits.h

log = logging.getLogger("clipzy.worker")


class Intake:
    """What Celery's main process takes from the broker."""

    def __init__(self, *, slots: int, broker: RedisDatabase) -> None:
        self._slots = slots
        self._broker = broker
        self._taken = self._taken_before = 0
        signals.task_received.connect(self._take, weak=False)

    def passes_over(self) -> bool:
        """Whether something waits, there is room for it, and nothing has been taken since the last look.

        Raises:
            QueueUnavailable: the broker does not answer.
        """
        taken, self._taken_before = self._taken - self._taken_before, self._taken
        has_room = len(state.reserved_requests) < self._slots and state.should_stop is None
        return queue_length(self._broker) > 0 and has_room and not taken

    def _take(self, **_: Any) -> None:
        self._taken += 1


class Watchdog(PeriodicThread):
    """A thread that gives the sign of life at every look and, once it watches, calls ``give_up`` of a deaf worker."""

    def __init__(self, alive: LivenessFile, *, lease_seconds: int) -> None:
        super().__init__("watchdog", interval_seconds=max(lease_seconds * 2 / LOOKS, LEAST_INTERVAL_SECONDS))
        self._alive = alive
        self._passes_over: Callable[[], bool] = lambda: False
        self._give_up: Callable[[], None] = lambda: None
        self._passed_over = 0

    def watch(self, passes_over: Callable[[], bool], *, give_up: Callable[[], None]) -> None:
        """Call ``give_up`` once ``passes_over`` was true at so many looks running."""
        self._give_up, self._passes_over = give_up, passes_over

    def run_once(self) -> None:
        self._alive.give()  # first: the rest may be held up by Redis
        try:
            self._passed_over = self._passed_over + 1 if self._passes_over() else 0
        except QueueUnavailable:  # then nobody can take anything; the reaper's thread says so
            self._passed_over = 0
        if self._passed_over == LOOKS:
            log.error("%s: jobs wait, this worker has room and takes none; it ends, to be started anew", WATCHDOG_DEAF)
            self._give_up()
