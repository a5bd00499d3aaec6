"""What storage holds for each job and each upload, from its listings in one pass and without reading a file.

Records are written and deleted while a listing runs. So callers that act on an inventory must refresh that one job or
upload first.
"""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from operator import itemgetter

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage, list_own
from clipzy_storage.errors import NotFound

_JOB_PREFIXES = ("jobs/open/", "jobs/done/", "jobs/cancel/", keys.DELIVERIES, "results/")
_UPLOADS = "uploads/"


@dataclass(frozen=True)
class JobInventory:
    """The records of one job, and the files under the prefix of its result."""

    job_id: str
    open: BlobInfo | None
    done: BlobInfo | None
    cancellation_request: BlobInfo | None
    results: tuple[BlobInfo, ...]
    deliveries: BlobInfo | None = None

    @property
    def has_record(self) -> bool:
        return self.open is not None or self.done is not None

    @property
    def index(self) -> BlobInfo | None:
        return self._result(keys.result_index(self.job_id))

    @property
    def expiry_marker(self) -> BlobInfo | None:
        return self._result(keys.expired_result(self.job_id))

    @property
    def results_without_marker(self) -> tuple[BlobInfo, ...]:
        """The result without the expiry marker, which outlasts it."""
        return tuple(blob for blob in self.results if blob != self.expiry_marker)

    @cached_property
    def attempts(self) -> dict[str, list[BlobInfo]]:
        """The files of every attempt, by its prefix."""
        found: dict[str, list[BlobInfo]] = {}
        start = f"{keys.result_prefix(self.job_id)}attempts/"
        for blob in self.results:
            attempt, slash, _ = blob.key.removeprefix(start).partition("/")
            if blob.key.startswith(start) and slash:
                found.setdefault(f"{start}{attempt}/", []).append(blob)
        return found

    def _result(self, key: str) -> BlobInfo | None:
        return next((blob for blob in self.results if blob.key == key), None)


@dataclass(frozen=True)
class UploadInventory:
    """One upload's record, and the other files under its prefix."""

    video_id: str
    record: BlobInfo | None
    others: tuple[BlobInfo, ...]


def youngest_seconds(blobs: Iterable[BlobInfo]) -> float:
    """The age of the youngest of them; 0 if there is none."""
    return min((blob.age_seconds for blob in blobs), default=0.0)


def all_jobs(storage: Storage) -> Iterator[JobInventory]:
    """Every job that has a record or a result, by age. Holds the files of one job at a time in memory."""
    listings = [_by_id(list_own(storage, prefix)) for prefix in _JOB_PREFIXES]
    for job_id, found in groupby(heapq.merge(*listings, key=itemgetter(0)), key=itemgetter(0)):
        blobs = {blob.key: blob for _, blob in found}
        open_, done, cancellation_request, deliveries = (blobs.pop(key, None) for key in _record_keys(job_id))
        yield JobInventory(job_id, open_, done, cancellation_request, tuple(blobs.values()), deliveries)


def refresh_job(storage: Storage, seen: JobInventory) -> JobInventory:
    """The same job as it is now. A record that is still there keeps its age; one that is new has none.

    The records are checked in the order in which a job passes through them, so that one that finishes is not missed.
    """
    before = (seen.open, seen.done, seen.cancellation_request, seen.deliveries)
    open_, done, cancellation_request, deliveries = (
        _refreshed(storage, key, blob) for key, blob in zip(_record_keys(seen.job_id), before, strict=True)
    )
    results = tuple(list_own(storage, keys.result_prefix(seen.job_id)))
    return JobInventory(seen.job_id, open_, done, cancellation_request, results, deliveries)


def unfinished_jobs(storage: Storage) -> Iterator[JobInventory]:
    """Every job with an open record or a cancellation request, and of it only these: few, however many jobs there were.

    ``refresh_job`` shows the rest of one.
    """
    listings = [_by_id(list_own(storage, prefix)) for prefix in ("jobs/open/", "jobs/cancel/")]
    for job_id, found in groupby(heapq.merge(*listings, key=itemgetter(0)), key=itemgetter(0)):
        blobs = {blob.key: blob for _, blob in found}
        open_, _, cancellation_request, _ = (blobs.get(key) for key in _record_keys(job_id))
        yield JobInventory(job_id, open_, None, cancellation_request, ())


def all_uploads(storage: Storage, *, first_id: str = "", last_id: str = "~") -> Iterator[UploadInventory]:
    """Every upload of which there is any file, or those between two ids, by age."""
    blobs = list_own(storage, _UPLOADS, after=f"{_UPLOADS}{first_id}")
    for video_id, found in groupby(_by_id(blobs), key=itemgetter(0)):
        if video_id > last_id:
            return
        yield _upload(video_id, (blob for _, blob in found))


def refresh_upload(storage: Storage, video_id: str) -> UploadInventory:
    """The upload as it is now."""
    return _upload(video_id, list_own(storage, f"{_UPLOADS}{video_id}/"))


def _upload(video_id: str, found: Iterable[BlobInfo]) -> UploadInventory:
    blobs = {blob.key: blob for blob in found}
    record = blobs.pop(keys.video_record(video_id), None)
    return UploadInventory(video_id, record, tuple(blobs.values()))


def _record_keys(job_id: str) -> tuple[str, str, str, str]:
    return keys.open_job(job_id), keys.done_job(job_id), keys.cancellation_request(job_id), keys.deliveries(job_id)


def _refreshed(storage: Storage, key: str, before: BlobInfo | None) -> BlobInfo | None:
    with suppress(NotFound):
        return replace(storage.info(key), age_seconds=before.age_seconds if before else 0.0)
    return None


def _by_id(blobs: Iterable[BlobInfo]) -> Iterator[tuple[str, BlobInfo]]:
    """Each with the id of its job or upload."""
    return ((str(keys.id_in(blob.key)), blob) for blob in blobs)
