"""Returns parked jobs to their queues: those that waited since their owner had as many running jobs as it may."""

import structlog

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import NotifyWorkers

log = structlog.stdlib.get_logger(__name__)


def unpark(store: JobStore, owner: str, notify_workers: NotifyWorkers) -> None:
    """Return as many of the owner's jobs as may run now, and notify workers of them. Raises ``QueueUnavailable``."""
    for job_id, queue in store.unpark(owner):
        notify_workers(job_id, queue)


def unpark_after_end(store: JobStore, owner: str, notify_workers: NotifyWorkers) -> None:
    """The same once an attempt has ended. Raises nothing: what fails here the reaper does at its next pass."""
    if store.limits.running_jobs is None:
        return
    try:
        unpark(store, owner, notify_workers)
    except QueueUnavailable as error:
        log.warning("job.others_left_parked", reason=str(error))
