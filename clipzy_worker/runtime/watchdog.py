"""Ends a worker that runs but no longer consumes the queue, so that its supervisor restarts it.

Such a worker seems healthy: its process runs, it sends heartbeats, Redis answers. But messages wait while it has a free
slot, and it receives none. Checks are counted instead of time, so that a process that was suspended is not at fault.
"""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from celery import signals
from celery.worker import state

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.log_events import WORKER_NOT_CONSUMING
from clipzy_storage.models.records import Queue
from clipzy_worker.runtime.liveness import LivenessFile
from clipzy_worker.runtime.notification_queue import NotificationQueues
from clipzy_worker.runtime.periodic import PeriodicThread

CHECKS = 12  # spread over two leases
MIN_INTERVAL_SECONDS = 0.5  # however short the lease: reconnecting takes a while
EXIT_NOT_CONSUMING = 75  # EX_TEMPFAIL of sysexits.h: try again

log = structlog.stdlib.get_logger("clipzy.worker")


class Intake:
    """The messages that Celery's main process receives from the broker."""

    def __init__(self, *, slots: int, queues: NotificationQueues, taken: Sequence[Queue]) -> None:
        """``taken`` are the queues that this worker takes messages from."""
        self._slots = slots
        self._queues = queues
        self._taken = taken
        self._received = self._received_before = 0
        signals.task_received.connect(self._on_received, weak=False)

    def is_stalled(self) -> bool:
        """Whether messages wait, a slot is free, and none has been received since the last call.

        Raises:
            QueueUnavailable: the broker does not answer.
        """
        received, self._received_before = self._received - self._received_before, self._received
        has_free_slot = len(state.reserved_requests) < self._slots and state.should_stop is None
        return any(self._queues.length(queue) for queue in self._taken) and has_free_slot and not received

    def _on_received(self, **_: Any) -> None:
        self._received += 1


class Watchdog(PeriodicThread):
    """The thread that touches the liveness file and, once it watches the intake, ends a stalled worker."""

    def __init__(self, liveness: LivenessFile, *, lease_seconds: int) -> None:
        super().__init__("watchdog", interval_seconds=max(lease_seconds * 2 / CHECKS, MIN_INTERVAL_SECONDS))
        self._liveness = liveness
        self._is_stalled: Callable[[], bool] = lambda: False
        self._give_up: Callable[[], None] = lambda: None
        self._stalled_checks = 0

    def watch(self, is_stalled: Callable[[], bool], *, give_up: Callable[[], None]) -> None:
        """Call ``give_up`` once ``is_stalled`` was true at ``CHECKS`` checks in succession."""
        self._give_up, self._is_stalled = give_up, is_stalled

    def run_once(self) -> None:
        self._liveness.touch()  # first, since Redis may delay the rest
        try:
            self._stalled_checks = self._stalled_checks + 1 if self._is_stalled() else 0
        except QueueUnavailable:  # then no worker can receive anything; the reaper logs it
            self._stalled_checks = 0
        if self._stalled_checks == CHECKS:
            log.error(WORKER_NOT_CONSUMING, checks=CHECKS)
            self._give_up()
