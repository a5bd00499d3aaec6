"""Finds one job: Redis has the current record; a job that Redis does not know is read from its durable records."""

from collections.abc import Callable
from contextlib import suppress

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import JobNotFound, NotFound, QueueUnavailable
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import Job, Status


class JobLookup:
    """Finds jobs on behalf of an owner. All methods may raise ``StorageError``."""

    def __init__(self, store: JobStore, admin: JobAdmin, storage: Storage) -> None:
        self._store = store
        self._admin = admin
        self._storage = storage

    def find(self, job_id: str, *, owner: str) -> Job:
        """The job as it is now.

        Raises:
            JobNotFound: there is none, or it belongs to another owner.
            QueueUnavailable
        """
        return self._find(job_id, owner)

    def find_for_file(self, job_id: str, *, owner: str) -> Job:
        """The same for a file of it, which must open while Redis is unavailable. Raises ``JobNotFound``."""
        return self._find_anyhow(job_id, owner)

    def find_for_link(self, job_id: str) -> Job:
        """The same for whoever follows a signed link, which says enough. Raises ``JobNotFound``."""
        return self._find_anyhow(job_id, None)

    def find_finished(self, job_id: str) -> Job | None:
        """A finished job as its durable record has it, whoever owns it; None if it is not finished, or was deleted."""
        try:
            return self._read(durable_records.read_done, job_id, None)
        except NotFound:
            return None

    def with_durable_outcomes(self, jobs: list[Job]) -> list[Job]:
        """The same jobs, those finished that have finished although Redis was set back to before that.

        Raises ``QueueUnavailable``.
        """
        if all(job.status.is_final for job in jobs) or self._admin.is_reconciled():
            return jobs
        return [job if job.status.is_final else self._finished_or(job) for job in jobs]

    def _find_anyhow(self, job_id: str, owner: str | None) -> Job:
        try:
            return self._find(job_id, owner)
        except QueueUnavailable:
            return self._find_durable(job_id, owner)

    def _find(self, job_id: str, owner: str | None) -> Job:
        """None is whoever it belongs to, here and below."""
        if not keys.is_job_id(job_id):
            raise JobNotFound(job_id)
        try:
            job, is_reconciled = self._store.look_up(job_id, owner=owner)
        except JobNotFound:
            return self._find_durable(job_id, owner)
        return job if is_reconciled else self._finished_or(job)

    def _find_durable(self, job_id: str, owner: str | None) -> Job:
        """As its durable records have it, without asking Redis: finished, or queued while it is open.

        Raises ``JobNotFound``.
        """
        # Read twice: the done record of a job that finishes between two reads is written before its open one goes.
        for read in (durable_records.read_done, durable_records.read_open, durable_records.read_done):
            with suppress(NotFound):
                return self._read(read, job_id, owner)
        raise JobNotFound(job_id)

    def _finished_or(self, job: Job) -> Job:
        """An outcome that a caller may have seen never changes, whatever Redis was set back to."""
        try:
            return self._read(durable_records.read_done, job.job_id, job.owner)
        except NotFound:
            return job

    def _read(self, read: Callable[[Storage, str], Job], job_id: str, owner: str | None) -> Job:
        """Raises ``NotFound``, and ``JobNotFound`` if the job belongs to another owner."""
        job = read(self._storage, job_id)
        if owner not in (None, job.owner):
            raise JobNotFound(job_id)
        if job.status is Status.COMPLETED and self._storage.exists(keys.expired_result(job_id)):
            return job.model_copy(update={"expired": True})
        return job
