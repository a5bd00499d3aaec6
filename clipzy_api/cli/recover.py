"""`clipzy recover`: takes up every unfinished job after a loss of Redis, as a worker does by itself."""

import click

from clipzy_api.task_queue import Queue
from clipzy_storage.backends import open_storage
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError, QueueUnavailable
from clipzy_storage.guard import members
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.recovery import Recovery


def recover(settings: Settings) -> int:
    """Compare the records in Redis with storage, put right what differs, and say what was done; 1 if one is damaged.

    Raises:
        ConfigurationError: the storage cannot be used, or is not the one that this Redis belongs to.
        QueueUnavailable, StorageUnavailable: broken off; it can be run again.
    """
    storage = open_storage(settings)
    storage_id = storage.prepare()
    pinned = members.pinned_storage_id(settings.redis_url)
    if pinned not in (None, storage_id):
        storage.retract()
        raise ConfigurationError(
            [f"Redis belongs to storage {pinned}, but {storage.place} is {storage_id}. Point both at the same one."]
        )
    jobs = JobStore(settings.redis_url, lease_seconds=settings.job_lease_seconds)
    report = Recovery(jobs, JobAdmin(settings.redis_url), storage).rebuild()
    for word, ids in vars(report).items():
        for job_id in ids:
            click.echo(f"{word:<9}  {job_id}")
    click.echo(f"{storage.place}: {report}")
    _hint(Queue(settings), report.waiting)
    return 1 if report.damaged else 0


def _hint(queue: Queue, waiting: list[str]) -> None:
    try:
        for job_id in waiting:
            queue.publish(job_id)
    except QueueUnavailable:
        click.echo("the broker cannot be reached; the workers find the waiting jobs by themselves within minutes")
