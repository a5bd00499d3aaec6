"""Links in answers: to this API, and to files in storage."""

from collections.abc import Mapping
from datetime import UTC, datetime

import structlog
from flask import url_for

from clipzy_api.problems import ApiError, result_expired, unauthorized
from clipzy_api.services import services
from clipzy_storage import keys
from clipzy_storage.access.link_signatures import EXPIRES, SIGNATURE, has_expired, is_signed
from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.models.records import Job, Link, Video

log = structlog.stdlib.get_logger(__name__)


def absolute(path: str) -> str:
    """The URL of ``path`` under PUBLIC_URL; the path alone if that is not set."""
    return (services().settings.public_url or "") + path


def link_to(key: str) -> Link:
    """Where a client fetches the file. A link that opens without an API key is signed again for every answer."""
    return services().file_links.to(key)


def video_link(video: Video) -> Link:
    """Where a client fetches the uploaded file."""
    link = services().storage.link(video.key)
    if not link.url.startswith("/"):
        return link
    here = url_for("video_files.show_uploaded", video_id=video.video_id)
    return services().file_links.at(here, signs=signed_name_of(video.video_id))


def signed_name_of(video_id: str) -> str:
    """What the link to a video's file signs: known without its record."""
    return f"{keys.upload_prefix(video_id)}source"


def check_signature(key: str, arguments: Mapping[str, str]) -> None:
    """Raise ``ApiError`` 401 or 403 unless these arguments of a query are those of a link that signs this."""
    expires, signature = arguments.get(EXPIRES, ""), arguments.get(SIGNATURE, "")
    now = datetime.now(UTC)
    secrets = services().link_secrets.secrets().accepted(now)
    if not is_signed(key, expires=expires, signature=signature, secrets=secrets):
        raise unauthorized("The signature is not that of this `storage_url`. Ask for its job or video again.")
    if has_expired(expires, now=now):
        raise ApiError("FORBIDDEN", detail="The link has expired; ask for its job or video again.")


def period_of(link: Link, *, life_seconds: int) -> str:
    """A text that changes with every half of a link's life, so that no cached answer has a link about to expire.

    ``life_seconds`` is the life of a new link; if credentials expire sooner, the text changes when they are renewed.
    """
    if link.expires_at is None:
        return ""
    return f"-{int(link.expires_at.timestamp()) // max(1, life_seconds // 2)}"


def result_link(job: Job) -> Link | None:
    """Where a client fetches the job's ``output.json``; None if there is none."""
    return services().file_links.to_result_of(job)


def why_missing(job_id: str) -> ApiError:
    """The answer if a file of a completed job is missing in storage although the record does not say so."""
    if not services().storage.exists(keys.expired_result(job_id)):
        return ApiError("FILE_NOT_FOUND", detail="The job's result is no longer in storage.")
    try:  # Redis was restored to a state before the expiry
        services().admin.expire(job_id)
    except QueueUnavailable as error:
        log.warning("job.expiry_not_recorded", job_id=job_id, reason=str(error))
    return result_expired()
