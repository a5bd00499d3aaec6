"""Completes the day index: lists it and the done records, and corrects what differs, both ways.

That is how done records of versions without an index are indexed once, and how entries go that an interrupted deletion
left. Only done records without an entry are read. May be interrupted and repeated.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage
from clipzy_storage.errors import NotFound, StorageError, StorageUnavailable
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.maintenance.retention_rules import DAY_SECONDS

READERS = 8
"""Records read at the same time: reading one from a bucket takes long."""

log = structlog.stdlib.get_logger(__name__)


def for_each(ids: Iterable[str], do: Callable[[str], object]) -> None:
    """Call ``do`` with each id in order, several at the same time. Raises what it raises."""
    with ThreadPoolExecutor(READERS, "records") as pool:
        for _ in pool.map(do, sorted(ids)):
            pass


def repair_index(storage: Storage) -> int:
    """Returns how many done records were indexed. A damaged one is logged and left. Raises ``StorageUnavailable``."""
    entries = {str(keys.id_in(blob.key)): blob for blob in day_index.entries(storage)}
    done = set(durable_records.done_job_ids(storage))  # last, so that no job that finishes meanwhile looks deleted
    missing = done - entries.keys()
    for_each(missing, lambda job_id: _index(storage, job_id))
    for job_id in entries.keys() - done:
        _remove_if_stale(storage, job_id, entries[job_id])
    day_index.set_complete(storage)
    if missing:
        log.info("index.completed", count=len(missing))
    return len(missing)


def _index(storage: Storage, job_id: str) -> None:
    try:
        day_index.add(storage, durable_records.read_done(storage, job_id))
    except StorageUnavailable:
        raise
    except NotFound:
        return  # it was deleted meanwhile
    except StorageError as error:
        log.warning("index.skipped", job_id=job_id, reason=str(error))


def _remove_if_stale(storage: Storage, job_id: str, entry: BlobInfo) -> None:
    if entry.age_seconds < DAY_SECONDS:
        return
    if not any(storage.exists(key) for key in (keys.open_job(job_id), keys.done_job(job_id))):
        storage.delete(entry.key)
