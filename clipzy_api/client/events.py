"""A job's events, read from the front end's server-sent events without a loss over broken connections."""

import time
from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from clipzy_api.client.errors import ClipzyError, UnexpectedAnswer
from clipzy_api.client.following import changes
from clipzy_api.client.outages import Outage
from clipzy_api.client.paths import job_path
from clipzy_api.client.transport import Answer, Transport, refusal, unreachable
from clipzy_api.schemas import Job, JobError
from clipzy_storage.models.records import Status

SILENCE_SECONDS = 45.0
"""After which a stream is taken for dead: a front end sends something every 15 s."""
RECONNECT_SECONDS = 3.0
BLOCK_BYTES = 64 << 10


class Event(BaseModel):
    """A job as it was from one moment on."""

    model_config = ConfigDict(frozen=True)

    event_id: str = ""
    """For ``after``, to continue behind this event; empty if it has none."""
    job_id: str
    status: Status
    progress_percent: int
    current_stage: str | None
    attempt: int
    error: JobError | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The job as a poll has found it."""
        return cls(**job.model_dump(include=set(cls.model_fields)))

    def is_same(self, other: "Event | None") -> bool:
        """Whether it says what the other one says."""
        return other is not None and self.model_copy(update={"event_id": other.event_id}) == other


def follow(transport: Transport, job_id: str, *, after: str | None) -> Iterator[Event]:
    """Every event behind ``after``, until the job is finished. Where no stream is to be had, the job is polled.

    Raises ``ClipzyError``.
    """
    last: Event | None = None
    cursor, outage = after or "", Outage(transport)
    while True:
        has_moved = False
        try:
            for event in _stream(transport, job_id, after=cursor):
                outage.has_ended()
                cursor = event.event_id or cursor
                if event.is_same(last):  # a front end that has lost its log sends the last one again
                    continue
                last, has_moved = event, True
                yield event
                if event.status.is_final:
                    return
        except _Finished:
            return
        except ClipzyError as error:
            if error.code == "OVERLOADED":
                yield from _polled(transport, job_id, last)
                return
            outage.bridge(error)
            continue
        if not has_moved:  # it was closed in good order, as by a front end that stops
            time.sleep(RECONNECT_SECONDS)


class _Finished(Exception):
    """The job has finished, and its last event is known."""


def _stream(transport: Transport, job_id: str, *, after: str) -> Iterator[Event]:
    """The events of one connection, to its end. Raises ``ClipzyError``, ``_Finished``."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
    response = transport.stream(job_path(job_id, "/events"), headers, timeout_seconds=SILENCE_SECONDS)
    try:
        if response.status == 204:
            raise _Finished
        if response.status != 200:
            raise refusal(Answer(response.status, response.headers, response.read()))
        for fields in _blocks(response):
            if "data" in fields:
                yield _event(fields)
    except HTTPError as error:
        raise unreachable(transport.url, error) from error
    finally:
        response.close()


def _polled(transport: Transport, job_id: str, last: Event | None) -> Iterator[Event]:
    for job in changes(transport, job_id):
        event = Event.of(job)
        if not event.is_same(last):
            yield event
        last = event


def _blocks(response: BaseHTTPResponse) -> Iterator[dict[str, str]]:
    """The fields of each block of lines; a comment is a field without a name."""
    fields: dict[str, str] = {}
    rest = b""
    while received := response.read1(BLOCK_BYTES):
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            name, _, value = line.decode("utf-8", "replace").rstrip("\r").partition(":")
            if name or value:
                fields[name] = value.removeprefix(" ")
            elif fields:
                yield fields
                fields = {}


def _event(fields: dict[str, str]) -> Event:
    try:
        event = Event.model_validate_json(fields["data"])
    except ValidationError as error:
        raise UnexpectedAnswer("The event stream has an event that is none of Clipzy's.") from error
    return event.model_copy(update={"event_id": fields.get("id", "")})
