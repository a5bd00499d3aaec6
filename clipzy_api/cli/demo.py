"""`clipzy demo`: one real video through the whole service, in a folder of its own."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from clipzy_api.cli.client import FrontEnd, Job
from clipzy_api.cli.submit import described, follow, upload
from clipzy_api.cli.supervisor import Child
from clipzy_storage import keys
from clipzy_storage.config import settings

READY_SECONDS = 120
LOOK_EVERY_SECONDS = 0.1  # it is our own front end, and there is something to see
STOP_SECONDS = 100
DEFAULT_VIDEO = Path(__file__).parents[2] / "demo" / "demo.mp4"
_READY = re.compile(r"^Clipzy is ready at (\S+)$", re.MULTILINE)


def demo(video: Path | None) -> int:
    """Start everything, run one job, show what came of it, stop everything; 0 when the job completed.

    Raises:
        click.ClickException: the video cannot be sent, or the service does not start.
    """
    folder = Path.cwd() / ".demo"
    video = video or DEFAULT_VIDEO
    if not video.is_file():
        raise click.ClickException(f"{video} is not a file. Name a video: clipzy demo VIDEO.")
    click.echo(f"Starting a front end, a worker and a Redis in {folder}")
    with service(folder) as url:
        click.echo(f"Clipzy is ready at {url}")
        front_end = FrontEnd(url)
        job = _followed(front_end, upload(front_end, video, config=json.dumps({"reuse": False})))
    click.echo(f"\n{described(job)}\n")
    if job["status"] != "completed":
        click.echo(f"The log is in {folder / 'up.log'}.", err=True)
        return 1
    _show_result(folder / "storage", job)
    return 0


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """`clipzy up` in a folder of its own, by its URL. Stopped at the end, however that comes.

    Raises:
        click.ClickException: it does not get ready; the message holds what it said.
    """
    folder.mkdir(exist_ok=True)
    log = folder / "up.log"
    log.write_bytes(b"")
    command = [sys.executable, "-m", "clipzy_api.cli", "up", "--port", "0"]
    child = Child("clipzy up", command, env=demo_environment(folder), output=log)
    child.start()
    try:
        yield _ready_url(child, log)
    finally:
        child.stop(grace_seconds=STOP_SECONDS)


def demo_environment(folder: Path) -> dict[str, str]:
    """The environment for a demo: no setting of the user's counts, be it in the environment or in ``.env``."""
    unset = dict.fromkeys(settings.names(), "")
    own = {"CLIPZY_DATA_DIR": str(folder / "data"), "LOCAL_STORAGE_PATH": str(folder / "storage")}
    return {**os.environ, **unset, **own, "PYTHONUNBUFFERED": "1"}


def _followed(front_end: FrontEnd, job: Job) -> Job:
    """The job at its end, with progress shown: as a bar, or line by line where there is no terminal for one."""
    if sys.stderr.isatty():
        return follow(front_end, job, pause_seconds=LOOK_EVERY_SECONDS)
    return front_end.follow(job, on_change=_show_progress, pause_seconds=LOOK_EVERY_SECONDS)


def _show_progress(job: Job) -> None:
    click.echo(f"{job['progress_percent']:>3} %  {job['current_stage'] or job['status']}")


def _ready_url(child: Child, log: Path) -> str:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        ended = child.wait(0.1)
        said = log.read_text(errors="replace")
        if ready := _READY.search(said):
            return ready[1]
        if ended or time.monotonic() > deadline:
            raise click.ClickException(f"the service did not start. {log} says:\n{said[-4000:]}")


def _show_result(storage_path: Path, job: Job) -> None:
    index = storage_path / keys.result_index(job["job_id"])
    output = json.loads(index.read_text())
    click.echo("shot    from (s)    to (s)  begins with")
    for shot in output["shots"]:
        click.echo(_row(shot))
    click.echo(f"\noutput.json  {index}")
    for artifact in output["artifacts"]:
        if artifact["kind"] == "poster":
            click.echo(f"poster       {storage_path / artifact['key']}")


def _row(shot: dict[str, Any]) -> str:
    times = f"{shot['start_seconds']:>10.2f}{shot['end_seconds']:>10.2f}"
    return f"{shot['index']:>4}  {times}  {shot['transition']}"
