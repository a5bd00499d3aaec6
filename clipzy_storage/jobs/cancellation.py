"""Cancels a job: a waiting one at once, a running one through its holder."""

import os

import structlog

from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import JobAlreadyFinished, NotFound, QueueUnavailable, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.completion import complete_job
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.lookup import JobLookup
from clipzy_storage.jobs.parking import unpark_after_end
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import CancelRequest, CancelVerdict, NotifyWorkers
from clipzy_storage.models.records import Job, Status

log = structlog.stdlib.get_logger(__name__)


class JobCancellation:
    """Cancels jobs on behalf of an owner."""

    def __init__(
        self, store: JobStore, admin: JobAdmin, storage: Storage, lookup: JobLookup, *, notify_workers: NotifyWorkers
    ) -> None:
        self._store = store
        self._admin = admin
        self._storage = storage
        self._lookup = lookup
        self._notify_workers = notify_workers

    def cancel(self, job_id: str, *, owner: str) -> Job:
        """Have the job end as cancelled, and return it as it is then: cancelled, or about to be.

        Raises:
            JobNotFound: there is none, or it belongs to another owner.
            JobAlreadyFinished: its outcome is fixed.
            QueueUnavailable, StorageError: with a durable request written, it is carried out later.
        """
        job = self._lookup.find(job_id, owner=owner)
        if job.status.is_final:
            raise JobAlreadyFinished(job.status.value)
        with about_job(job):
            return self._cancel(job)

    def _cancel(self, job: Job) -> Job:
        job_id = job.job_id
        # Before Redis learns of it, so that a loss of Redis afterwards does not lose the request.
        durable_records.write_cancellation_request(self._storage, job_id)
        failpoint("cancellation-requested")
        request = self._request(job_id)
        if not self._is_accepted(job_id, request, job.owner):
            self._refuse(job_id, request, job.owner)
        return self._current(job)

    def _request(self, job_id: str) -> CancelRequest:
        nonce = os.urandom(8).hex()
        request = self._store.request_cancellation(job_id, nonce=nonce)
        if request.verdict is not CancelVerdict.UNKNOWN:
            return request
        try:
            self._admin.restore(durable_records.read_open(self._storage, job_id))
        except NotFound:
            log.info("cancel.too_late")
        return self._store.request_cancellation(job_id, nonce=nonce)

    def _is_accepted(self, job_id: str, request: CancelRequest, owner: str) -> bool:
        if request.verdict is CancelVerdict.REQUESTED:
            return True
        if request.verdict is CancelVerdict.PENDING:
            finished = self._complete(job_id, request.token)
            unpark_after_end(self._store, owner, self._notify_workers)  # until it was completed it counted as held
            return finished is None or finished.status is Status.CANCELLED
        return False

    def _complete(self, job_id: str, token: str) -> Job | None:
        """Complete a job that no worker holds; None if that is left to the reaper: its outcome is fixed."""
        failpoint("cancellation-pending")
        try:
            return complete_job(self._store, self._storage, job_id, token)
        except (StorageError, QueueUnavailable) as error:
            log.warning("cancel.left_to_the_reaper", reason=str(error))
            return None

    def _refuse(self, job_id: str, request: CancelRequest, owner: str) -> None:
        """Raise what ``cancel`` raises, after the durable request is withdrawn."""
        job = self._lookup.find(job_id, owner=owner)
        if request.verdict is CancelVerdict.UNKNOWN and not job.status.is_final:
            raise QueueUnavailable("Redis has just lost the job records", certain=False)
        try:
            durable_records.remove_cancellation_request(self._storage, job_id)
        except StorageError as error:
            log.warning("cancel.request_left_behind", reason=str(error))
        raise JobAlreadyFinished(job.status.value if job.status.is_final else "finishing")

    def _current(self, job: Job) -> Job:
        """The job after its cancellation; as it was before if Redis is unavailable, since cancelled it is."""
        try:
            return self._lookup.find(job.job_id, owner=job.owner)
        except QueueUnavailable as error:
            log.warning("cancel.shown_as_before", reason=str(error))
            return job
