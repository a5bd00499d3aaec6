"""What a worker works with."""

from collections.abc import Callable
from dataclasses import dataclass

from clipzy_storage.backends.base import Storage
from clipzy_storage.config.settings import Settings
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_worker.processing.lease import LeaseRenewer


@dataclass(frozen=True)
class WorkerContext:
    settings: Settings
    storage: Storage
    storage_id: str
    jobs: JobStore
    upkeep: JobAdmin
    leases: LeaseRenewer
    hint: Callable[[str], None]  # tells the workers that a job waits; where that fails the reaper does it later
