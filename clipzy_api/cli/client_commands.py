"""The commands that are clients of a front end: their arguments. What they do is imported when they are called."""

from pathlib import Path
from typing import Any

import click

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON only.")
_job = click.argument("job_id", metavar="JOB")
EXPORT_FORMATS = click.Choice(["otio", "edl", "fcpxml", "fcp7", "csv", "vtt", "ffmetadata"])
_STATUSES = click.Choice(["queued", "processing", "completed", "failed", "cancelled"])


def _config(_context: click.Context, _option: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """A JSON object, or the content of a file with one. Raises ``click.BadParameter``."""
    if value is None:
        return None
    from pydantic_core import from_json

    is_file = not value.lstrip().startswith("{")
    try:
        config = from_json(Path(value).read_bytes() if is_file else value, allow_inf_nan=False)
    except OSError as error:
        raise click.BadParameter(
            f"{value} cannot be read: {error.strerror}. Name a file, or write JSON: {{…}}."
        ) from error
    except ValueError as error:
        raise click.BadParameter(f"{value if is_file else 'it'} is no JSON: {error}.") from error
    if not isinstance(config, dict):
        raise click.BadParameter(f"{value} has no JSON object.")
    return config


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--wait", is_flag=True, help="Wait until the jobs are finished; exit with 0 only if all completed.")
@click.option(
    "--config",
    metavar="FILE|JSON",
    type=click.Path(),
    callback=_config,
    help="The jobs' config as JSON, or a file with it; docs/api.md describes it.",
)
@click.option(
    "--queue",
    type=click.Choice(["interactive", "batch"]),
    default="interactive",
    show_default=True,
    help="batch for jobs that may wait.",
)
@click.option("--webhook-url", metavar="URL", help="Where the end of each job is announced.")
@_json
def submit(files: tuple[str, ...], wait: bool, as_json: bool, **options: Any) -> int:
    """Upload files, each as a job, and print the ids.

    FILE is a file, a directory, whose videos are sent at any depth, or a pattern such as 'day-*/**/*.mov'. They are
    uploaded to the front end at CLIPZY_URL.
    """
    from clipzy_api.cli.submit import submit

    return submit(files, wait=wait, as_json=as_json, **options)


@click.command("list")
@click.option("--status", type=_STATUSES, help="Only jobs with this status.")
@click.option("--page", default=1, show_default=True, type=click.IntRange(1), help="Which page, the newest first.")
@click.option("--page-size", default=20, show_default=True, type=click.IntRange(1, 100), help="Jobs of one page.")
@click.option("--all", "is_all", is_flag=True, help="All pages; with --json one line for each job.")
@_json
def list_jobs(status: str | None, page: int, page_size: int, is_all: bool, as_json: bool) -> int:
    """List jobs, newest first."""
    from clipzy_api.cli.jobs import list_jobs

    return list_jobs(status=status, page=page, page_size=page_size, is_all=is_all, as_json=as_json)


@click.command()
@_job
@_json
def status(job_id: str, as_json: bool) -> int:
    """Show a job."""
    from clipzy_api.cli.jobs import show_status

    return show_status(job_id, as_json=as_json)


@click.command()
@_job
@click.option("--json", "as_json", is_flag=True, help="Print JSON only, one line for each event.")
def watch(job_id: str, as_json: bool) -> int:
    """Follow a job until it is finished.

    Exits with 0 only if it completed.
    """
    from clipzy_api.cli.jobs import watch

    return watch(job_id, as_json=as_json)


@click.command()
@_job
@click.option("--json", "as_json", is_flag=True, help="Print the whole output.json.")
def result(job_id: str, as_json: bool) -> int:
    """Show what a completed job has found."""
    from clipzy_api.cli.results import show_result

    return show_result(job_id, as_json=as_json)


@click.command()
@_job
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--to",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The directory to write to.  [default: ./JOB]",
)
@click.option("--force", "overwrite", is_flag=True, help="Replace other files of the same names.")
@_json
def download(job_id: str, names: tuple[str, ...], directory: Path | None, overwrite: bool, as_json: bool) -> int:
    """Download the files of a result.

    NAME is a file of the result, such as poster.jpg; without one all are fetched. Each appears complete and checked.
    What is there already is not fetched again, and a broken download is continued.
    """
    from clipzy_api.cli.results import download

    return download(job_id, names, directory, overwrite=overwrite, as_json=as_json)


@click.command()
@_job
@_json
def cancel(job_id: str, as_json: bool) -> int:
    """Cancel a job that is not finished."""
    from clipzy_api.cli.jobs import cancel

    return cancel(job_id, as_json=as_json)


@click.command()
@_job
@_json
def retry(job_id: str, as_json: bool) -> int:
    """Submit a failed or cancelled job anew.

    The id of the new job is printed.
    """
    from clipzy_api.cli.jobs import retry

    return retry(job_id, as_json=as_json)


@click.command()
@click.argument("some_id", metavar="JOB|VIDEO")
@_json
def delete(some_id: str, as_json: bool) -> int:
    """Delete a finished job with its result, or a video.

    The video of a deleted job stays; the results of a deleted video stay.
    """
    from clipzy_api.cli.jobs import delete

    return delete(some_id, as_json=as_json)


@click.command()
@_job
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: JOB.svg]")
@_json
def plot(job_id: str, output: Path | None, as_json: bool) -> int:
    """Draw the timeline of a completed job.

    The SVG image shows shots, motion, loudness, speech and beats.
    """
    from clipzy_api.cli.plot import plot

    return plot(job_id, output, as_json=as_json)


@click.command()
@_job
@click.argument("format_name", metavar="FORMAT", type=EXPORT_FORMATS)
@click.option("--of", type=click.Choice(["shots", "clips"]), default="shots", show_default=True, help="What to export.")
@click.option("--media", metavar="NAME", help="The video's name, path or URL there.  [default: that of the upload]")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: print it]")
@_json
def export(job_id: str, format_name: str, of: str, media: str | None, output: Path | None, as_json: bool) -> int:
    """Export shots or clips for editing programs.

    FORMAT is otio, edl, fcpxml or fcp7 for editing programs, csv for spreadsheets, vtt or ffmetadata for chapters.
    """
    from clipzy_api.cli.export import export

    return export(job_id, format_name, of=of, media=media, path=output, as_json=as_json)


@click.command()
@_json
def fleet(as_json: bool) -> int:
    """Show the workers, what each runs, and what waits."""
    from clipzy_api.cli.fleet import show_fleet

    return show_fleet(as_json=as_json)


COMMANDS = (submit, list_jobs, status, watch, result, download, cancel, retry, delete, plot, export, fleet)
