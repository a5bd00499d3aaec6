"""Completes a job whose outcome is fixed: publishes its result, makes the outcome durable, then visible.

Done by whichever process holds the job, and by another if that one is lost; so every step may be repeated. The durable
record is written once and decides: if Redis forgot a finished job and it ran again, its first outcome stands.
"""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, list_own, put_bytes, read_bytes
from clipzy_storage.errors import AlreadyExists, Damaged, LostJob, NotFound, QueueUnavailable, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.segments import remove_segments
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import PendingCompletion
from clipzy_storage.log_events import JOB_CANCELLED, JOB_COMPLETED, JOB_FAILED
from clipzy_storage.models.output import attempt_prefix_of, bytes_listed
from clipzy_storage.models.records import ErrorCode, Job, JobError, Status

READ_ATTEMPTS = 3
_RETRY_PAUSE_SECONDS = 1.0

T = TypeVar("T")
log = structlog.stdlib.get_logger(__name__)


class LostResult(Exception):
    """What was committed is no longer in storage and had not been published."""


def complete_job(store: JobStore, storage: Storage, job_id: str, token: str) -> Job | None:
    """Complete the job that ``token`` holds, if its outcome is fixed.

    Returns the finished job; None if there is nothing to complete or another process does it.

    Raises ``StorageError`` or ``QueueUnavailable``: it can be tried again, and the reaper does.
    """
    pending = store.pending_completion(job_id, token)
    return complete(store, storage, pending) if pending else None


def complete(store: JobStore, storage: Storage, pending: PendingCompletion, *, index: bytes = b"") -> Job | None:
    """The same for a pending completion at hand. ``index`` is what was committed, if that is at hand too."""
    with about_job(pending.job):
        return _complete(store, storage, pending, index)


def _complete(store: JobStore, storage: Storage, pending: PendingCompletion, index: bytes) -> Job | None:
    job, clear_others = pending.job, pending.may_have_other_attempts
    if job.status is Status.COMPLETED:
        try:
            clear_others |= not _publish_index(storage, pending, index)
        except LostResult as error:
            return _fail_lost_result(store, storage, pending, error)
        failpoint("published")
    # Of a job that failed or was cancelled the URL is kept, for a retry.
    standing = durable_records.write_done_job(storage, job.without_url() if job.status is Status.COMPLETED else job)
    result_bytes = _result_bytes(storage, standing, index)
    failpoint("done-recorded")
    finished = store.finish(standing, pending.token, result_bytes=result_bytes)
    failpoint("finished")
    if finished is not None:
        _clean_up(storage, standing, pending, clear_others=clear_others)
        _log_outcome(finished)
    return finished


def retry_while_unavailable(call: Callable[[], T], *, timeout_seconds: float) -> T:
    """Repeat ``call`` while Redis is unavailable. Raises ``QueueUnavailable`` after ``timeout_seconds``."""
    give_up_at = time.monotonic() + timeout_seconds
    while True:
        try:
            return call()
        except QueueUnavailable:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(_RETRY_PAUSE_SECONDS)


def _clean_up(storage: Storage, finished: Job, pending: PendingCompletion, *, clear_others: bool) -> None:
    """The open record goes last: as long as it is there, the garbage collector's hourly pass finds the rest."""
    if clear_others and not clear_attempts(storage, finished, pending):
        return
    if not remove_segments(storage, finished):
        return
    if pending.cancellation_requested:
        durable_records.remove_cancellation_request(storage, finished.job_id)
    durable_records.remove_open_job(storage, finished.job_id)


def clear_attempts(storage: Storage, finished: Job, pending: PendingCompletion) -> bool:
    """Delete the files of attempts that do not count; false if some stay. Raises nothing."""
    try:
        kept = _counting_prefix(storage, pending) if finished.status is Status.COMPLETED else ""
        if kept is None:
            return True
        lasting = {keys.expired_result(finished.job_id), keys.result_index(finished.job_id) if kept else ""}
        for blob in list(list_own(storage, keys.result_prefix(finished.job_id))):
            if blob.key not in lasting and not (kept and blob.key.startswith(kept)):
                storage.delete(blob.key)
    except StorageError as error:
        log.warning("job.attempts_left_behind", reason=str(error))
        return False
    return True


def discard_attempt(storage: Storage, prefix: str) -> None:
    """Delete the files of an attempt that will never count. Raises nothing."""
    try:
        for blob in list(list_own(storage, prefix)):
            storage.delete(blob.key)
    except StorageError as error:
        log.warning("job.attempt_left_behind", prefix=prefix, reason=str(error))


def _log_outcome(finished: Job) -> None:
    match finished.status, finished.error:
        case Status.FAILED, JobError() as error:
            log.info(JOB_FAILED, code=error.code.value, stage=error.stage, reason=error.message)
        case Status.CANCELLED, _:
            log.info(JOB_CANCELLED)
        case _:
            log.info(JOB_COMPLETED)


def _fail_lost_result(store: JobStore, storage: Storage, pending: PendingCompletion, error: LostResult) -> Job | None:
    job_id, token = pending.job.job_id, pending.token
    log.error("job.result_lost", reason=str(error))
    with suppress(LostJob):
        store.fail(job_id, token, ErrorCode.PROCESSING_FAILED, "the result was lost in storage")
    return complete_job(store, storage, job_id, token)


def _counting_prefix(storage: Storage, pending: PendingCompletion) -> str | None:
    """The prefix of the attempt that the published index is from; None if that is unknown."""
    index = read_bytes(storage, keys.result_index(pending.job.job_id))
    if hashlib.sha256(index).hexdigest() == pending.result_sha256:
        return pending.attempt_prefix
    return attempt_prefix_of(pending.job.job_id, index)


def _publish_index(storage: Storage, pending: PendingCompletion, index: bytes) -> bool:
    """Copy the committed bytes to where readers find them; false if other bytes are there.

    A result that was published before stays: Redis had forgotten that the job was finished, and what a caller may have
    seen never changes. Raises ``LostResult`` if the committed bytes are missing.
    """
    key = keys.result_index(pending.job.job_id)
    try:
        put_bytes(storage, key, index or _committed_index(storage, pending), content_type="application/json")
    except AlreadyExists:
        if _read_intact(storage, key, pending.result_sha256) is None:
            log.warning("job.result_kept", key=key)
            return False
    return True


def _committed_index(storage: Storage, pending: PendingCompletion) -> bytes:
    key = keys.result_index(pending.job.job_id)
    if storage.exists(key):
        raise AlreadyExists(key)
    committed_key = f"{pending.attempt_prefix}output.json"
    index = _read_intact(storage, committed_key, pending.result_sha256)
    if index is None:
        raise LostResult(f"{committed_key} is missing, or differs from what was committed")
    return index


def _result_bytes(storage: Storage, finished: Job, index: bytes) -> int:
    """What the result takes: the files that its index lists, and the index itself, which is there twice."""
    if finished.status is not Status.COMPLETED:
        return 0
    try:
        index = index or read_bytes(storage, keys.result_index(finished.job_id))
        return bytes_listed(finished.job_id, index) + 2 * len(index)
    except (NotFound, Damaged) as error:
        log.warning("job.result_not_measured", reason=str(error))
        return 0


def _read_intact(storage: Storage, key: str, sha256: str) -> bytes | None:
    """The file, if its digest matches; None if it is missing. Read again, since bytes may be lost on the way."""
    for _ in range(READ_ATTEMPTS):
        with suppress(NotFound, Damaged):
            data = read_bytes(storage, key)
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
    return None
