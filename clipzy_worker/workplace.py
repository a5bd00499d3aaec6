"""What a worker works with."""

from collections.abc import Callable
from dataclasses import dataclass

from clipzy_storage.base import Storage
from clipzy_storage.job_upkeep import JobUpkeep
from clipzy_storage.jobs import JobStore
from clipzy_storage.settings import Settings
from clipzy_worker.lease import LeaseKeeper


@dataclass(frozen=True)
class Workplace:
    settings: Settings
    storage: Storage
    storage_id: str
    jobs: JobStore
    upkeep: JobUpkeep
    leases: LeaseKeeper
    hint: Callable[[str], None]  # tells the workers that a job waits; where that fails the reaper does it later
