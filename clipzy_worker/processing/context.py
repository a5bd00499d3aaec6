"""The parts that a worker processes jobs with."""

from collections.abc import Callable
from dataclasses import dataclass

from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.config.settings import Settings
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import NotifyWorkers
from clipzy_worker.processing.lease import LeaseRenewer


@dataclass(frozen=True)
class WorkerContext:
    """What every attempt in this process uses."""

    settings: Settings
    storage: StorageBackend
    storage_id: str
    store: JobStore
    admin: JobAdmin
    leases: LeaseRenewer
    notify_workers: NotifyWorkers
    flush_metrics: Callable[[], None] = lambda: None
    """Sends what this process has counted, before it exits. Raises nothing."""
