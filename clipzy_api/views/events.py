"""What happens to a job, told as it happens."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from flask import Blueprint, Response, copy_current_request_context, request

from clipzy_api.openapi.operations import (
    CACHE_CONTROL,
    EVENT_STREAM,
    LAST_EVENT_ID,
    UNBUFFERED,
    Answer,
    Call,
    described,
)
from clipzy_api.problems import invalid_field, overloaded
from clipzy_api.services import find_job, services
from clipzy_storage.errors import JobNotFound, QueueUnavailable, StorageError
from clipzy_storage.jobs.events import FIRST, JobEvent, JobEvents, is_event_id, position
from clipzy_storage.models.records import Job, Status

BEAT_SECONDS = 15.0  # at the latest; proxies, and our own watch over connections, end those that are silent for long
WAIT_SECONDS = 0.5  # for the log, at a time; well below ANSWER_SECONDS, which bounds every answer of Redis
LOOK_SECONDS = 5.0  # how often a silent log is not believed
BEGINNING = b"retry: 3000\n\n"
BEAT = b": beat\n\n"

log = logging.getLogger(__name__)
events = Blueprint("events", __name__)


@events.get("/jobs/<job_id>/events")
@described(
    Call(
        summary="Follow a job's events",
        answers=[
            Answer(200, "Server-sent events, until the job ends.", EVENT_STREAM, (CACHE_CONTROL, UNBUFFERED)),
            Answer(204, "The job has ended, and that is known. A browser then stops asking."),
        ],
        problems=[
            "NOT_FOUND",
            "JOB_NOT_FOUND",
            "INVALID_FIELD",
            "QUEUE_UNAVAILABLE",
            "STORAGE_UNAVAILABLE",
            "OVERLOADED",
        ],
        headers=[LAST_EVENT_ID],
    )
)
def follow_job(job_id: str) -> Response:
    """Every change as it comes: `status` when the job's status or attempt has changed, else `progress`.

    Each has an `id`, to go on from, and one line of JSON with `job_id`, `status`, `progress_percent`, `current_stage`,
    `attempt` and `error`, as the job has them. A comment comes where nothing else has come for 15 s.
    """
    find = copy_current_request_context(partial(find_job, job_id))
    find()
    follower = Follower(services().events, job_id, find, after=_last_event_id())
    news = follower.read()
    if follower.is_over and not news:
        answer = Response(status=204)
        answer.headers.remove("Content-Type")
        return answer
    answer = Response(iter(()), content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
    if request.method == "GET":
        _attach(answer, follower, news)
    return answer


def _last_event_id() -> str:
    """Raises ``ApiError`` 422."""
    text = request.headers.get("Last-Event-ID", FIRST)
    if not is_event_id(text):  # an empty one neither: what the server cannot read comes as that
        raise invalid_field("Last-Event-ID", expects="the `id` of an event of this job")
    return text


def _attach(answer: Response, follower: "Follower", news: bytes) -> None:
    """Let the answer go on with what comes; its slot among the streams is released when it is closed."""
    streams = services().event_streams
    if not streams.acquire():
        raise overloaded("event streams")
    answer.call_on_close(streams.release)
    answer.response = _stream(follower, news)


def _stream(follower: "Follower", news: bytes) -> Iterator[bytes]:
    """Never long without a block, be it empty: that is when the server notices that the client has left.

    The stream outlives an absence of Redis or of the storage, since a browser does not come back after a 503.
    """
    yield BEGINNING + news
    said_at, pause_seconds = time.monotonic(), 0.0
    while not follower.is_over:
        time.sleep(pause_seconds)
        try:
            news, pause_seconds = follower.read(wait_seconds=WAIT_SECONDS), 0.0
        except JobNotFound:
            return  # it was deleted
        except (QueueUnavailable, StorageError) as error:
            log.info("events.waiting: %s: %s", follower.job_id, error)
            news, pause_seconds = BEAT, WAIT_SECONDS  # at once: the next try may take long
        if not news and time.monotonic() - said_at >= BEAT_SECONDS - WAIT_SECONDS:
            news = BEAT
        if news:
            said_at = time.monotonic()
        yield news


class Follower:
    """Reads a job's log from where a client has come to; where the log does not tell how it goes on, the job does."""

    def __init__(self, log: JobEvents, job_id: str, find: Callable[[], Job], *, after: str) -> None:
        """``find`` finds the job as it is, wherever it is recorded, or raises."""
        self.job_id = job_id
        self.is_over = False  # nothing will come any more
        self._log, self._find = log, find
        self._cursor = after
        self._told: JobEvent | None = None
        self._has_begun = False
        self._next_look = 0.0

    def read(self, *, wait_seconds: float = 0) -> bytes:
        """What is to be told next, waiting so long for it. May be empty.

        Raises ``JobNotFound``, ``QueueUnavailable``, ``StorageError``. Nothing is lost by that: it can be called again.
        """
        if not self._has_begun and self._cursor != FIRST:
            self._told = self._log.last(self.job_id, until=self._cursor)
        news = self._log.after(self.job_id, self._cursor, wait_seconds=wait_seconds)
        if not news and time.monotonic() >= self._next_look:
            news = self._look()
            self._next_look = time.monotonic() + LOOK_SECONDS
        if news and news[-1].status is Status.FAILED:
            news[-1] = replace(news[-1], error=self._find().error)
        self._has_begun = True
        return b"".join(map(self._tell, news))

    def _look(self) -> list[JobEvent]:
        """What is to be told although nothing came: as a rule nothing. The log may be gone, or be an older one."""
        job = self._find()  # first: the log knows at least as much then
        last = self._log.last(self.job_id)
        if last is None or (job.status.is_final and not last.status.is_final):
            return self._unless_told(JobEvent.of(job))
        if last.position > position(self._cursor):
            return []  # it came just now
        if last.status.is_final and not self._has_begun:
            self.is_over = True
            return []
        return [last] if last.position < position(self._cursor) else []

    def _unless_told(self, now: JobEvent) -> list[JobEvent]:
        if now.event_id == self._cursor:
            self.is_over = True
            return []
        return [] if self._told and replace(self._told, event_id=now.event_id) == now else [now]

    def _tell(self, event: JobEvent) -> bytes:
        before, self._told = self._told, event
        self._cursor = event.event_id or self._cursor
        self.is_over = event.status.is_final
        has_moved = before is None or (before.status, before.attempt) != (event.status, event.attempt)
        return _message(self.job_id, event, "status" if has_moved else "progress")


def _message(job_id: str, event: JobEvent, name: str) -> bytes:
    data = {
        "job_id": job_id,
        "status": event.status.value,
        "progress_percent": event.progress_percent,
        "current_stage": event.current_stage,
        "attempt": event.attempt,
        "error": event.error and event.error.model_dump(mode="json"),
    }
    line = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    which = f"id: {event.event_id}\n" if event.event_id else ""
    return f"{which}event: {name}\ndata: {line}\n\n".encode()
