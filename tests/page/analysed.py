"""Completed jobs of a real worker, which runs for as long as that takes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from clipzy_storage.log_events import WORKER_READY
from tests.support.processes import CLIPZY, Process, environment
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually

DEMO = Path(__file__).parents[2] / "demo/demo.mp4"


@contextmanager
def running_worker(front_end: FrontEnd, directory: Path, **settings: str) -> Iterator[None]:
    """On the Redis of the front end and, unless ``settings`` say otherwise, its storage."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = {
        "LOCAL_STORAGE_PATH": str(front_end.root),
        "CLIPZY_DATA_DIR": str(directory / "data"),
        "REDIS_URL": front_end.redis_url,
    } | settings
    worker = Process([*CLIPZY, "worker"], cwd=directory, env=environment(**settings), log=directory / "worker.log")
    try:
        worker.wait_for_log(WORKER_READY)
        yield
    finally:
        worker.stop()


def analysed(front_end: FrontEnd, video: Path, config: dict[str, Any] | None = None) -> dict[str, Any]:
    """The job on this video, once a worker has completed it."""
    with video.open("rb") as file:
        form = {"config": json.dumps(config or {})}
        submitted = requests.post(front_end.api + "/jobs", form, files={"file": (video.name, file)}, timeout=60)
    assert submitted.status_code == 202, submitted.text
    path = f"/api/v1/jobs/{submitted.json()['job_id']}"
    job: dict[str, Any] = eventually(lambda: (job := front_end.get(path).json())["result"] and job, "a result")
    return job


def analysed_demo(front_end: FrontEnd, directory: Path, **settings: str) -> dict[str, Any]:
    with running_worker(front_end, directory, **settings):
        return analysed(front_end, DEMO)
