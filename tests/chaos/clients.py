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

from tests.chaos.history import History
from tests.chaos.owners import Owner

ANSWER_SECONDS = 20.0
CHANCE_OF_JSON, CHANCE_OF_CANCEL, CHANCE_OF_SLOWNESS = 0.25, 0.12, 0.4
CHANCE_OF_REUSE = 1 / 3  # the clips are few, and most of their jobs are to be worked on
ASK_AGAIN = {409, 425, 429}  # another request under the same key is still under way


class Caller:
    """Asks one front end after the other on behalf of one owner; no answer is ``None``."""

    def __init__(self, urls: list[str], rng: random.Random, owner: Owner) -> None:
        self._urls, self._rng = urls, rng
        self._http = requests.Session()
        self._http.headers.update(owner.headers)

    def ask(self, method: str, path: str, **more: Any) -> requests.Response | None:
        url = self._rng.choice(self._urls) + "/api/v1" + path
        try:
            return self._http.request(method, url, timeout=ANSWER_SECONDS, **more)
        except requests.RequestException:
            return None

    def close(self) -> None:
        self._http.close()


class Body:
    """One file in a form, which may take its time, so that much can happen between its beginning and its end."""

    def __init__(self, name: str, path: Path, *, seconds: float, config: dict[str, Any] | None = None) -> None:
        fields: dict[str, Any] = {"config": json.dumps(config)} if config else {}
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
        history: History,
        wants_more: Callable[[], bool],
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self._rng = random.Random(f"{seed}-{number}")
        self._owner, self._caller = owner, Caller(urls, self._rng, owner)
        self._clips, self._history, self._wants_more = clips, history, wants_more
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
        body = Body(f"{key}.mp4", clip, seconds=slowness_seconds, config=None if is_json else config)
        upload: dict[str, Any] = {"data": body, "headers": {"Content-Type": body.content_type}}
        if not is_json:
            job = self._insist("/jobs", key, 202, **upload)
        else:
            video = self._insist("/videos", key, 201, **upload)
            job = video and self._insist("/jobs", key, 202, json={"video_id": video["video_id"], "config": config})
        if job:
            about = {"job_id": job["job_id"], "video_id": job["video_id"], "owner": self._owner.name}
            self._history.add("accepted", key=key, **about, **config)
            if self._rng.random() < CHANCE_OF_CANCEL:
                self._cancels.append((self._history.now() + self._rng.uniform(0, 3), job["job_id"]))

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
