"""Which files are garbage, and which have been kept for as long as they should be. Pure: rules over inventories.

Only what storage holds counts; that Redis does not know a job proves nothing. Files that are being written look like
garbage for a moment, so each kind must reach an age first, by the storage's clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from clipzy_storage.backends.base import BlobInfo
from clipzy_storage.maintenance.inventory import JobInventory, UploadInventory, youngest_seconds

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS
_PUBLISHING_SECONDS = 2.0
"""A completed job's index and its done record are written one right after the other."""


class Kind(StrEnum):
    """The kinds of garbage, as the log names them."""

    FINISHED_JOB = "finished_job"
    """The open record of a job that has a done record."""
    IDLE_CANCELLATION = "idle_cancellation"
    """A cancellation request for a job that is not open."""
    RESULT_WITHOUT_JOB = "result_without_job"
    """Left by the deletion of the job."""
    DELIVERIES_WITHOUT_JOB = "deliveries_without_job"
    """Left by the deletion of the job."""
    RESULT_OF_UNCOMPLETED = "result_of_uncompleted"
    """Left by a job that failed or was cancelled."""
    UNUSED_ATTEMPT = "unused_attempt"
    """An attempt at a completed job that did not count."""
    SEGMENTS_OF_ENDED_JOB = "segments_of_ended_job"
    """Left by a job that has ended or was deleted, or written by a worker that had lost it."""
    EXPIRED_RESULT = "expired_result"
    UPLOAD_WITHOUT_RECORD = "upload_without_record"
    """Its front end died before it wrote the record."""
    EXPIRED_UPLOAD = "expired_upload"


@dataclass(frozen=True)
class Outcome:
    """What the records of a finished job contain."""

    is_completed: bool
    counting_prefix: str | None
    """Of the attempt that the result is from; None if that is unknown."""


@dataclass(frozen=True)
class Garbage:
    kind: Kind
    blobs: tuple[BlobInfo, ...]
    """In the order in which they must be deleted."""


def may_be_garbage(files: JobInventory, *, ttl_seconds: float | None) -> bool:
    """Whether a job can have garbage as far as a listing shows; so that few of many records need be read."""
    if files.open and files.done:
        return True
    if _is_idle_cancellation(files):
        return True
    if files.done is None:
        return not files.open and (youngest_seconds(files.results) >= DAY_SECONDS or _has_idle_deliveries(files))
    return _finished_may_have_garbage(files, files.done, ttl_seconds)


def garbage_without_reading(files: JobInventory) -> Iterator[Garbage]:
    """What is garbage whatever the records contain."""
    if files.cancellation_request and _is_idle_cancellation(files):
        yield Garbage(Kind.IDLE_CANCELLATION, (files.cancellation_request,))
    # A day, since the first file of a job is its open record: only a deletion leaves results without one, and deletes
    # them right after it. The longest delay after which one machine sees another's record is far shorter.
    if not files.has_record and youngest_seconds(files.results) >= DAY_SECONDS:
        yield Garbage(Kind.RESULT_WITHOUT_JOB, _index_first(files))
    if files.deliveries and _has_idle_deliveries(files):
        yield Garbage(Kind.DELIVERIES_WITHOUT_JOB, (files.deliveries,))


def garbage_of_finished(files: JobInventory, outcome: Outcome) -> Iterator[Garbage]:
    """What can never count any more, of a job whose done record was read.

    The open record goes last, when there is nothing else: as long as it is there the next pass comes by here.
    """
    unused = list(_never_counts(files, outcome))
    # A worker that lost the job may still write here. Its commit will be refused, and it deletes its files then.
    old = [garbage for garbage in unused if youngest_seconds(garbage.blobs) >= HOUR_SECONDS]
    yield from old
    if files.open and old == unused:
        yield Garbage(Kind.FINISHED_JOB, (files.open,))


def _never_counts(files: JobInventory, outcome: Outcome) -> Iterator[Garbage]:
    if not outcome.is_completed and files.results:
        yield Garbage(Kind.RESULT_OF_UNCOMPLETED, _index_first(files))
    if outcome.is_completed and outcome.counting_prefix is not None:
        for prefix, blobs in files.attempts.items():
            if prefix != outcome.counting_prefix:
                yield Garbage(Kind.UNUSED_ATTEMPT, tuple(blobs))


def expired_result(files: JobInventory, *, ttl_seconds: float | None) -> Garbage | None:
    """All of a completed job's result but the marker, once its done record is old, or if an expiry was begun."""
    is_due = ttl_seconds is not None and files.done is not None and files.done.age_seconds >= ttl_seconds
    if not files.results_without_marker or not (is_due or files.expiry_marker):
        return None
    return Garbage(Kind.EXPIRED_RESULT, tuple(blob for blob in _index_first(files) if blob != files.expiry_marker))


def garbage_of_upload(files: UploadInventory, *, ttl_seconds: float | None) -> Garbage | None:
    """What may be deleted unless an unfinished job needs it; the record first, so that it never lacks its file."""
    if files.record is None:
        is_old = youngest_seconds(files.others) >= DAY_SECONDS
        return Garbage(Kind.UPLOAD_WITHOUT_RECORD, files.others) if is_old else None
    if ttl_seconds is None or files.record.age_seconds < ttl_seconds:
        return None
    return Garbage(Kind.EXPIRED_UPLOAD, (files.record, *files.others))


def _is_idle_cancellation(files: JobInventory) -> bool:
    request = files.cancellation_request
    return request is not None and files.open is None and request.age_seconds >= HOUR_SECONDS


def _has_idle_deliveries(files: JobInventory) -> bool:
    return files.deliveries is not None and not files.has_record and files.deliveries.age_seconds >= DAY_SECONDS


def _finished_may_have_garbage(files: JobInventory, done: BlobInfo, ttl_seconds: float | None) -> bool:
    if not files.results_without_marker:
        return False
    if expired_result(files, ttl_seconds=ttl_seconds):
        return True
    # A completed job has one index, as old as its done record, and one attempt: there is nothing to read it for.
    has_old = any(blob.age_seconds >= HOUR_SECONDS for blob in files.results_without_marker)
    index = files.index
    is_as_completed = index is not None and index.age_seconds - done.age_seconds <= _PUBLISHING_SECONDS
    return has_old and not (is_as_completed and len(files.attempts) <= 1)


def _index_first(files: JobInventory) -> tuple[BlobInfo, ...]:
    """The index before the files that it lists, and the marker last: a reader in between finds no broken result."""
    order = {files.index: 0, files.expiry_marker: 2}
    return tuple(sorted(files.results, key=lambda blob: order.get(blob, 1)))
