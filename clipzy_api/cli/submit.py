"""`clipzy submit`: uploads files and prints their jobs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.display import accepted, described, print_json, progress, stage_of
from clipzy_api.cli.front_end import InterruptNotice, exit_status_of, front_end
from clipzy_api.cli.video_files import video_files
from clipzy_api.client import Client, ClipzyError, Job, JobFailed, Status, UnusableFile
from clipzy_storage.config.logs import escaped_text

# The answer is about this file; the next one may be accepted.
FILE_PROBLEMS = frozenset({"FILE_TOO_LARGE", "UNSUPPORTED_FORMAT", "TRUNCATED_UPLOAD"})


def submit(names: Sequence[str], *, wait: bool, as_json: bool, **options: Any) -> int:
    """Upload each file as a job; with ``wait`` follow all of them. Returns the status of the first that was not done.

    ``options`` are the ``config``, ``queue`` and ``webhook_url`` of every job.

    Raises:
        click.ClickException: a name leads to no file, or no file can be submitted now.
    """
    statuses: list[int] = []
    with front_end() as (client, notice):
        jobs = []
        for job in _submitted(client, notice, video_files(names), statuses, **options):
            jobs.append(job)
            notice.unfinished += [job.job_id] if wait else []
            if as_json and not wait:
                print_json(job)
            else:
                click.echo(accepted(job), err=as_json)
        for job in jobs if wait else []:
            finished = waited_for(client, job)
            notice.unfinished.remove(job.job_id)
            statuses.append(show_finished(client, finished, as_json=as_json))
    return next(filter(None, statuses), exit_statuses.DONE)


def _submitted(
    client: Client, notice: InterruptNotice, files: Sequence[Path], statuses: list[int], **options: Any
) -> Iterator[Job]:
    """The job of each file. Of several files, one that is refused is reported, and its exit status is added.

    Raises ``ClipzyError`` for what concerns the other files too.
    """
    for file in files:
        notice.sent = file
        try:
            job = upload(client, file, **options)
        except ClipzyError as error:
            if len(files) == 1 or not _is_about_file(error):
                raise
            click.echo(f"clipzy: {escaped_text(str(file))}: {error}", err=True)
            statuses.append(exit_status_of(error))
        else:
            notice.sent = None
            yield job


def _is_about_file(error: ClipzyError) -> bool:
    return isinstance(error, UnusableFile) or error.code in FILE_PROBLEMS or error.field == "file"


def upload(client: Client, file: Path, **options: Any) -> Job:
    """Upload the file as a job with these options, with its progress. Raises ``ClipzyError``."""
    label = f"uploading {escaped_text(file.name)}"
    with progress(label) as show:

        def show_bytes(sent: int, total: int) -> None:
            show(sent * 100 // total, label)

        return client.submit(file, **options, on_progress=show_bytes)


def waited_for(client: Client, job: Job, *, poll_seconds: float | None = None) -> Job:
    """The finished job, whatever its outcome; its progress is shown. Raises ``ClipzyError``."""
    with progress(stage_of(job)) as show:
        try:
            return client.wait(
                job.job_id,
                poll_seconds=poll_seconds,
                on_change=lambda changed: show(changed.progress_percent, stage_of(changed)),
            )
        except JobFailed as failure:
            return failure.job


def show_finished(client: Client, job: Job, *, as_json: bool) -> int:
    """Print a finished job; 0 only if it completed."""
    if as_json:
        print_json(job)
    else:
        click.echo(described(job, absolute=client.absolute))
    return exit_statuses.DONE if job.status is Status.COMPLETED else exit_statuses.JOB_NOT_COMPLETED
