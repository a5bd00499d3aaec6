"""What happened in one run, in the order in which it was seen: one JSON object a line."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class History:
    """A file that many threads append to. Each event carries ``at``, in monotonic seconds since the history began.

    Events, by ``what``: ``asked`` and ``answered`` (a POST and its answer, by the client's ``key``), ``accepted`` (a
    202 for ``job_id``), ``seen`` (a job, whenever what is shown changes), ``missing`` (404 for a job), ``result`` (a
    published result), ``announced`` (an end that the receiver of webhooks was told of), ``cancelling`` and ``cancel``,
    ``fault``, ``healed``, ``loss`` (Redis has forgotten, since ``began_at``), ``exited`` (a process, with its
    ``status``), ``unexpected``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w")
        self._began_at = time.monotonic()
        self._lock = threading.Lock()
        self.events: list[Event] = []

    def now(self) -> float:
        return round(time.monotonic() - self._began_at, 3)

    def add(self, what: str, **about: Any) -> Event:
        """Append one event; returns it."""
        with self._lock:
            event = {"at": self.now(), "what": what, **about}
            self.events.append(event)
            self._file.write(json.dumps(event, ensure_ascii=False) + "\n")
            self._file.flush()
        return event

    def of(self, *whats: str) -> list[Event]:
        """The events of these kinds so far, in order."""
        with self._lock:
            return list(only(self.events, *whats))

    def close(self) -> None:
        with self._lock:
            self._file.close()


def only(events: list[Event], *whats: str) -> Iterator[Event]:
    return (event for event in events if event["what"] in whats)
