"""Brings the records in Redis back in step with the durable ones, as after a loss of Redis or a step back in its time.

Storage is the evidence. An open record whose job Redis does not know waits again; a done record ends its job in Redis;
a finished job of which storage has no trace any more was deleted. Each step may be repeated, also by several at
once.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import NotFound, StorageError, StorageUnavailable
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.completion import complete_job
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import CancelVerdict
from clipzy_storage.models.records import Job

KEEP_FINISHED = timedelta(days=30)  # in Redis and so in listings; storage keeps their records for ever
YOUNG = timedelta(minutes=3)  # what one machine wrote so short ago another may not see yet
IN_FLIGHT_SECONDS = 60  # a front end has told Redis by then, or never will
READERS = 8  # records are read side by side, since a bucket takes its time over each

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What a comparison found and did, by job id."""

    waiting: list[str] = field(default_factory=list)  # unfinished, now in the queue again
    cancelled: list[str] = field(default_factory=list)  # unfinished, and somebody had wanted them cancelled
    ended: list[str] = field(default_factory=list)  # finished, now known in Redis again
    forgotten: list[str] = field(default_factory=list)  # deleted, and still known in Redis
    postponed: list[str] = field(default_factory=list)  # perhaps deleted, perhaps only not to be seen yet
    damaged: list[str] = field(default_factory=list)  # their records cannot be understood

    def __str__(self) -> str:
        counts = {name: len(ids) for name, ids in vars(self).items() if ids}
        return ", ".join(f"{count} {name}" for name, count in counts.items()) or "all in step"


class Recovery:
    """Compares the records of one Redis with one storage.

    Every method may raise ``QueueUnavailable`` and ``StorageUnavailable``, and can then be called again.
    """

    def __init__(self, store: JobStore, admin: JobAdmin, storage: Storage) -> None:
        self._store = store
        self._admin = admin
        self._storage = storage

    def reconcile_open(self) -> Report:
        """Take up every unfinished job that Redis does not know, but those that may just be coming in."""
        report = Report()
        self._take_up_open(report, older_than_seconds=IN_FLIGHT_SECONDS)
        return report

    def rebuild(self) -> Report:
        """Compare everything, both ways: unfinished jobs first, since somebody waits for them.

        Where something is ``postponed`` the records do not count as compared yet: it is to be called again.
        """
        run_id = self._admin.run_id()
        report = Report()
        unfinished, ended = self._admin.unfinished_ids(), self._admin.finished_ids()
        self._take_up_open(report, older_than_seconds=0)
        ended_in_storage = set(durable_records.done_job_ids(self._storage))
        _each(ended_in_storage - ended, lambda job_id: self._restore_ended(job_id, report))
        _each(ended - ended_in_storage, lambda job_id: self._forget_deleted(job_id, report, while_it_is="final"))
        _each(unfinished - ended_in_storage, lambda job_id: self._forget_deleted(job_id, report, while_it_is="queued"))
        if not report.postponed:
            self._admin.set_reconciled(run_id)
        return report

    def _take_up_open(self, report: Report, *, older_than_seconds: float) -> None:
        def take_up(job_id: str) -> None:
            with suppress(NotFound), _noting_damage(job_id, report):  # not found: it has ended since it was listed
                self._take_up(durable_records.read_open(self._storage, job_id), report)

        ids = durable_records.open_job_ids(self._storage, older_than_seconds=older_than_seconds)
        _each(self._admin.unknown(ids), take_up)

    def _take_up(self, job: Job, report: Report) -> None:
        job_id = job.job_id
        if self._storage.exists(keys.done_job(job_id)):
            self._restore_ended(job_id, report)
            durable_records.remove_open_job(self._storage, job_id)
            return
        self._admin.restore(job)
        failpoint("job-restored")
        if not self._storage.exists(keys.open_job(job_id)):  # it ended, or was deleted, while we looked
            self._admin.forget(job_id, while_it_is="queued")
        elif durable_records.is_cancellation_requested(self._storage, job_id):
            self._cancel(job_id)
            report.cancelled.append(job_id)
        else:
            log.warning("recovery.waiting: %s, which Redis did not know", job_id)
            report.waiting.append(job_id)

    def _cancel(self, job_id: str) -> None:
        log.warning("recovery.cancelled: %s, as was wanted before Redis forgot it", job_id)
        request = self._store.request_cancellation(job_id, nonce=f"recovery-{job_id}")
        if request.verdict is CancelVerdict.PENDING:
            complete_job(self._store, self._storage, job_id, request.token)

    def _restore_ended(self, job_id: str, report: Report) -> None:
        with suppress(NotFound), _noting_damage(job_id, report):  # not found: it was deleted since it was listed
            job = durable_records.read_done(self._storage, job_id)
            if job.finished_at is not None and datetime.now(UTC) - job.finished_at > KEEP_FINISHED:
                return
            is_expired = self._storage.exists(keys.expired_result(job_id))
            if self._admin.restore(job.model_copy(update={"expired": is_expired})) == "known":
                return
            report.ended.append(job_id)
            if not self._storage.exists(keys.done_job(job_id)):  # deleted while we looked
                self._admin.forget(job_id, while_it_is="final")

    def _forget_deleted(self, job_id: str, report: Report, *, while_it_is: Literal["final", "queued"]) -> None:
        """Redis was set back to before the job was deleted."""
        if any(self._storage.exists(key) for key in (keys.open_job(job_id), keys.done_job(job_id))):
            return
        if self._storage.may_show_files_late and self._admin.age_of(job_id) < YOUNG:
            report.postponed.append(job_id)
            return
        if self._admin.forget(job_id, while_it_is=while_it_is) == "forgotten":
            log.warning("recovery.forgotten: %s, which was deleted", job_id)
            report.forgotten.append(job_id)


def _each(ids: Iterable[str], do: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(READERS, "recovery") as pool:
        for _ in pool.map(do, sorted(ids)):
            pass


@contextmanager
def _noting_damage(job_id: str, report: Report) -> Iterator[None]:
    """A record that cannot be understood must not keep the others from being read."""
    try:
        yield
    except (NotFound, StorageUnavailable):
        raise
    except StorageError as error:
        log.error("recovery.damaged: %s: %s", job_id, error)
        report.damaged.append(job_id)
