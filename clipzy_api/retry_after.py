"""``Retry-After``: when a client should send its request again."""

from clipzy_storage.models.records import Job

POLL_SECONDS = 1
UNAVAILABLE_SECONDS = 5
QUEUE_FULL_SECONDS = 30
QUOTA_SECONDS = 30

POLL_AGAIN = {"Retry-After": str(POLL_SECONDS)}
TRY_AGAIN = {"Retry-After": str(UNAVAILABLE_SECONDS)}


def poll_headers(job: Job) -> dict[str, str]:
    """The headers of an answer with this job: poll again unless it has finished."""
    return {} if job.status.is_final else POLL_AGAIN
