"""`clipzy demo`: one real video through the whole service, in a directory of its own."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from clipzy_api.cli.display import described, stage_of
from clipzy_api.cli.submit import upload, waited_for
from clipzy_api.cli.supervisor import Child
from clipzy_api.client import Client, ClipzyError, Job, JobFailed, Status
from clipzy_storage import keys
from clipzy_storage.config import settings
from clipzy_storage.models.output import Output

READY_TIMEOUT_SECONDS = 120
# More often than the front end asks for, so that a person sees the progress.
POLL_SECONDS = 0.1
STOP_TIMEOUT_SECONDS = 100
SHOWN_CHARACTERS = 4000
DEFAULT_VIDEO = Path(__file__).with_name("demo.mp4")
_READY = re.compile(r"^Clipzy is ready at (\S+) ", re.MULTILINE)


def demo(video: Path | None) -> int:
    """Start everything, run one job, show its result, stop everything; 0 if the job completed.

    Raises:
        click.ClickException: the video cannot be sent, or the service does not start.
    """
    directory = Path.cwd() / ".demo"
    video = video or DEFAULT_VIDEO
    if not video.is_file():
        raise click.ClickException(f"{video} is not a file. Name a video: clipzy demo VIDEO.")
    click.echo(f"Starting a front end, a worker and a Redis in {directory}")
    with service(directory) as url:
        click.echo(f"Clipzy is ready at {url}")
        job = _run(url, video)
    click.echo(f"\n{described(job)}\n")
    if job.status is not Status.COMPLETED:
        click.echo(f"The log is in {directory / 'up.log'}.", err=True)
        return 1
    _show_result(directory / "storage", job)
    return 0


@contextmanager
def service(directory: Path) -> Iterator[str]:
    """`clipzy up` in a directory of its own, as its URL. Always stopped at the end of the ``with`` block.

    Raises:
        click.ClickException: the directory cannot be used, or it does not become ready; then with its output.
    """
    log = directory / "up.log"
    try:
        directory.mkdir(exist_ok=True)
        log.write_bytes(b"")
    except OSError as error:
        raise click.ClickException(
            f"{directory} cannot be used: {error.strerror}. Run it in a directory that you can write to."
        ) from error
    command = [sys.executable, "-P", "-m", "clipzy_api.cli", "up", "--port", "0"]
    child = Child("clipzy up", command, env=demo_environment(directory), output=log)
    child.start()
    try:
        yield _ready_url(child, log)
    finally:
        child.stop(grace_seconds=STOP_TIMEOUT_SECONDS)


def demo_environment(directory: Path) -> dict[str, str]:
    """The environment of a demo, in which the settings of the environment and of ``.env`` have no effect."""
    defaults = dict.fromkeys(settings.names(), "")
    changed = {"CLIPZY_DATA_DIR": str(directory / "data"), "LOCAL_STORAGE_PATH": str(directory / "storage")}
    return {**os.environ, **defaults, **changed, "PYTHONUNBUFFERED": "1"}


def _run(url: str, video: Path) -> Job:
    """The finished job over the video. Raises ``click.ClickException``."""
    try:
        with Client(url) as client:
            return _followed(client, upload(client, video, config={"reuse": False}))
    except ClipzyError as error:
        raise click.ClickException(str(error)) from error


def _followed(client: Client, job: Job) -> Job:
    """The finished job; its progress is shown as a bar, or line by line if there is no terminal."""
    if sys.stderr.isatty():
        return waited_for(client, job, poll_seconds=POLL_SECONDS)
    try:
        return client.wait(job.job_id, on_change=_show_progress, poll_seconds=POLL_SECONDS)
    except JobFailed as failure:
        return failure.job


def _show_progress(job: Job) -> None:
    click.echo(f"{job.progress_percent:>3} %  {stage_of(job)}")


def _ready_url(child: Child, log: Path) -> str:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while True:
        has_exited = child.wait(0.1)
        output = log.read_text(errors="replace")
        if ready := _READY.search(output):
            return ready[1]
        if has_exited or time.monotonic() > deadline:
            click.echo(output[-SHOWN_CHARACTERS:], err=True)
            raise click.ClickException(f"the service did not start. Above is the end of {log}.")


def _show_result(storage_path: Path, job: Job) -> None:
    index = storage_path / keys.result_index(job.job_id)
    output = Output.model_validate_json(index.read_bytes())
    click.echo("shot    from (s)    to (s)  begins with")
    for shot in output.shots:
        click.echo(f"{shot.index:>4}  {shot.start_seconds:>10.2f}{shot.end_seconds:>10.2f}  {shot.transition}")
    click.echo(f"\noutput.json  {index}")
    for artifact in output.artifacts:
        if artifact.kind == "poster":
            click.echo(f"poster       {storage_path / artifact.key}")
