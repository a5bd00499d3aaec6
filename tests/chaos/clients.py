"""Clients that upload and submit until they are answered with 202, whatever the answers before it were."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from urllib3 import encode_multipart_formdata

from tests.chaos.caller import Caller
from tests.chaos.history import History
from tests.chaos.owners import Owner
from tests.chaos.pieces import Pieces

CHANCE_OF_JSON, CHANCE_OF_CANCEL, CHANCE_OF_SLOWNESS = 0.4, 0.12, 0.4
CHANCE_OF_PIECES = 0.5  # of those whose job is submitted as JSON
CHANCE_OF_REUSE = 1 / 3  # the clips are few, and most of their jobs are to be worked on
ASK_AGAIN = {409, 425, 429}  # another request under the same key is still under way


class Body:
    """One file in a form, which may take its time, so that much can happen between its beginning and its end."""

    def __init__(self, name: str, path: Path, *, seconds: float, fields: dict[str, str]) -> None:
        self._data, self.content_type = encode_multipart_formdata(fields | {"file": (name, path.read_bytes())})
        self._seconds = seconds

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        middle = len(self._data) // 2
        yield self._data[:middle]
        time.sleep(self._seconds)
        yield self._data[middle:]


class Client(threading.Thread):
    """Submits while ``wants_more``; once stopped, exits as soon as every key that it used is accepted.

    Each key is also the name of the file it uploads, by which its jobs are known in listings.
    """

    def __init__(
        self,
        number: int,
        urls: list[str],
        owner: Owner,
        *,
        seed: int,
        clips: list[Path],
        webhook_url: str,
        history: History,
        wants_more: Callable[[], bool],
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self._rng = random.Random(f"{seed}-{number}")
        self._owner, self._caller = owner, Caller(urls, self._rng, owner)
        self._clips, self._webhook_url = clips, webhook_url
        self._history, self._wants_more = history, wants_more
        self._stopping, self._giving_up = threading.Event(), threading.Event()
        self._cancels: list[tuple[float, str]] = []
        self._count = 0

    def stop(self) -> None:
        """Submit nothing new; what was asked for is asked for again until it is accepted."""
        self._stopping.set()

    def give_up(self) -> None:
        self._giving_up.set()

    def run(self) -> None:
        while not self._stopping.wait(self._rng.uniform(0.1, 0.8)):
            if self._wants_more():
                self._submit()
            self._cancel_due()
        self._caller.close()

    def _submit(self) -> None:
        self._count += 1
        key = f"{self.name}-{self._count}"
        clip = self._rng.choice(self._clips)
        slowness_seconds = self._rng.uniform(0.5, 3) if self._rng.random() < CHANCE_OF_SLOWNESS else 0.0
        is_json = self._rng.random() < CHANCE_OF_JSON
        config = {"reuse": self._rng.random() < CHANCE_OF_REUSE}
        fields = {} if is_json else {"config": json.dumps(config), "webhook_url": self._webhook_url}
        body = Body(f"{key}.mp4", clip, seconds=slowness_seconds, fields=fields)
        upload: dict[str, Any] = {"data": body, "headers": {"Content-Type": body.content_type}}
        if not is_json:
            job = self._insist("/jobs", key, 202, **upload)
        else:
            video_id = self._upload(key, clip, upload)
            wanted = {"video_id": video_id, "config": config, "webhook_url": self._webhook_url}
            job = self._insist("/jobs", key, 202, json=wanted) if video_id else None
        if job:
            about = {"job_id": job["job_id"], "video_id": job["video_id"], "owner": self._owner.name}
            self._history.add("accepted", key=key, **about, **config, webhook=True)
            if self._rng.random() < CHANCE_OF_CANCEL:
                self._cancels.append((self._history.now() + self._rng.uniform(0, 3), job["job_id"]))

    def _upload(self, key: str, clip: Path, upload: dict[str, Any]) -> str | None:
        """The id of the video, which is sent in a form, or in pieces."""
        if self._rng.random() < CHANCE_OF_PIECES:
            pieces = Pieces(self._caller, self._rng, self._history, giving_up=self._giving_up)
            return pieces.send(key, clip.read_bytes())
        video = self._insist("/videos", key, 201, **upload)
        return str(video["video_id"]) if video else None

    def _insist(
        self, path: str, key: str, wanted: int, *, headers: dict[str, str] | None = None, **body: Any
    ) -> dict[str, Any] | None:
        """The wanted answer; None if there was another that no temporary outage explains."""
        while not self._giving_up.is_set():
            self._history.add("asked", key=key, path=path)
            sent = {"Idempotency-Key": f"{key}{path}"} | (headers or {})
            answer = self._caller.ask("POST", path, headers=sent, **body)
            status = answer.status_code if answer is not None else None
            found = _json(answer)
            about = {name: found[name] for name in ("job_id", "video_id", "code") if name in found}
            self._history.add("answered", key=key, path=path, status=status, **about)
            if status == wanted:
                return found
            if status is not None and status < 500 and status not in ASK_AGAIN:
                self._history.add("unexpected", key=key, path=path, found=f"{status} {found.get('code')}")
                return None
            self._giving_up.wait(self._rng.uniform(0.2, 1.0))
        return None

    def _cancel_due(self) -> None:
        due = [job_id for at, job_id in self._cancels if at <= self._history.now()]
        self._cancels = [(at, job_id) for at, job_id in self._cancels if job_id not in due]
        for job_id in due:
            self._history.add("cancelling", job_id=job_id)
            answer = self._caller.ask("POST", f"/jobs/{job_id}/cancel")
            status = answer.status_code if answer is not None else None
            self._history.add("cancel", job_id=job_id, status=status, code=_json(answer).get("code"))


def _json(answer: requests.Response | None) -> dict[str, Any]:
    try:
        value = answer.json() if answer is not None else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
