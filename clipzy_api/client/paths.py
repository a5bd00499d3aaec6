"""Addresses of jobs, videos and uploads. An id never becomes more than one part of an address."""

import re

from clipzy_api.client.errors import ClipzyError

JOBS, VIDEOS, UPLOADS = "/api/v1/jobs", "/api/v1/videos", "/api/v1/uploads"
DIRECT_UPLOADS = f"{UPLOADS}/s3"
_ID = re.compile("[A-Za-z0-9_-]{1,64}")


def job_path(job_id: str, rest: str = "") -> str:
    """Raises ``ClipzyError`` if no job can have this id."""
    if not _ID.fullmatch(job_id):
        raise ClipzyError("There is no such job.", code="JOB_NOT_FOUND", status=404)
    return f"{JOBS}/{job_id}{rest}"


def video_path(video_id: str) -> str:
    """Raises ``ClipzyError`` if no video can have this id."""
    if not _ID.fullmatch(video_id):
        raise ClipzyError("There is no such video.", code="VIDEO_NOT_FOUND", status=404)
    return f"{VIDEOS}/{video_id}"


def upload_path(upload_id: str) -> str:
    """Raises ``ClipzyError`` if no upload can have this id."""
    return f"{UPLOADS}/{_checked(upload_id)}"


def direct_upload_path(upload_id: str, rest: str = "") -> str:
    """Raises ``ClipzyError`` if no upload can have this id."""
    return f"{DIRECT_UPLOADS}/{_checked(upload_id)}{rest}"


def _checked(upload_id: str) -> str:
    if not _ID.fullmatch(upload_id):
        raise ClipzyError("There is no such upload.", code="UPLOAD_NOT_FOUND", status=404)
    return upload_id
