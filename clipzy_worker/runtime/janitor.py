"""Keeps the records of all jobs in step with storage and clears what is over; slow work, beside the reaper's quick one.

Runs in every worker; for each kind of work a key in Redis lets one at a time do it. Two at once would do no harm.
"""

import logging
from collections.abc import Callable

from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.maintenance.recovery import IN_FLIGHT_SECONDS, KEEP_FINISHED, Recovery, Report
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.runtime.periodic import PeriodicThread

REBUILD_AGAIN_SECONDS = 10  # where the one who rebuilt has died over it, or is slow: two at once do no harm
RECONCILE_EVERY_SECONDS = 600
CLEAR_EVERY_SECONDS = 3600

log = logging.getLogger(__name__)


class Janitor(PeriodicThread):
    """A thread that looks after the records of all jobs until it is stopped."""

    def __init__(self, place: WorkerContext) -> None:
        super().__init__("janitor", interval_seconds=place.jobs.lease_seconds / 6)
        self._place = place
        self._recovery = Recovery(place.jobs, place.upkeep, place.storage)
        self._leftovers = GarbageCollector(place.storage, place.upkeep, place.settings)

    def look(self) -> None:
        """Do what is due. Raises ``QueueUnavailable``, ``StorageError``."""
        upkeep = self._place.upkeep
        if not upkeep.is_current():
            if upkeep.try_lock("rebuild", seconds=REBUILD_AGAIN_SECONDS):
                self._take_up("rebuilt", self._recovery.rebuild)
                # What was coming in when Redis went is looked for once more.
                upkeep.extend_lock("reconcile", seconds=IN_FLIGHT_SECONDS)
        elif upkeep.try_lock("reconcile", seconds=RECONCILE_EVERY_SECONDS):
            self._take_up("reconciled", self._recovery.reconcile_open)
        elif upkeep.try_lock("clear", seconds=CLEAR_EVERY_SECONDS):
            self._clear()

    def _take_up(self, done: str, compare: Callable[[], Report]) -> None:
        report = compare()
        log.info("janitor.%s: %s", done, report)
        for job_id in report.waiting:
            self._place.hint(job_id)

    def _clear(self) -> None:
        while self._place.upkeep.prune(older_than_seconds=KEEP_FINISHED.total_seconds()):
            pass
        self._leftovers.sweep()
