"""The way to one job: Redis has the truth; what it does not know is looked for in storage."""

import logging
from collections.abc import Callable
from contextlib import suppress

from clipzy_api.links import link_to
from clipzy_api.problems import ApiError, result_expired
from clipzy_api.services import owner, services
from clipzy_storage import keys
from clipzy_storage.backends.base import Link, Storage
from clipzy_storage.errors import JobNotFound, NotFound, QueueUnavailable
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.records import Job, Status

POLL_AFTER = {"Retry-After": "1"}

log = logging.getLogger(__name__)


def find_job(job_id: str) -> Job:
    """The job as it is now, or as its durable records have it where Redis does not know it.

    Raises:
        JobNotFound: there is none, or it belongs to another owner.
        QueueUnavailable, StorageError.
    """
    if not keys.is_job_id(job_id):
        raise JobNotFound(job_id)
    try:
        job, is_reconciled = services().jobs.look_up(job_id, owner=owner())
    except JobNotFound:
        return _stored_job(job_id)
    return job if is_reconciled else _ended_or(job)


def settled(jobs: list[Job]) -> list[Job]:
    """The same jobs as storage has them, where they have ended and Redis was set back to before that."""
    if all(job.status.is_final for job in jobs) or services().upkeep.is_current():
        return jobs
    return [job if job.status.is_final else _ended_or(job) for job in jobs]


def find_linked_job(job_id: str) -> Job:
    """The same for a link to a file, which is good although Redis is away. Raises ``JobNotFound``, ``StorageError``."""
    try:
        return find_job(job_id)
    except QueueUnavailable:
        return _stored_job(job_id)


def _ended_or(job: Job) -> Job:
    """An end that a caller may have seen never changes, whatever Redis was set back to."""
    try:
        return _read(durable_records.read_done, job.job_id)
    except NotFound:
        return job


def _stored_job(job_id: str) -> Job:
    """Ended, or waiting as long as it is open."""
    # Looked for twice: a job that ends between two looks has its done record before its open one goes.
    for read in (durable_records.read_done, durable_records.read_open, durable_records.read_done):
        with suppress(NotFound):
            return _read(read, job_id)
    raise JobNotFound(job_id)


def _read(read: Callable[[Storage, str], Job], job_id: str) -> Job:
    """Raises ``NotFound``, and ``JobNotFound`` where it belongs to another owner."""
    storage = services().storage
    job = read(storage, job_id)
    if job.owner != owner():
        raise JobNotFound(job_id)
    if job.status is Status.COMPLETED and storage.exists(keys.expired_result(job_id)):
        return job.model_copy(update={"expired": True})
    return job


def result_link(job: Job) -> Link | None:
    """Where the job's ``output.json`` is to be had, if it is."""
    if job.status is not Status.COMPLETED or job.expired:
        return None
    return link_to(keys.result_index(job.job_id))


def why_missing(job_id: str) -> ApiError:
    """What to answer where a file of a completed job is not in storage, although nothing said so before."""
    if not services().storage.exists(keys.expired_result(job_id)):
        return ApiError(404, "FILE_NOT_FOUND", detail="The job's result is no longer in storage.")
    try:  # Redis was set back to before the expiry
        services().upkeep.expire(job_id)
    except QueueUnavailable as error:
        log.warning("expiry.not_noted: %s: %s", job_id, error)
    return result_expired()
