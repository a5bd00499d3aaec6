"""What is garbage in storage, and what has been kept as long as it was to be. Pure: decisions over what was seen.

Only storage's own evidence counts; that Redis does not know a job proves nothing. What is being made right now looks
like garbage for a moment, so each kind must have lain there for some time, by the storage's clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from clipzy_storage.backends.base import BlobInfo
from clipzy_storage.maintenance.inventory import JobInventory, UploadInventory, youngest_seconds

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS
_PUBLISHING_SECONDS = 2.0  # a completed job's index and its done record are written one right after the other


class Kind(StrEnum):
    """As the log calls it."""

    ENDED_JOB = "ended_job"  # the open record of a job that has a done record
    IDLE_WISH = "idle_wish"  # to cancel a job that is not open
    RESULT_WITHOUT_JOB = "result_without_job"  # the job was deleted
    RESULT_OF_UNCOMPLETED = "result_of_uncompleted"  # of a job that failed or was cancelled
    UNUSED_ATTEMPT = "unused_attempt"  # a try at a completed job that did not count
    EXPIRED_RESULT = "expired_result"
    UPLOAD_WITHOUT_RECORD = "upload_without_record"  # its front end died before it wrote the record
    EXPIRED_UPLOAD = "expired_upload"


@dataclass(frozen=True)
class Ended:
    """What the records of an ended job say. ``counting_folder``: of the result; ``None`` where nobody can tell."""

    is_completed: bool
    counting_folder: str | None


@dataclass(frozen=True)
class Garbage:
    kind: Kind
    blobs: tuple[BlobInfo, ...]  # in the order in which they go


def may_be_garbage(files: JobInventory, *, ttl_seconds: float | None) -> bool:
    """Whether what a listing shows of a job leaves room for garbage; so that few of many records need be read."""
    if files.open and files.done:
        return True
    if files.wish and not files.open and files.wish.age_seconds >= HOUR_SECONDS:
        return True
    if files.done is None:
        return not files.open and youngest_seconds(files.results) >= DAY_SECONDS
    return _ended_may_leave(files, files.done, ttl_seconds)


def garbage_without_reading(files: JobInventory) -> Iterator[Garbage]:
    """Where the records that are there, or not, say all."""
    if files.wish and not files.open and files.wish.age_seconds >= HOUR_SECONDS:
        yield Garbage(Kind.IDLE_WISH, (files.wish,))
    # A day, since the first thing of a job is its open record: only a deletion leaves results without one, and whoever
    # deletes takes them away at once. The longest delay with which one machine sees another's record is far less.
    if not files.is_known and youngest_seconds(files.results) >= DAY_SECONDS:
        yield Garbage(Kind.RESULT_WITHOUT_JOB, _index_first(files))


def garbage_of_ended(files: JobInventory, ended: Ended) -> Iterator[Garbage]:
    """Of a job whose done record was read: what can never count any more."""
    if files.open:
        yield Garbage(Kind.ENDED_JOB, (files.open,))
    if not ended.is_completed:
        if youngest_seconds(files.results) >= HOUR_SECONDS:
            yield Garbage(Kind.RESULT_OF_UNCOMPLETED, _index_first(files))
        return
    if ended.counting_folder is None:
        return
    for prefix, blobs in files.attempts.items():
        # A worker that lost the job may still write here. It will not be let through, and clears up after itself.
        if prefix != ended.counting_folder and youngest_seconds(blobs) >= HOUR_SECONDS:
            yield Garbage(Kind.UNUSED_ATTEMPT, tuple(blobs))


def expired_result(files: JobInventory, *, ttl_seconds: float | None) -> Garbage | None:
    """Of a completed job: all but the marker, once its end is old, or where an expiry was begun."""
    is_due = ttl_seconds is not None and files.done is not None and files.done.age_seconds >= ttl_seconds
    if not files.unmarked or not (is_due or files.expiry_marker):
        return None
    return Garbage(Kind.EXPIRED_RESULT, tuple(blob for blob in _index_first(files) if blob != files.expiry_marker))


def garbage_of_upload(files: UploadInventory, *, ttl_seconds: float | None) -> Garbage | None:
    """What may go unless an unfinished job needs it; the record first, so that nobody finds it without its file."""
    if files.record is None:
        is_old = youngest_seconds(files.others) >= DAY_SECONDS
        return Garbage(Kind.UPLOAD_WITHOUT_RECORD, files.others) if is_old else None
    if ttl_seconds is None or files.record.age_seconds < ttl_seconds:
        return None
    return Garbage(Kind.EXPIRED_UPLOAD, (files.record, *files.others))


def _ended_may_leave(files: JobInventory, done: BlobInfo, ttl_seconds: float | None) -> bool:
    if not files.unmarked:
        return False
    if expired_result(files, ttl_seconds=ttl_seconds):
        return True
    # A job that completed has one index, as old as its done record, and one folder: nothing to be read for.
    has_old = any(blob.age_seconds >= HOUR_SECONDS for blob in files.unmarked)
    index = files.index
    is_as_completed = index is not None and index.age_seconds - done.age_seconds <= _PUBLISHING_SECONDS
    return has_old and not (is_as_completed and len(files.attempts) <= 1)


def _index_first(files: JobInventory) -> tuple[BlobInfo, ...]:
    """The index before what it lists, and the marker last: whoever looks meanwhile finds no less than is said."""
    order = {files.index: 0, files.expiry_marker: 2}
    return tuple(sorted(files.results, key=lambda blob: order.get(blob, 1)))
