"""Polls every accepted job through the front ends, and its result in storage, and records what changes."""

import random
import threading
from typing import Any

from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import StorageError
from tests.chaos.caller import Caller
from tests.chaos.history import History
from tests.chaos.owners import Owner
from tests.chaos.results import PublishedResult, read_published

FINAL = {"completed", "failed", "cancelled"}
INTERVAL_SECONDS = 0.3
_CALLS = (
    ("GET", "/jobs/{job_id}", None),
    ("GET", "/jobs/{job_id}/result", None),
    ("GET", "/jobs/{job_id}/events", None),
    ("GET", "/jobs/{job_id}/files/poster.jpg", None),
    ("POST", "/jobs/{job_id}/cancel", None),
    ("POST", "/jobs/{job_id}/retry", None),
    ("DELETE", "/jobs/{job_id}", None),
    ("GET", "/videos/{video_id}", None),
    ("DELETE", "/videos/{video_id}", None),
    ("POST", "/jobs", {"video_id": "{video_id}"}),
)
"""Every call that names a job or a video, with its body."""
_TELLS_NOTHING = {404, 429}
CHECKED_AGAIN = 3  # finished jobs, at each interval


class Watcher(threading.Thread):
    """Runs until stopped. ``unfinished`` are the accepted jobs that were not seen in a terminal state."""

    def __init__(self, urls: list[str], owners: list[Owner], *, seed: int, storage: Storage, history: History) -> None:
        super().__init__(name="watcher", daemon=True)
        self._rng = random.Random(f"{seed}-watcher")
        self._callers = {owner.name: Caller(urls, self._rng, owner) for owner in owners}
        self._storage, self._history = storage, history
        self._seen: dict[str, dict[str, Any]] = {}
        self._found: dict[str, PublishedResult] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        self.join()
        for caller in self._callers.values():
            caller.close()

    def unfinished(self) -> list[str]:
        accepted = dict.fromkeys(event["job_id"] for event in self._history.of("accepted"))
        return [job_id for job_id in accepted if self._seen.get(job_id, {}).get("status") not in FINAL]

    def run(self) -> None:
        while not self._stopping.wait(INTERVAL_SECONDS):
            finished = [job_id for job_id, about in list(self._seen.items()) if about["status"] in FINAL]
            again = self._rng.sample(finished, min(CHECKED_AGAIN, len(finished)))
            for job_id in self.unfinished() + again:
                self._check(job_id)
            self._spy()

    def _spy(self) -> None:
        """Look for what an owner is shown of another."""
        for name, caller in self._callers.items():
            others = [about for about in self._history.of("accepted") if about["owner"] != name]
            for about in self._rng.sample(others, min(1, len(others))):
                self._try(name, caller, about)
            answer = caller.ask("GET", "/jobs?page_size=100")
            shown = answer.text if answer is not None and answer.ok else ""
            for job_id in [about["job_id"] for about in others if about["job_id"] in shown]:
                self._history.add("leaked", job_id=job_id, to=name, found="it is listed")

    def _try(self, name: str, caller: Caller, about: dict[str, Any]) -> None:
        """Call something with another owner's id: the only answer is that there is no such thing."""
        method, path, body = self._rng.choice(_CALLS)
        sent = body and {field: value.format(**about) for field, value in body.items()}
        answer = caller.ask(method, path.format(**about), json=sent)
        if answer is not None and answer.status_code < 500 and answer.status_code not in _TELLS_NOTHING:
            found = f"{answer.status_code} to {method} {path}"
            self._history.add("leaked", job_id=about["job_id"], to=name, found=found)

    def _owners(self) -> dict[str, str]:
        return {event["job_id"]: event["owner"] for event in self._history.of("accepted")}

    def _check(self, job_id: str) -> None:
        asked_at = self._history.now()
        answer = self._callers[self._owners()[job_id]].ask("GET", f"/jobs/{job_id}")
        if answer is not None and answer.status_code == 404:
            self._history.add("missing", job_id=job_id, asked_at=asked_at)
        if answer is None or answer.status_code != 200:
            return
        about = seen(answer.json())
        if about != self._seen.get(job_id):
            self._history.add("seen", job_id=job_id, asked_at=asked_at, **about)
            self._seen[job_id] = about
        if about["status"] == "completed":
            try:
                found = read_published(self._storage, job_id)
            except StorageError as error:
                self._history.add("unexpected", job_id=job_id, found=f"its result cannot be read: {error}")
                return
            if found != self._found.get(job_id):
                self._history.add("result", job_id=job_id, sha256=found.sha256, problems=list(found.problems))
                self._found[job_id] = found


def seen(job: dict[str, Any]) -> dict[str, Any]:
    """What is remembered of a job."""
    names = ("status", "progress_percent", "attempt", "finished_at")
    return {name: job[name] for name in names} | {"error": job["error"] and job["error"]["code"]}
