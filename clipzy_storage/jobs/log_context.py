"""What every log event about a job carries."""

from contextlib import AbstractContextManager

import structlog

from clipzy_storage.models.records import Job


def about_job(job: Job) -> AbstractContextManager[None]:
    """Inside ``with`` every event has the job's id, its attempt, and the id of the request that submitted it."""
    return structlog.contextvars.bound_contextvars(job_id=job.job_id, attempt=job.attempt, request_id=job.request_id)
