"""`clipzy fleet`."""

import click

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.display import print_json, table
from clipzy_api.cli.front_end import front_end
from clipzy_api.client import Fleet

_WORKERS = ("WORKER", "SLOTS", "QUEUES", "JOB", "STAGE", "PROGRESS", "FOR")
_QUEUES = ("QUEUE", "JOBS", "OLDEST", "SIZE")
_HIDDEN = "(another owner's)"
_SIZES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_TIMES = (("d", 86400), ("h", 3600), ("min", 60))


def show_fleet(*, as_json: bool) -> int:
    """Print the workers, what each runs, and what waits. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        fleet = client.fleet()
    if as_json:
        print_json(fleet)
    else:
        click.echo("\n\n".join((_workers(fleet), _waiting(fleet), _estimate(fleet))))
    return exit_statuses.DONE


def _workers(fleet: Fleet) -> str:
    """One line for each job, and for each worker that has none."""
    rows = []
    for worker in fleet.workers:
        about = (worker.name, f"{len(worker.running)}/{worker.slots}", ",".join(worker.queues))
        for job in worker.running:
            progress, since = f"{job.progress_percent:>6} %", _duration(job.running_seconds)
            rows.append((*about, job.job_id or _HIDDEN, job.current_stage or "", progress, since))
            about = ("", "", "")
        if not worker.running:
            rows.append((*about, "idle", "", "", ""))
    return table(_WORKERS, rows) if rows else "There is no worker."


def _waiting(fleet: Fleet) -> str:
    rows = []
    for one in fleet.queues:
        oldest = "" if one.oldest_seconds is None else _duration(one.oldest_seconds)
        rows.append((one.queue.value, str(one.jobs), oldest, _size(one.size_bytes)))
    others = {"delayed after an error": fleet.delayed_jobs, "parked by an owner's limit": fleet.parked_jobs}
    return "\n".join([table(_QUEUES, rows), *(f"{jobs} {why}" for why, jobs in others.items() if jobs)])


def _estimate(fleet: Fleet) -> str:
    seconds = fleet.estimated_seconds_to_empty
    return f"Estimated time until all is done: {'unknown' if seconds is None else _duration(seconds)}"


def _size(size_bytes: int) -> str:
    for unit, unit_bytes in _SIZES:
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.1f} {unit}"
    return f"{size_bytes} B"


def _duration(seconds: float) -> str:
    for unit, unit_seconds in _TIMES:
        if seconds >= unit_seconds:
            return f"{seconds / unit_seconds:.1f} {unit}"
    return f"{seconds:.0f} s"
