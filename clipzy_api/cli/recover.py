"""`clipzy recover`: returns every unfinished job to the queue after a loss of Redis, as workers do by themselves."""

import json

import click

from clipzy_api.task_queue import TaskQueue
from clipzy_storage import keys, redis_check
from clipzy_storage.backends import open_storage
from clipzy_storage.backends.base import StorageBackend, read_bytes
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError, QueueUnavailable, StorageError
from clipzy_storage.guard import members
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.index_repair import repair_index
from clipzy_storage.maintenance.recovery import Recovery, Report
from clipzy_storage.redis_client import RedisDatabase


def recover(settings: Settings, *, as_json: bool) -> int:
    """Compare the records in Redis with storage, correct Redis, and print what was done; 1 if a record is damaged.

    Raises:
        ConfigurationError: Redis or storage cannot be used, or this Redis belongs to another storage. Nothing is left
            of what was created here.
        QueueUnavailable, StorageUnavailable: Redis or storage is unavailable, or was lost; it can be run again.
    """
    _check_redis(settings)
    storage = open_storage(settings)
    storage_id = _prepared(storage)
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
    if as_json:
        click.echo(json.dumps({"storage": storage.location, **{word: list(ids) for word, ids in vars(report).items()}}))
    else:
        _show(report, storage.location)
    queue = TaskQueue(settings, storage_id=lambda: storage_id)
    if not all(queue.notify_workers(job_id, name) for job_id, name in report.waiting.items()):
        click.echo(
            "the broker is unavailable; the workers find the waiting jobs by themselves within minutes", err=True
        )
    return 1 if report.damaged else 0


def _show(report: Report, location: str) -> None:
    for word, ids in vars(report).items():
        for job_id in ids:
            click.echo(f"{word:<9}  {job_id}")
    click.echo(f"{location}: {report}")


def _check_redis(settings: Settings) -> None:
    """The broker may be unavailable, which delays jobs and loses none."""
    if error := redis_check.check_settings(settings).get("REDIS_URL"):
        way = redis_check.way_to_a_redis(settings, "REDIS_URL")
        raise QueueUnavailable(f"{settings.redis_url}: {error}. {way}", certain=error.certain)


def _prepared(storage: StorageBackend) -> str:
    """The id of the storage, which is there already: an empty one would have nothing to recover from."""
    is_new = not _has_identity(storage)
    storage_id = storage.prepare()
    if is_new:
        storage.retract()
        raise ConfigurationError(
            [
                f"{storage.location} has no {keys.STORAGE_ID}, so no Clipzy has used it and there is nothing to"
                " recover. Configure the storage that holds the jobs."
            ]
        )
    return storage_id


def _has_identity(storage: StorageBackend) -> bool:
    try:
        return bool(read_bytes(storage, keys.STORAGE_ID))
    except StorageError:  # of another kind than a missing file or directory: then it is met again
        return False
