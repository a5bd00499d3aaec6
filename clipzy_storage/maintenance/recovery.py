"""Reconciles the records in Redis with those in storage, after Redis was lost or restored from an older copy.

Storage decides. An open record whose job Redis does not know is queued again; a done record finishes its job in Redis;
a finished job of which storage has no record was deleted. Each step may be repeated, also by several processes at the
same time.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, list_own
from clipzy_storage.errors import NotFound, StorageError, StorageUnavailable
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.completion import complete_job
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import CancelVerdict
from clipzy_storage.maintenance.index_repair import for_each, repair_index
from clipzy_storage.models.records import Job, Queue, Status
from clipzy_storage.webhooks import outbox

KEEP_FINISHED = timedelta(days=30)
"""How long finished jobs stay in Redis, and so in listings; storage keeps their records."""

RESUME_DELIVERIES = timedelta(days=3)
"""A delivery that was not attempted for so long is not resumed after a loss of Redis; its schedule takes a day."""

YOUNG = timedelta(minutes=3)
"""A record that one machine wrote so recently may be invisible to another one."""

IN_FLIGHT_SECONDS = 60.0
"""After that a front end has submitted a job to Redis, or never will."""

log = structlog.stdlib.get_logger(__name__)


@dataclass
class Report:
    """What a reconciliation found and did, by job id."""

    waiting: dict[str, Queue] = field(default_factory=dict)
    """Unfinished, and queued again in this queue."""
    cancelled: list[str] = field(default_factory=list)
    """Unfinished, and cancelled as was requested."""
    finished: list[str] = field(default_factory=list)
    """Finished, and restored in Redis."""
    forgotten: list[str] = field(default_factory=list)
    """Deleted, and removed from Redis."""
    postponed: list[str] = field(default_factory=list)
    """Deleted, or not visible yet."""
    damaged: list[str] = field(default_factory=list)
    """Their records are damaged."""

    def counts(self) -> dict[str, int]:
        """How many jobs there are of each kind of which there are any."""
        return {name: len(ids) for name, ids in vars(self).items() if ids}

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.counts().items()) or "all in step"


class Recovery:
    """Reconciles the records of one Redis with one storage.

    Every method may raise ``QueueUnavailable`` and ``StorageUnavailable``, and can then be called again.
    """

    def __init__(
        self,
        store: JobStore,
        admin: JobAdmin,
        storage: Storage,
        *,
        young: timedelta = YOUNG,
        in_flight_seconds: float = IN_FLIGHT_SECONDS,
    ) -> None:
        """``young`` applies to a storage that may show files late; ``in_flight_seconds`` to jobs being submitted."""
        self._store = store
        self._admin = admin
        self._storage = storage
        self._young = young
        self._in_flight_seconds = in_flight_seconds

    def reconcile_open(self) -> Report:
        """Restore every unfinished job that Redis does not know, except those that may be in submission."""
        report = Report()
        open_ids = durable_records.open_job_ids(self._storage, older_than_seconds=self._in_flight_seconds)
        self._restore_open_jobs(open_ids, report)
        return report

    def rebuild(self) -> Report:
        """Reconcile all records, both ways: unfinished jobs first, since clients wait for them.

        What ended in the time for which Redis keeps finished jobs is compared by the day index. So a done record is
        read only if Redis lacks it. If anything is ``postponed`` the records do not count as reconciled: call it again.
        """
        run_id = self._admin.run_id()
        report = Report()
        unfinished, finished = self._admin.unfinished_ids(), self._admin.finished_ids()
        open_ids = set(durable_records.open_job_ids(self._storage))
        self._restore_open_jobs(open_ids, report)
        if not day_index.is_complete(self._storage):
            repair_index(self._storage)
        ages = self._ages_of_entries()
        kept = {job_id for job_id, age_seconds in ages.items() if age_seconds <= KEEP_FINISHED.total_seconds()}
        for_each(kept - finished, lambda job_id: self._restore_finished(job_id, report))
        for_each(finished - ages.keys(), lambda job_id: self._forget_deleted(job_id, report, while_it_is="final"))
        for_each(unfinished - open_ids, lambda job_id: self._settle(job_id, report))
        self._resume_deliveries()
        self._admin.recount()
        if not report.postponed:
            self._admin.set_reconciled(run_id)
        return report

    def _resume_deliveries(self) -> None:
        """Have all deliveries due that were attempted or replayed in the last days, and have not ended.

        Those without an attempt became due with the restored ends of their jobs.
        """
        listed = list_own(self._storage, keys.DELIVERIES)
        recent = [str(keys.id_in(one.key)) for one in listed if one.age_seconds <= RESUME_DELIVERIES.total_seconds()]
        for_each(recent, self._resume_delivery)

    def _resume_delivery(self, job_id: str) -> None:
        if outbox.is_unfinished(self._storage, job_id):
            self._admin.schedule_delivery(job_id)

    def _ages_of_entries(self) -> dict[str, float]:
        """Of each job that ended in that time, or up to two days before it: the index tells days only."""
        now = datetime.now(UTC)
        entries = day_index.entries_between(self._storage, now - KEEP_FINISHED, now)
        return {str(keys.id_in(entry.key)): entry.age_seconds for entry in entries}

    def _restore_open_jobs(self, open_ids: Iterable[str], report: Report) -> None:
        def restore(job_id: str) -> None:
            with suppress(NotFound), _damage_reported(job_id, report):  # not found: it has finished since it was listed
                job = durable_records.read_open(self._storage, job_id)
                with about_job(job):
                    self._restore_open(job, report)

        for_each(self._admin.unknown(open_ids), restore)

    def _restore_open(self, job: Job, report: Report) -> None:
        job_id = job.job_id
        if self._storage.exists(keys.done_job(job_id)):
            self._finish_if_kept(durable_records.read_done(self._storage, job_id), report)
            durable_records.remove_open_job(self._storage, job_id)
            return
        if self._admin.restore(job) == "known":  # another recovery was faster, and does the rest
            return
        failpoint("job-restored")
        if not self._storage.exists(keys.open_job(job_id)):  # it has finished, or was deleted, meanwhile
            self._admin.forget(job_id, while_it_is="queued")
        elif durable_records.is_cancellation_requested(self._storage, job_id):
            self._cancel(job_id)
            report.cancelled.append(job_id)
        else:
            log.warning("recovery.waiting")
            report.waiting[job_id] = job.queue

    def _cancel(self, job_id: str) -> None:
        log.warning("recovery.cancelled")
        request = self._store.request_cancellation(job_id, nonce=f"recovery-{job_id}")
        if request.verdict is CancelVerdict.PENDING:
            complete_job(self._store, self._storage, job_id, request.token)

    def _restore_finished(self, job_id: str, report: Report) -> None:
        with suppress(NotFound), _damage_reported(job_id, report):  # not found: it is about to finish, or was deleted
            self._finish_if_kept(durable_records.read_done(self._storage, job_id), report)

    def _finish_if_kept(self, job: Job, report: Report) -> None:
        if job.finished_at is None or datetime.now(UTC) - job.finished_at <= KEEP_FINISHED:
            self._finish(job, report)

    def _finish(self, job: Job, report: Report) -> None:
        is_expired = job.status is Status.COMPLETED and self._storage.exists(keys.expired_result(job.job_id))
        if self._admin.restore(job.model_copy(update={"expired": is_expired})) == "known":
            return
        report.finished.append(job.job_id)
        if not self._storage.exists(keys.done_job(job.job_id)):  # deleted meanwhile
            self._admin.forget(job.job_id, while_it_is="final")

    def _settle(self, job_id: str, report: Report) -> None:
        """Finish or forget a job that has no open record, though Redis holds it as unfinished."""
        with _damage_reported(job_id, report):
            try:
                self._finish(durable_records.read_done(self._storage, job_id), report)
            except NotFound:
                self._forget_deleted(job_id, report, while_it_is="queued")

    def _forget_deleted(self, job_id: str, report: Report, *, while_it_is: Literal["final", "queued"]) -> None:
        """Remove a job from Redis that was deleted after the copy was taken from which Redis was restored."""
        if any(self._storage.exists(key) for key in (keys.open_job(job_id), keys.done_job(job_id))):
            return
        if self._storage.may_show_files_late and self._admin.age_of(job_id) < self._young:
            report.postponed.append(job_id)
            return
        if self._admin.forget(job_id, while_it_is=while_it_is) == "forgotten":
            log.warning("recovery.forgotten", job_id=job_id)
            report.forgotten.append(job_id)


@contextmanager
def _damage_reported(job_id: str, report: Report) -> Iterator[None]:
    """Report a damaged record, so that the others are read all the same."""
    try:
        yield
    except (NotFound, StorageUnavailable):
        raise
    except StorageError as error:
        log.error("recovery.damaged", job_id=job_id, reason=str(error))
        report.damaged.append(job_id)
