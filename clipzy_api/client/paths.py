"""Addresses of jobs and videos. An id never becomes more than one part of an address."""

import re

from clipzy_api.client.errors import ClipzyError

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
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
