"""The day index: an empty file ``jobs/by-day/{date}/{job_id}`` for every done record, by the day of the job's end.

An entry is written before its done record and deleted after it, so that no crash leaves a done record without one. An
entry without a done record means nothing: its job is about to finish, or was deleted. Done records of versions that
wrote no entries are indexed once; until then the index is incomplete. All functions may raise ``StorageError``.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage, list_own, put_bytes
from clipzy_storage.errors import AlreadyExists
from clipzy_storage.models.records import Job

_CLOCKS_DIFFER = timedelta(days=1)


def entry_of(job: Job) -> str:
    """The key of the entry of a finished job."""
    ended_at = job.finished_at or job.created_at
    return keys.day_entry(ended_at.astimezone(UTC).date(), job.job_id)


def add(storage: Storage, job: Job) -> None:
    """Index a finished job. Safe to repeat."""
    _put(storage, entry_of(job))


def is_complete(storage: Storage) -> bool:
    """Whether every done record has an entry."""
    return storage.exists(keys.DAY_INDEX_COMPLETE)


def set_complete(storage: Storage) -> None:
    _put(storage, keys.DAY_INDEX_COMPLETE)


def entries(storage: Storage) -> Iterator[BlobInfo]:
    """All entries, by day."""
    return list_own(storage, keys.DAY_INDEX)


def entries_between(storage: Storage, first: datetime, last: datetime) -> Iterator[BlobInfo]:
    """The entries of jobs that ended between the two, and some that ended a day before or after that."""
    last_day = (last + _CLOCKS_DIFFER).astimezone(UTC).date()
    after = keys.day_entry((first - _CLOCKS_DIFFER).astimezone(UTC).date(), "")
    for blob in list_own(storage, keys.DAY_INDEX, after=after):
        if day_of(blob.key) > last_day:
            return
        yield blob


def day_of(entry: str) -> date:
    """The day that the key of an entry names, or the first one if it names none."""
    with suppress(ValueError):
        return date.fromisoformat(entry.split("/")[2])
    return date.min


def _put(storage: Storage, key: str) -> None:
    with suppress(AlreadyExists):
        put_bytes(storage, key, b"", content_type="application/octet-stream")
