"""Takes up what others dropped: jobs of lost workers, ends half carried out, lost hints, unfinished uploads.

Runs in every worker; a short lock in Redis lets one at a time do it. All times derive from the lease: a pass every
sixth of it, and a silent worker is given a lease and half a lease more.
"""

import logging
import os
import time
from collections.abc import Callable

from clipzy_storage.errors import QueueUnavailable, StorageError
from clipzy_storage.jobs import completion
from clipzy_storage.jobs.store import Lease
from clipzy_worker.processing import scratch
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.runtime.periodic import PeriodicThread

SWEEP_EVERY_SECONDS = 3600
UNFINISHED_FOR_SECONDS = 24 * 3600  # an upload that has not grown for so long has no writer any more

log = logging.getLogger(__name__)


class Reaper(PeriodicThread):
    """A thread that looks after the jobs of all workers until it is stopped."""

    def __init__(self, place: WorkerContext, *, queue_length: Callable[[], int]) -> None:
        super().__init__("reaper", interval_seconds=place.jobs.lease_seconds / 6)
        self._place = place
        self._queue_length = queue_length
        self._has_redis_since: float | None = None
        self._swept_at = -float(SWEEP_EVERY_SECONDS)

    def look(self) -> None:
        """One pass. Raises ``QueueUnavailable``."""
        try:
            self._look()
        except QueueUnavailable:
            self._has_redis_since = None
            raise

    def _look(self) -> None:
        jobs = self._place.jobs
        # A little less than the pause, or who had the last turn would miss the next one by a hair.
        if not self._place.upkeep.try_lock("reaper", seconds=self._interval_seconds * 0.9):
            return
        self._has_redis_since = self._has_redis_since or time.monotonic()
        gone = [lease for lease in jobs.leases() if lease.holder is not None and lease.holder.is_gone()]
        self._reap(gone)
        self._hint_again()
        if gone or time.monotonic() - self._swept_at > SWEEP_EVERY_SECONDS:
            self._sweep()

    def _hint_again(self) -> None:
        try:
            waiting = self._queue_length()
        except QueueUnavailable as error:  # the broker may be another Redis than that of the records
            log.warning("reaper.broker_away: %s", error)
            return
        for job_id in self._place.jobs.stale(queue_is_empty=waiting == 0):
            log.info("reaper.hinted: %s", job_id)
            self._place.hint(job_id)

    def _sweep(self) -> None:
        self._swept_at = time.monotonic()
        scratch.sweep(self._place.settings.work_dir)
        try:
            swept = self._place.storage.sweep_incomplete(UNFINISHED_FOR_SECONDS)
        except StorageError as error:
            log.warning("reaper.not_swept: %s", error)
            return
        if swept:
            log.info("reaper.swept: %d unfinished uploads", swept)

    def _reap(self, gone: list[Lease]) -> None:
        # When Redis comes back after an outage longer than a lease, every lease has run out though every worker is
        # well: they get one whole lease to renew theirs.
        has_redis_seconds = time.monotonic() - (self._has_redis_since or 0)
        expired_too = has_redis_seconds >= self._place.jobs.lease_seconds
        reaped = self._place.jobs.reap(gone, nonce=os.urandom(8).hex(), expired_too=expired_too)
        for job_id in reaped.requeued:
            log.warning("reaper.requeued: %s, its worker is lost", job_id)
            self._place.hint(job_id)
        for job_id, token in reaped.adopted:
            self._conclude(job_id, token)

    def _conclude(self, job_id: str, token: str) -> None:
        decided = self._place.jobs.decided(job_id, token)
        if decided is None:
            return
        log.warning("reaper.concluding: %s, left behind as %s", job_id, decided.job.status.value)
        try:
            completion.conclude(self._place.jobs, self._place.storage, decided)
        except StorageError as error:
            log.warning("reaper.storage_trouble: %s: %s; tried again later", job_id, error)
