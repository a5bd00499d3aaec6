"""Deletes what will be deleted within two days because of its age, so that only what is never deleted is left."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from clipzy_storage.backends.base import BlobInfo, StorageBackend
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing import scratch
from tests.chaos.deployment import Deployment

TWO_DAYS_SECONDS = 48 * 3600.0


class Aged:
    """A storage as its listings will be in two days."""

    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def list(self, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
        for blob in self._storage.list(prefix, after=after):
            yield replace(blob, age_seconds=blob.age_seconds + TWO_DAYS_SECONDS)


def clear(deployment: Deployment) -> dict[str, int]:
    """Do what the janitor and the reaper do periodically; returns how many things of each kind were deleted."""
    storage = deployment.store.storage
    settings = settings_from_env(deployment.store.settings)
    admin = JobAdmin(RedisDatabase(deployment.redis.url))
    removed = {kind.value: count for kind, count in GarbageCollector(aged(storage), admin, settings).sweep().items()}
    removed["unfinished"] = storage.sweep_incomplete(0)  # no process writes any more
    removed["scratch"] = sum(scratch.sweep(worker.scratch) for worker in deployment.workers)
    return removed


def aged(storage: StorageBackend) -> StorageBackend:
    return cast(StorageBackend, Aged(storage))
