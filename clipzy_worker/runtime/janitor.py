"""Reconciles the records of all jobs with storage and deletes what has expired: slow work, next to the reaper's.

Runs in every worker; for each kind of work a lock in Redis lets one at a time do it. Two at a time would do no harm.
"""

from collections.abc import Callable

import structlog

from clipzy_storage.log_events import JANITOR_REBUILT, JANITOR_RECONCILED
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.maintenance.recovery import IN_FLIGHT_SECONDS, KEEP_FINISHED, Recovery, Report
from clipzy_storage.maintenance.stored_bytes import count_stored
from clipzy_storage.maintenance.upload_expiry import UploadExpiry
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_storage.uploads.store import UploadStore
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.runtime.periodic import PeriodicThread

REBUILD_RETRY_SECONDS = 10
RECONCILE_EVERY_SECONDS = 600
COLLECT_EVERY_SECONDS = 3600
COUNT_SECONDS = 3600
UPLOADS_EVERY_SECONDS = 600
COLLECT_EVERYTHING_EVERY_SECONDS = 7 * 24 * 3600

log = structlog.stdlib.get_logger(__name__)


class Janitor(PeriodicThread):
    """The thread that maintains the records and files of all jobs."""

    def __init__(self, ctx: WorkerContext, locks: UploadLocks) -> None:
        super().__init__("janitor", interval_seconds=ctx.store.lease_seconds / 6)
        self._ctx = ctx
        self._recovery = Recovery(ctx.store, ctx.admin, ctx.storage)
        self._garbage_collector = GarbageCollector(ctx.storage, ctx.admin, ctx.settings)
        expires_seconds = ctx.settings.upload_expires_hours * 3600
        upload_store = UploadStore(ctx.storage, ctx.store.accounts, expires_seconds=expires_seconds)
        self._upload_expiry = UploadExpiry(ctx.storage, upload_store, locks)

    def run_once(self) -> None:
        """Do what is due. Raises ``QueueUnavailable``, ``StorageError``."""
        admin = self._ctx.admin
        if not admin.is_reconciled():
            # Short, since the worker that rebuilds may be lost over it.
            if admin.try_lock("rebuild", ttl_seconds=REBUILD_RETRY_SECONDS):
                self._recover(JANITOR_REBUILT, self._recovery.rebuild)
                # Once more for the jobs that were being submitted when Redis was lost.
                admin.extend_lock("reconcile", ttl_seconds=IN_FLIGHT_SECONDS)
        elif admin.try_lock("reconcile", ttl_seconds=RECONCILE_EVERY_SECONDS):
            self._recover(JANITOR_RECONCILED, self._recovery.reconcile_open)
        elif not admin.is_counted() and admin.try_lock("count", ttl_seconds=COUNT_SECONDS):
            try:
                count_stored(self._ctx.storage, admin)
            finally:
                admin.extend_lock("count", ttl_seconds=REBUILD_RETRY_SECONDS)
        elif admin.try_lock("uploads", ttl_seconds=UPLOADS_EVERY_SECONDS):
            self._upload_expiry.run()
        elif admin.try_lock("clear", ttl_seconds=COLLECT_EVERY_SECONDS):
            self._collect_garbage()

    def _recover(self, event: str, compare: Callable[[], Report]) -> None:
        report = compare()
        log.info(event, **report.counts())
        for job_id, queue in report.waiting.items():
            self._ctx.notify_workers(job_id, queue)

    def _collect_garbage(self) -> None:
        while self._ctx.admin.prune(older_than_seconds=KEEP_FINISHED.total_seconds()):
            pass
        if self._ctx.admin.is_locked("sweep"):
            self._garbage_collector.sweep_recent()
        else:
            self._garbage_collector.sweep()
            count_stored(self._ctx.storage, self._ctx.admin)
            # Afterwards: a pass that is interrupted is repeated within the hour.
            self._ctx.admin.extend_lock("sweep", ttl_seconds=COLLECT_EVERYTHING_EVERY_SECONDS)
