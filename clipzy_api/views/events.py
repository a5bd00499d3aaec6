"""A job's events as server-sent events."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import structlog
from flask import Blueprint, Response, request

from clipzy_api.openapi.operations import EVENT_STREAM, LAST_EVENT_ID, Answer, described
from clipzy_api.problems import invalid_field, overloaded
from clipzy_api.services import owner, services
from clipzy_storage.errors import JobNotFound, QueueUnavailable, StorageError
from clipzy_storage.jobs.events import FIRST, JobEvent, JobEvents, is_event_id, position
from clipzy_storage.models.records import Job, Status

HEARTBEAT_SECONDS = 15.0  # proxies, and our own reaper of idle connections, close silent ones
WAIT_SECONDS = 0.5  # well below ANSWER_SECONDS, which bounds every answer of Redis
CHECK_SECONDS = 5.0
BEGINNING = b"retry: 3000\n\n"
HEARTBEAT = b": beat\n\n"

log = structlog.stdlib.get_logger(__name__)
events = Blueprint("events", __name__)


@events.get("/jobs/<job_id>/events")
@described(
    "Follow a job's events",
    [
        Answer(200, "Server-sent events, until the job finishes.", EVENT_STREAM),
        Answer(204, "The job has finished, and the client has its last event. A browser then stops asking."),
    ],
    problems=["INVALID_FIELD", "QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE", "OVERLOADED"],
    headers=[LAST_EVENT_ID],
)
def follow_job(job_id: str) -> Response:
    """Every change as it happens: `status` when the job's status or attempt has changed, else `progress`.

    Each event has an `id`, to continue after, and one line of JSON with `job_id`, `status`, `progress_percent`,
    `current_stage`, `attempt` and `error`, as in the job. After 15 s without an event a comment is sent.
    """
    find = partial(services().lookup.find, job_id, owner=owner())  # the stream outlives the request's context
    find()
    follower = Follower(services().events, job_id, find, after=_last_event_id())
    first = follower.read()
    if follower.is_over and not first:
        answer = Response(status=204)
        answer.headers.remove("Content-Type")
        return answer
    answer = Response(iter(()), content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
    if request.method == "GET":
        _attach(answer, follower, first)
    return answer


def _last_event_id() -> str:
    """Raises ``ApiError`` 422."""
    text = request.headers.get("Last-Event-ID", FIRST)
    if not is_event_id(text):  # an empty one is refused too: the server passes undecodable bytes as that
        raise invalid_field("Last-Event-ID", expects="the `id` of an event of this job")
    return text


def _attach(answer: Response, follower: "Follower", first: bytes) -> None:
    """Let the answer stream the events; its slot is released when it is closed."""
    streams = services().event_streams
    if not streams.acquire():
        raise overloaded("event streams")
    answer.call_on_close(streams.release)
    answer.response = _stream(follower, first)


def _stream(follower: "Follower", first: bytes) -> Iterator[bytes]:
    """Yields often, be it an empty block: only then does the server notice that the client has disconnected.

    The stream outlives an outage of Redis or of the storage, since a browser does not reconnect after a 503.
    """
    yield BEGINNING + first
    sent_at, pause_seconds = time.monotonic(), 0.0
    while not follower.is_over:
        time.sleep(pause_seconds)
        try:
            block, pause_seconds = follower.read(wait_seconds=WAIT_SECONDS), 0.0
        except JobNotFound:
            return  # the job was deleted
        except (QueueUnavailable, StorageError) as error:
            log.info("events.waiting", job_id=follower.job_id, reason=str(error))
            block, pause_seconds = HEARTBEAT, WAIT_SECONDS  # now, since the next try may take long
        if not block and time.monotonic() - sent_at >= HEARTBEAT_SECONDS - WAIT_SECONDS:
            block = HEARTBEAT
        if block:
            sent_at = time.monotonic()
        yield block


class Follower:
    """Reads a job's event log from the client's position; if the log is gone or set back, compares with the job."""

    def __init__(self, log: JobEvents, job_id: str, find: Callable[[], Job], *, after: str) -> None:
        """``find`` returns the job as it is now, or raises."""
        self.job_id = job_id
        self.is_over = False
        self._log, self._find = log, find
        self._cursor = after
        self._sent: JobEvent | None = None
        self._has_begun = False
        self._next_check_at = 0.0

    def read(self, *, wait_seconds: float = 0) -> bytes:
        """The next events as a block of the stream, waiting up to ``wait_seconds`` for one. May be empty.

        Raises ``JobNotFound``, ``QueueUnavailable``, ``StorageError``; it can be called again then, without a loss.
        """
        if not self._has_begun and self._cursor != FIRST:
            self._sent = self._log.last(self.job_id, until=self._cursor)
        events = self._log.after(self.job_id, self._cursor, wait_seconds=wait_seconds)
        if not events and time.monotonic() >= self._next_check_at:
            events = self._compare_with_job()
            self._next_check_at = time.monotonic() + CHECK_SECONDS
        if events and events[-1].status is Status.FAILED:
            events[-1] = replace(events[-1], error=self._find().error)
        self._has_begun = True
        return b"".join(map(self._send, events))

    def _compare_with_job(self) -> list[JobEvent]:
        """Events that the log does not have, as a rule none. The log may be gone, or be an older one."""
        job = self._find()  # first: the log knows at least as much then
        last = self._log.last(self.job_id)
        if last is None or (job.status.is_final and not last.status.is_final):
            return self._unless_sent(JobEvent.of(job))
        if last.position > position(self._cursor):
            return []  # it has just arrived, and is read next
        if last.status.is_final and not self._has_begun:
            self.is_over = True
            return []
        return [last] if last.position < position(self._cursor) else []

    def _unless_sent(self, now: JobEvent) -> list[JobEvent]:
        if now.event_id == self._cursor:
            self.is_over = True
            return []
        return [] if self._sent and replace(self._sent, event_id=now.event_id) == now else [now]

    def _send(self, event: JobEvent) -> bytes:
        before, self._sent = self._sent, event
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
