"""Links in answers: to this API, and to files in storage."""

from dataclasses import replace

import structlog

from clipzy_api.problems import ApiError, result_expired
from clipzy_api.services import services
from clipzy_storage import keys
from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.models.records import Job, Link, Status

log = structlog.stdlib.get_logger(__name__)


def absolute(path: str) -> str:
    """The URL of ``path`` under PUBLIC_URL; the path alone if that is not set."""
    return (services().settings.public_url or "") + path


def link_to(key: str) -> Link:
    """Where a client fetches the file; a pre-signed URL is signed again for every answer."""
    link = services().storage.link(key)
    return replace(link, url=absolute(link.url)) if link.url.startswith("/") else link


def period_of(link: Link, *, life_seconds: int) -> str:
    """A text that changes with every half of a link's life, so that no cached answer has a link about to expire.

    ``life_seconds`` is the life of a new link; if credentials expire sooner, the text changes when they are renewed.
    """
    if link.expires_at is None:
        return ""
    return f"-{int(link.expires_at.timestamp()) // max(1, life_seconds // 2)}"


def result_link(job: Job) -> Link | None:
    """Where a client fetches the job's ``output.json``; None if there is none."""
    if job.status is not Status.COMPLETED or job.expired:
        return None
    return link_to(keys.result_index(job.job_id))


def why_missing(job_id: str) -> ApiError:
    """The answer if a file of a completed job is missing in storage although the record does not say so."""
    if not services().storage.exists(keys.expired_result(job_id)):
        return ApiError("FILE_NOT_FOUND", detail="The job's result is no longer in storage.")
    try:  # Redis was restored to a state before the expiry
        services().admin.expire(job_id)
    except QueueUnavailable as error:
        log.warning("job.expiry_not_recorded", job_id=job_id, reason=str(error))
    return result_expired()
