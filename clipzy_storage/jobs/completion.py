"""How a decided end is carried out: published, made durable, then visible; by whoever holds it, and again.

The durable record is written once and decides: where Redis forgot a job that had ended, and it was done again, the
first end stands.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, put_bytes, read_bytes
from clipzy_storage.errors import AlreadyExists, Damaged, NotFound, QueueUnavailable, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.store import JobStore, PendingCompletion
from clipzy_storage.models.output import attempt_folder_of
from clipzy_storage.models.records import ErrorCode, Job, Status

STOPPED_TOO_OFTEN = "workers were stopped too often under this job"
READINGS = 3  # of bytes that a digest is known of: some may have been lost on the way

_PAUSE_SECONDS = 1.0  # between two questions to a Redis that is away

T = TypeVar("T")
log = logging.getLogger(__name__)


class LostResult(Exception):
    """What was committed is not in storage any more, and had not been published."""


def conclude(jobs: JobStore, storage: Storage, decided: PendingCompletion, *, index: bytes | None = None) -> Job | None:
    """Make a decided end durable, then visible. ``index`` is what was committed, if that is at hand.

    Returns the finished job, or ``None`` where another has taken it over. Raises ``StorageError``,
    ``QueueUnavailable``: it can be tried again, and the reaper does.
    """
    job, has_rivals = decided.job, decided.may_have_leftovers
    if job.status is Status.COMPLETED:
        try:
            has_rivals |= not _publish_index(storage, decided, index)
        except LostResult as error:
            log.error("job.result_lost: %s: %s", job.job_id, error)
            jobs.fail(job.job_id, decided.token, ErrorCode.PROCESSING_FAILED, "the result was lost in storage")
            failed = jobs.decided(job.job_id, decided.token)
            return conclude(jobs, storage, failed) if failed else None
        failpoint("published")
    standing = durable_records.write_done_job(storage, job)
    failpoint("done-recorded")
    finished = jobs.finish(standing, decided.token)
    failpoint("finished")
    if finished is not None:
        durable_records.remove_open_job(storage, job.job_id)
        if decided.was_to_be_cancelled:
            durable_records.remove_cancellation_request(storage, job.job_id)
        if has_rivals:
            clear_attempts(storage, standing, decided)
        log.info("job.%s: %s attempt %d", finished.status.value, job.job_id, finished.attempt)
    return finished


def insist(ask: Callable[[], T], *, patience_seconds: float) -> T:
    """Ask Redis until it answers: an end that is ready is worth waiting. Raises ``QueueUnavailable`` after so long."""
    give_up_at = time.monotonic() + patience_seconds
    while True:
        try:
            return ask()
        except QueueUnavailable:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(_PAUSE_SECONDS)


def clear_attempts(storage: Storage, ended: Job, decided: PendingCompletion) -> None:
    """Remove what tries at a finished job have left that did not count. Raises nothing; the janitor looks again."""
    try:
        kept = _counting_folder(storage, decided) if ended.status is Status.COMPLETED else ""
        if kept is None:
            return
        lasting = {keys.expired_result(ended.job_id), keys.result_index(ended.job_id) if kept else ""}
        for blob in list(storage.list(keys.result_prefix(ended.job_id))):
            if blob.key not in lasting and not (kept and blob.key.startswith(kept)):
                storage.delete(blob.key)
    except StorageError as error:
        log.warning("attempts.left_behind: %s (%s)", ended.job_id, error)


def _counting_folder(storage: Storage, decided: PendingCompletion) -> str | None:
    """The folder of the attempt that the published index is from; ``None`` where that cannot be told."""
    index = read_bytes(storage, keys.result_index(decided.job.job_id))
    if hashlib.sha256(index).hexdigest() == decided.result_sha256:
        return decided.attempt_folder
    return attempt_folder_of(decided.job.job_id, index)


def discard_attempt(storage: Storage, prefix: str) -> None:
    """Remove what an attempt that will never count has written."""
    try:
        for blob in list(storage.list(prefix)):
            storage.delete(blob.key)
    except StorageError as error:
        log.warning("attempt.left_behind: %s (%s)", prefix, error)


def _publish_index(storage: Storage, decided: PendingCompletion, index: bytes | None) -> bool:
    """Copy the committed bytes, exactly, to where readers look; false where others are there.

    Where a result has been published before, it stays: Redis had forgotten that the job was finished, and what a
    caller may have seen never changes. Raises ``LostResult`` where the committed bytes are not there.
    """
    key = keys.result_index(decided.job.job_id)
    try:
        put_bytes(storage, key, index or _committed_index(storage, decided), content_type="application/json")
    except AlreadyExists:
        if _intact(storage, key, decided.result_sha256) is None:
            log.warning("job.result_kept: %s was published before", key)
            return False
    return True


def _committed_index(storage: Storage, decided: PendingCompletion) -> bytes:
    if storage.exists(keys.result_index(decided.job.job_id)):
        raise AlreadyExists(keys.result_index(decided.job.job_id))
    path = f"{decided.attempt_folder}output.json"
    index = _intact(storage, path, decided.result_sha256)
    if index is None:
        raise LostResult(f"{path} is gone, or is not what was committed")
    return index


def _intact(storage: Storage, key: str, sha256: str) -> bytes | None:
    """The file, if it is what its digest says; ``None`` also where it is gone."""
    for _ in range(READINGS):
        with suppress(NotFound, Damaged):
            data = read_bytes(storage, key)
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
    return None
