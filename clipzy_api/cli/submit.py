"""`clipzy submit`: uploads a file and prints its job."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clipzy_api.cli.client import FrontEnd, Job
from clipzy_api.cli.upload_form import FileForm


def submit(url: str, file: Path, *, wait: bool, as_json: bool, config: str = "", api_key: str | None = None) -> int:
    """Upload the file and print its job; 0 if the job was accepted, with ``wait`` only if it completed.

    Raises:
        click.ClickException: there is no such file, or the front end refuses it or cannot be reached.
    """
    front_end = FrontEnd(url, api_key=api_key)
    job = upload(front_end, file, config=config)
    if wait:
        job = follow(front_end, job)
    if as_json:
        click.echo(json.dumps(job, ensure_ascii=False, indent=1))
    else:
        click.echo(described(job, absolute=front_end.absolute))
    return 0 if not wait or job["status"] == "completed" else 1


def upload(front_end: FrontEnd, file: Path, *, config: str = "") -> Job:
    """Upload the file with a progress bar; ``config`` is JSON text. Raises ``click.ClickException``."""
    form = FileForm(file, config=config)
    with _bar("uploading", length=form.size_bytes) as bar:
        form.on_sent = bar.update
        return front_end.submit(form)


def follow(front_end: FrontEnd, job: Job, *, pause_seconds: float | None = None) -> Job:
    """Follow the job with a progress bar until it is finished. Raises ``click.ClickException``."""
    with _bar(_stage(job), length=100) as bar:

        def show(changed: Job) -> None:
            bar.label = _stage(changed)
            bar.update(changed["progress_percent"] - bar.pos)

        return front_end.follow(job, on_change=show, pause_seconds=pause_seconds)


def described(job: Job, *, absolute: Callable[[str], str] | None = None) -> str:
    """The job as text, one line for each fact; with a link to its result if ``absolute`` makes links absolute."""
    facts = {name: job[name] for name in ("job_id", "video_id", "filename", "status", "created_at", "finished_at")}
    if job["result"] and absolute:
        facts["result"] = absolute(job["result"]["storage_url"])
    if job["error"]:
        facts["error"] = f"{job['error']['code']}: {job['error']['message']}"
    return "\n".join(f"{name:<12} {value}" for name, value in facts.items() if value is not None)


def _bar(label: str, *, length: int) -> Any:
    return click.progressbar(
        length=length, label=f"{label:<16}", file=sys.stderr, hidden=not sys.stderr.isatty(), show_eta=False
    )


def _stage(job: Job) -> str:
    return f"{job['current_stage'] or job['status']:<16}"
