"""Server-sent events, read as a browser does."""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any, Self

from tests.support.servers import FrontEnd

EVENTS = "/api/v1/jobs/{job_id}/events"


@dataclass(frozen=True)
class SentEvent:
    """One event."""

    event_id: str
    name: str
    data: dict[str, Any]

    @property
    def seen(self) -> tuple[Any, ...]:
        """What polling shows of it."""
        return seen_of(self.data)


def seen_of(job: dict[str, Any]) -> tuple[Any, ...]:
    error = job["error"] and job["error"]["code"]
    return (job["status"], job["progress_percent"], job["current_stage"], job["attempt"], error)


class EventStream:
    """One connection on which a job is followed, open within a ``with``."""

    def __init__(self, port: int, job_id: str, *, after: str | None = None, timeout_seconds: float = 30) -> None:
        self._timeout_seconds = timeout_seconds
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
        headers = {} if after is None else {"Last-Event-ID": after}
        self._connection.request("GET", f"/api/v1/jobs/{job_id}/events", headers=headers)
        self._answer = self._connection.getresponse()
        self.status, self.headers = self._answer.status, self._answer.headers
        self.retry = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        self._answer.close()
        self._connection.close()

    def next(self) -> SentEvent | None:
        """The next event, waited for; ``None`` when the stream was closed in good order."""
        deadline = time.monotonic() + self._timeout_seconds
        while block := self._block():
            assert time.monotonic() < deadline, "nothing but heartbeats"
            fields = dict(line.split(": ", 1) for line in block)
            self.retry = fields.get("retry", self.retry)
            if "data" in fields:
                return SentEvent(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
        return None

    def expect(self, count: int = 1) -> list[SentEvent]:
        """The next events, of a stream that must have them."""
        found = [event for _ in range(count) if (event := self.next())]
        assert len(found) == count
        return found

    def wait_for_beat(self) -> float:
        """When it came."""
        block = self._block()
        assert block == [": beat"]
        return time.monotonic()

    def rest(self) -> list[SentEvent]:
        """Every event up to the stream's end."""
        return list(iter(self.next, None))

    def _block(self) -> list[str]:
        """The lines up to the next empty one."""
        lines = []
        while line := self._answer.readline().decode().rstrip("\n"):
            lines.append(line)
        return lines


def address(job_id: str) -> str:
    return EVENTS.format(job_id=job_id)


def follow(front_end: FrontEnd, job_id: str, **more: Any) -> EventStream:
    return EventStream(front_end.port, job_id, **more)


def told(front_end: FrontEnd, job_id: str, **more: Any) -> list[SentEvent]:
    """All that a finished job's stream says."""
    with follow(front_end, job_id, **more) as stream:
        return stream.rest()


def statuses(events: list[SentEvent]) -> list[str]:
    return [event.data["status"] for event in events]
