"""The segments of rendered videos that unfinished jobs keep in storage, so that a lost worker loses little work."""

from collections.abc import Iterator
from itertools import groupby

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage
from clipzy_storage.errors import StorageError
from clipzy_storage.models.records import Job

log = structlog.stdlib.get_logger(__name__)


def stored_segments(storage: Storage, prefix: str) -> Iterator[tuple[keys.StoredSegment, BlobInfo]]:
    """Those under ``keys.SEGMENTS``, or under the prefix of one job, in order. Raises ``StorageUnavailable``."""
    return ((segment, blob) for blob in storage.list(prefix) if (segment := keys.segment_in(blob.key)))


def segments_by_job(storage: Storage) -> Iterator[tuple[str, tuple[BlobInfo, ...]]]:
    """Every job that has any, with them. Raises ``StorageUnavailable``."""
    for job_id, found in groupby(stored_segments(storage, keys.SEGMENTS), key=lambda pair: pair[0].job_id):
        yield job_id, tuple(blob for _, blob in found)


def are_needed(storage: Storage, job_id: str) -> bool:
    """Whether an attempt may still use them, or the end of the job will delete them. Raises ``StorageUnavailable``."""
    return storage.exists(keys.open_job(job_id))


def remove_segments(storage: Storage, finished: Job) -> bool:
    """Delete those of a job that has ended; false if some stay. Raises nothing."""
    if finished.config.get("render") is None:  # spares every other job a listing
        return True
    try:
        for _, blob in list(stored_segments(storage, keys.segments(finished.job_id))):
            storage.delete(blob.key)
    except StorageError as error:
        log.warning("job.segments_left_behind", reason=str(error))
        return False
    return True
