"""Following a job to its end by polling, which always works."""

import math
import time
from collections.abc import Iterator

from clipzy_api.client.errors import ClipzyError
from clipzy_api.client.outages import Outage
from clipzy_api.client.paths import job_path
from clipzy_api.client.transport import MAX_PAUSE_SECONDS, Request, Transport, parsed
from clipzy_api.schemas import Job

DEFAULT_POLL_SECONDS = 1.0


def changes(
    transport: Transport, job_id: str, *, poll_seconds: float | None = None, timeout_seconds: float | None = None
) -> Iterator[Job]:
    """The job as it is now, and again after every change that a poll finds, until it is finished or the time is up.

    Polls as often as the front end asks for, or every ``poll_seconds``. Raises ``ClipzyError``.
    """
    etag, outage = "", Outage(transport)
    deadline = time.monotonic() + (math.inf if timeout_seconds is None else timeout_seconds)
    while True:
        headers = {"If-None-Match": etag} if etag else {}
        try:
            answer = transport.send(Request("GET", job_path(job_id), headers))
        except ClipzyError as error:
            if time.monotonic() > deadline:
                raise
            outage.bridge(error)
            continue
        outage.has_ended()
        etag = answer.headers.get("ETag", etag)
        if answer.status != 304:
            job = parsed(Job, answer)
            yield job
            if job.finished_at is not None:
                return
        pause = poll_seconds or answer.retry_after_seconds or DEFAULT_POLL_SECONDS
        if (left := deadline - time.monotonic()) <= 0:
            return
        time.sleep(min(pause, MAX_PAUSE_SECONDS, left))
