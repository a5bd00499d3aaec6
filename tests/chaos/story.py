"""A history and a storage made by hand: one job that went well, for tests of the checker to spoil."""

import hashlib
from typing import Any

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.models.output import Artifact, Output, Source
from tests.chaos.aftermath import Aftermath
from tests.chaos.checker import Verdict, judge
from tests.chaos.history import Event
from tests.chaos.leftovers import orphans_in
from tests.chaos.results import read_published
from tests.chaos.stores import Store

JOB, OTHER, VIDEO = keys.new_id("job"), keys.new_id("job"), keys.new_id("vid")
PREFIX = keys.attempt_prefix(JOB, 1, "ab" * 8)
FINISHED = {"status": "completed", "progress_percent": 100, "attempt": 1, "finished_at": "then", "error": None}


def event(at: float, what: str, **about: Any) -> Event:
    return {"at": at, "what": what, **about}


def seen(at: float, **about: Any) -> Event:
    return event(at, "seen", job_id=JOB, asked_at=at, **{**FINISHED, **about})


def output(**changes: Any) -> bytes:
    poster = Artifact(
        name="poster.jpg",
        key=PREFIX + "poster.jpg",
        kind="poster",
        content_type="image/jpeg",
        size_bytes=4,
        sha256=hashlib.sha256(b"jpeg").hexdigest(),
    )
    source = Source(
        filename="a.mp4",
        container="mp4",
        size_bytes=1,
        sha256="0" * 64,
        duration_seconds=1,
        width=1,
        height=1,
        frame_rate=25,
        video_codec="h264",
        audio_codec=None,
    )
    about = {"job_id": JOB, "video_id": VIDEO, "attempt": 1, "created_at": "then", "source": source, "shots": []}
    return Output.model_validate({**about, "artifacts": [poster], "timings": {}, **changes}).to_json()


class Story:
    """One job, submitted under the key ``a``, that was completed; to be spoilt before it is judged."""

    def __init__(self, storage: LocalStorage) -> None:
        self.storage = storage
        self.events = [
            event(1.0, "asked", key="a", path="/jobs"),
            event(1.1, "answered", key="a", path="/jobs", status=None),
            event(1.2, "asked", key="a", path="/jobs"),
            event(1.3, "accepted", key="a", job_id=JOB, reuse=False, webhook=True),
            seen(2.0, status="processing", progress_percent=50, finished_at=None),
            seen(3.0),
            event(3.0, "announced", job_id=JOB, status="completed"),
            event(3.0, "result", job_id=JOB, sha256=hashlib.sha256(output()).hexdigest(), problems=[]),
        ]
        self.jobs: dict[str, dict[str, Any]] = {JOB: FINISHED | {"filename": "a.mp4"}}
        self.done = {JOB: "completed"}
        self.put(keys.result_index(JOB), output())
        self.put(PREFIX + "output.json", output())
        self.put(PREFIX + "poster.jpg", b"jpeg")

    def put(self, key: str, data: bytes) -> None:
        self.storage.delete(key)
        put_bytes(self.storage, key, data, content_type="application/octet-stream")

    def judged(self, **options: bool) -> Verdict:
        results = {job_id: read_published(self.storage, job_id) for job_id in self.jobs}
        store = Store({"LOCAL_STORAGE_PATH": self.storage.location}, self.storage)
        return judge(self.events, Aftermath(self.jobs, results, self.done, orphans_in(store, results)), **options)
