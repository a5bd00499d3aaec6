"""`clipzy recover`: returns every unfinished job to the queue after a loss of Redis, as workers do by themselves."""

import click

from clipzy_api.task_queue import TaskQueue
from clipzy_storage.backends import open_storage
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.guard import members
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.index_repair import repair_index
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.redis_client import RedisDatabase


def recover(settings: Settings) -> int:
    """Compare the records in Redis with storage, correct Redis, and print what was done; 1 if a record is damaged.

    Raises:
        ConfigurationError: the storage cannot be used, or this Redis belongs to another.
        QueueUnavailable, StorageUnavailable: it was interrupted, and can be run again.
    """
    storage = open_storage(settings)
    storage_id = storage.prepare()
    redis = RedisDatabase(settings.redis_url)
    pinned = members.pinned_storage_id(redis)
    if pinned not in (None, storage_id):
        storage.retract()
        raise ConfigurationError(
            [
                f"Redis belongs to storage {pinned}, but {storage.location} is {storage_id}."
                " Configure the storage that this Redis belongs to."
            ]
        )
    repair_index(storage)
    store = JobStore(redis, lease_seconds=settings.job_lease_seconds)
    report = Recovery(store, JobAdmin(redis), storage).rebuild()
    for word, ids in vars(report).items():
        for job_id in ids:
            click.echo(f"{word:<9}  {job_id}")
    click.echo(f"{storage.location}: {report}")
    queue = TaskQueue(settings, storage_id=lambda: storage_id)
    if not all(map(queue.notify_workers, report.waiting)):
        click.echo("the broker is unavailable; the workers find the waiting jobs by themselves within minutes")
    return 1 if report.damaged else 0
