"""Rescues jobs of lost workers, completes pending ones, re-sends lost notifications, deletes stale uploads.

Runs in every worker; a short lock in Redis lets one at a time do it. All times derive from the lease: a pass every
sixth of it, and a silent worker loses its job after a lease and half a lease of grace.
"""

import os
import time
from contextlib import AbstractContextManager

import structlog

from clipzy_storage.errors import QueueUnavailable, StorageError
from clipzy_storage.jobs.completion import complete_job
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.parking import unpark
from clipzy_storage.jobs.types import Lease
from clipzy_storage.log_events import REAPER_NOTIFIED
from clipzy_storage.models.records import Queue
from clipzy_worker.processing import scratch
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.runtime.notification_queue import NotificationQueues
from clipzy_worker.runtime.periodic import PeriodicThread

SWEEP_EVERY_SECONDS = 3600
MAX_SURPLUS = 1000  # notifications beyond two per waiting job; those of cancelled jobs stay until a worker takes them
STALE_UPLOAD_SECONDS = 24 * 3600  # an upload that has not grown for so long has no writer any more

log = structlog.stdlib.get_logger(__name__)


class Reaper(PeriodicThread):
    """The thread that watches the jobs of all workers. ``queues`` have their notifications."""

    def __init__(
        self,
        ctx: WorkerContext,
        *,
        queues: NotificationQueues,
        grace_seconds: float | None = None,
        max_surplus: int = MAX_SURPLUS,
    ) -> None:
        """After an outage of Redis workers have ``grace_seconds`` to renew their leases; by default, one lease."""
        super().__init__("reaper", interval_seconds=ctx.store.lease_seconds / 6)
        self._ctx = ctx
        self._queues = queues
        self._max_surplus = max_surplus
        self._grace_seconds = ctx.store.lease_seconds if grace_seconds is None else grace_seconds
        self._has_redis_since: float | None = None
        self._swept_at = -float(SWEEP_EVERY_SECONDS)

    def run_once(self) -> None:
        """One pass. Raises ``QueueUnavailable``."""
        try:
            self._pass()
        except QueueUnavailable:
            self._has_redis_since = None
            raise

    def _pass(self) -> None:
        # Slightly less than the interval, or the holder of the last lock would just miss the next one.
        if not self._ctx.admin.try_lock("reaper", ttl_seconds=self._interval_seconds * 0.9):
            return
        self._has_redis_since = self._has_redis_since or time.monotonic()
        gone = [lease for lease in self._ctx.store.leases() if lease.holder is not None and lease.holder.is_gone()]
        self._reap(gone)
        self._unpark()
        self._notify_again()
        if gone or time.monotonic() - self._swept_at > SWEEP_EVERY_SECONDS:
            self._sweep()

    def _unpark(self) -> None:
        """Return jobs to their queues whose owners may have more running ones than there are now."""
        for owner in self._ctx.store.owners_with_parked_jobs():
            unpark(self._ctx.store, owner, self._ctx.notify_workers)

    def _notify_again(self) -> None:
        """Send as many notifications as waiting jobs lack, so that however often this runs there is one for each."""
        try:
            notifications = {queue: self._bounded_notifications(queue) for queue in Queue}
        except QueueUnavailable as error:  # the broker may be another Redis than that of the records
            log.warning("reaper.broker_unavailable", reason=str(error))
            return
        for job_id, queue in self._ctx.store.due_for_notification(notifications=notifications):
            with self._about(job_id):
                log.info(REAPER_NOTIFIED)
                self._ctx.notify_workers(job_id, queue)

    def _bounded_notifications(self, queue: Queue) -> int:
        """How many wait in the broker, after those are dropped that are far more than the waiting jobs need."""
        notifications, waiting = self._queues.length(queue), self._ctx.store.count_waiting(queue)
        if notifications <= 2 * waiting + self._max_surplus:
            return notifications
        log.warning("reaper.queue_cleared", queue=queue.value, notifications=notifications, waiting=waiting)
        self._queues.clear(queue)
        return 0

    def _sweep(self) -> None:
        self._swept_at = time.monotonic()
        scratch.sweep(self._ctx.settings.work_dir)
        try:
            self._queues.delete_old_keys()
        except QueueUnavailable as error:
            log.warning("reaper.broker_unavailable", reason=str(error))
        try:
            swept = self._ctx.storage.sweep_incomplete(STALE_UPLOAD_SECONDS)
        except StorageError as error:
            log.warning("reaper.not_swept", reason=str(error))
            return
        if swept:
            log.info("reaper.swept", incomplete_uploads=swept)

    def _reap(self, gone: list[Lease]) -> None:
        # When Redis comes back after an outage longer than a lease, every lease has expired though every worker is
        # well: they get one whole lease to renew theirs.
        has_redis_seconds = time.monotonic() - (self._has_redis_since or 0)
        expired_too = has_redis_seconds >= self._grace_seconds
        reaped = self._ctx.store.reap(gone, nonce=os.urandom(8).hex(), expired_too=expired_too)
        for job_id, queue in reaped.requeued:
            with self._about(job_id):
                log.warning("reaper.requeued")
                self._ctx.notify_workers(job_id, queue)
        for job_id, token in reaped.adopted:
            self._complete(job_id, token)

    def _complete(self, job_id: str, token: str) -> None:
        with self._about(job_id):
            log.warning("reaper.completing")
            try:
                complete_job(self._ctx.store, self._ctx.storage, job_id, token)
            except StorageError as error:
                log.warning("reaper.storage_unavailable", reason=str(error))

    def _about(self, job_id: str) -> AbstractContextManager[None]:
        job = self._ctx.store.find(job_id)
        return about_job(job) if job else structlog.contextvars.bound_contextvars(job_id=job_id)
