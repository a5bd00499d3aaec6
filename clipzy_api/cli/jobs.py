"""`clipzy list`, `status`, `watch`, `cancel`, `retry` and `delete`."""

import sys

import click

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.display import accepted, described, print_json, progress, stage_of, table
from clipzy_api.cli.front_end import front_end
from clipzy_api.cli.submit import show_finished
from clipzy_api.client import Client, Event, Job, JobPage, Status
from clipzy_storage.models.records import rfc3339

_HEAD = ("JOB", "STATUS", "PROGRESS", "CREATED", "FILE")


def list_jobs(*, status: str | None, page: int, page_size: int, is_all: bool, as_json: bool) -> int:
    """Print one page of jobs, or all of them. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        if is_all and as_json:
            for job in client.jobs(status=status):
                print_json(job)
        elif is_all:
            click.echo(table(_HEAD, [_row(job) for job in client.jobs(status=status)]))
        else:
            _show_page(client.jobs_page(page, status=status, page_size=page_size), as_json=as_json)
    return exit_statuses.DONE


def show_status(job_id: str, *, as_json: bool) -> int:
    """Print the job. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        _show_job(client, client.job(job_id), as_json=as_json)
    return exit_statuses.DONE


def watch(job_id: str, *, as_json: bool) -> int:
    """Print every change of the job until it is finished; 0 only if it completed. Raises ``click.ClickException``."""
    with front_end() as (client, notice):
        job = client.job(job_id)
        notice.unfinished += [] if job.status.is_final else [job_id]
        if as_json:
            last = job.status
            for event in client.events(job_id):
                print_json(event)
                last = event.status
            return exit_statuses.DONE if last is Status.COMPLETED else exit_statuses.JOB_NOT_COMPLETED
        if sys.stdout.isatty():
            with progress(stage_of(job)) as show:
                for event in client.events(job_id):
                    show(event.progress_percent, _shown(event))
        else:
            for event in client.events(job_id):
                click.echo(f"{event.progress_percent:>3} %  {_shown(event)}")
        return show_finished(client, client.job(job_id), as_json=False)


def cancel(job_id: str, *, as_json: bool) -> int:
    """Cancel the job, and print it. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        job = client.cancel(job_id)
        if as_json:
            print_json(job)
        elif job.status is Status.CANCELLED:
            click.echo(f"{job_id} is cancelled.")
        else:
            click.echo(f"{job_id} is being cancelled. See it end with `clipzy watch {job_id}`.")
    return exit_statuses.DONE


def retry(job_id: str, *, as_json: bool) -> int:
    """Submit the job anew, and print the new one. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        job = client.retry(job_id)
        if as_json:
            print_json(job)
        else:
            click.echo(accepted(job))
    return exit_statuses.DONE


def delete(some_id: str, *, as_json: bool) -> int:
    """Delete a job with its result, or a video. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        if some_id.startswith("vid_"):
            client.delete_video(some_id)
        else:
            client.delete(some_id)
    if as_json:
        print_json({"deleted": some_id})
    else:
        click.echo(f"{some_id} is deleted.")
    return exit_statuses.DONE


def _show_job(client: Client, job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        click.echo(described(job, absolute=client.absolute))


def _show_page(page: JobPage, *, as_json: bool) -> None:
    if as_json:
        print_json(page)
        return
    click.echo(table(_HEAD, [_row(job) for job in page.jobs]))
    pages = max(1, -(-page.total // page.page_size))
    if pages > 1:
        click.echo(f"page {page.page} of {pages}, {page.total} jobs", err=True)


def _row(job: Job) -> tuple[str, ...]:
    created_at = rfc3339(job.created_at) or ""
    return (job.job_id, job.status.value, f"{job.progress_percent:>6} %", created_at, job.filename)


def _shown(event: Event) -> str:
    return stage_of(event) + (f" (attempt {event.attempt})" if event.attempt > 1 else "")
