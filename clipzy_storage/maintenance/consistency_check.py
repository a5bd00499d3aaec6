"""Compares records and files, and the records in storage with those in Redis, both ways. Changes nothing.

What is younger than an hour may be on its way and is passed over. What looked wrong is looked at once more before it
is told, since records and files come and go meanwhile.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from clipzy_storage import keys
from clipzy_storage.backends.base import READ_BLOCK_BYTES, BlobInfo, Storage, StorageBackend, read_bytes
from clipzy_storage.errors import Damaged, NotFound, StorageError, StorageUnavailable
from clipzy_storage.jobs import durable_records
from clipzy_storage.maintenance.inventory import (
    JobInventory,
    UploadInventory,
    all_jobs,
    all_uploads,
    refresh_job,
    refresh_upload,
    youngest_seconds,
)
from clipzy_storage.maintenance.retention_rules import DAY_SECONDS, HOUR_SECONDS
from clipzy_storage.models.output import attempt_prefix_of
from clipzy_storage.models.records import Job, Status


class FindingKind(StrEnum):
    MISSING = "missing"  # a record speaks of it
    DAMAGED = "damaged"  # it is not what was stored
    ORPHANED = "orphaned"  # no record speaks of it any more; workers remove it in their time
    UNKNOWN = "unknown"  # to Redis


@dataclass(frozen=True)
class Finding:
    kind: FindingKind
    key: str  # of a file, or of a folder, which ends in a slash
    why: str


class Inspection:
    """One look at everything in a storage. Raises ``StorageUnavailable`` where it cannot be read."""

    def __init__(self, storage: StorageBackend, *, deep: bool = False) -> None:
        """``deep``: every file is read, and its sha256 compared."""
        self._storage = storage
        self._deep = deep
        self.jobs = self.uploads = 0  # how many there were, once all findings were taken

    def findings(self) -> Iterator[Finding]:
        for files in all_jobs(self._storage):
            self.jobs += files.is_known
            if any(True for _ in self._of_job(files)):
                yield from self._of_job(refresh_job(self._storage, files))
        for upload in all_uploads(self._storage):
            self.uploads += upload.record is not None
            if any(True for _ in self._of_upload(upload)):
                yield from self._of_upload(refresh_upload(self._storage, upload.video_id))
        yield from self._unfinished()

    def _of_job(self, files: JobInventory) -> Iterator[Finding]:
        if files.done:
            yield from self._of_ended(files, files.done)
        elif files.open:
            yield from self._of_open(files.open, files.job_id)
        elif _is_settled(*files.results):
            yield _orphaned(keys.result_prefix(files.job_id), "there is no record of this job")
        if files.wish and not files.open and _is_settled(files.wish):
            yield _orphaned(files.wish.key, "the job that was to be cancelled is not open")

    def _of_open(self, record: BlobInfo, job_id: str) -> Iterator[Finding]:
        try:
            job = durable_records.read_open(self._storage, job_id)
        except StorageError as error:
            yield from _damaged_record(record.key, error)
            return
        if _is_settled(record) and not self._storage.exists(job.source_key):
            yield Finding(FindingKind.MISSING, job.source_key, f"the unfinished job {job_id} needs it")

    def _of_ended(self, files: JobInventory, record: BlobInfo) -> Iterator[Finding]:
        if files.open and _is_settled(record):
            yield _orphaned(files.open.key, "the job has ended, as its done record says")
        try:
            job = durable_records.read_done(self._storage, files.job_id)
        except StorageError as error:
            yield from _damaged_record(record.key, error)
            return
        if job.status is not Status.COMPLETED:
            if _is_settled(*files.results):
                yield _orphaned(keys.result_prefix(files.job_id), f"the job is {job.status.value} and has no result")
        elif files.expiry_marker:
            if files.unmarked and _is_settled(files.expiry_marker):
                yield _orphaned(keys.result_prefix(files.job_id), "the result has expired and was not wholly removed")
        elif _is_settled(record):
            yield from self._of_result(files, job)

    def _of_result(self, files: JobInventory, job: Job) -> Iterator[Finding]:
        key = keys.result_index(job.job_id)
        if files.index is None:
            yield Finding(FindingKind.MISSING, key, "the job is completed, and this is the index of its result")
            return
        try:
            index = read_bytes(self._storage, key)
            folder, listed = attempt_prefix_of(job.job_id, index), _listed(index)
        except StorageError as error:
            yield from _damaged_record(key, error)
            return
        there = {blob.key: blob for blob in files.results}
        for file in listed:
            yield from self._compared(file, there.get(file.key), f"{key} lists it")
        for prefix, blobs in files.attempts.items():
            if folder and prefix != folder and _is_settled(*blobs):
                yield _orphaned(prefix, f"{key} refers to another attempt")

    def _of_upload(self, files: UploadInventory) -> Iterator[Finding]:
        if files.record is None:
            for blob in files.others:
                if _is_settled(blob):
                    yield _orphaned(blob.key, "there is no video.json beside it")
            return
        try:
            video = durable_records.read_video(self._storage, files.video_id)
        except StorageError as error:
            yield from _damaged_record(files.record.key, error)
            return
        if _is_settled(files.record):
            source = next((blob for blob in files.others if blob.key == video.key), None)
            said = _Stored(video.key, video.size_bytes, video.sha256)
            yield from self._compared(said, source, f"{files.record.key} is its record")

    def _compared(self, said: "_Stored", found: BlobInfo | None, why: str) -> Iterator[Finding]:
        """Whether a file is there, as it was when it was stored; ``why`` it should be."""
        sha256 = self._sha256(said.key) if found and self._deep else said.sha256
        if found is None or sha256 is None:
            yield Finding(FindingKind.MISSING, said.key, why)
        elif found.size_bytes != said.size_bytes:
            sizes = f"it has {found.size_bytes} bytes, and {said.size_bytes} were stored"
            yield Finding(FindingKind.DAMAGED, said.key, sizes)
        elif sha256 != said.sha256:
            yield Finding(FindingKind.DAMAGED, said.key, f"its sha256 is {sha256}, and {said.sha256} was stored")

    def _sha256(self, key: str) -> str | None:
        """``None`` where it has been removed meanwhile."""
        digest = hashlib.sha256()
        try:
            with self._storage.open(key) as stream:
                while block := stream.read(READ_BLOCK_BYTES):
                    digest.update(block)
        except NotFound:
            return None
        return digest.hexdigest()

    def _unfinished(self) -> Iterator[Finding]:
        count = self._storage.count_incomplete(DAY_SECONDS)
        if count:
            yield _orphaned(f"{keys.INCOMING}/", f"{count} uploads were begun and have not grown for a day")


@dataclass(frozen=True)
class _Stored:
    """A file as it was noted when it was stored."""

    key: str
    size_bytes: int
    sha256: str


def _listed(index: bytes) -> list[_Stored]:
    """The files that an ``output.json`` lists. Raises ``Damaged``."""
    try:
        artifacts = json.loads(index)["artifacts"]
        return [_Stored(str(one["key"]), int(one["size_bytes"]), str(one["sha256"])) for one in artifacts]
    except (ValueError, LookupError, TypeError) as error:
        raise Damaged("what it lists cannot be understood") from error


def _is_settled(*blobs: BlobInfo) -> bool:
    """Whether they are there, and none of them so young that something may still be going on."""
    return youngest_seconds(blobs) >= HOUR_SECONDS


def _orphaned(key: str, why: str) -> Finding:
    return Finding(FindingKind.ORPHANED, key, why)


def _damaged_record(key: str, error: StorageError) -> Iterator[Finding]:
    """Nothing where it has been removed meanwhile. Raises ``StorageUnavailable``."""
    if isinstance(error, StorageUnavailable):
        raise error
    if not isinstance(error, NotFound):
        yield Finding(FindingKind.DAMAGED, key, str(error))


class KnownJobs(Protocol):
    """What Redis knows. Every method may raise ``QueueUnavailable``."""

    def unfinished_ids(self) -> set[str]:
        """Every job that waits or is held."""

    def finished_ids(self) -> set[str]:
        """Every finished job that Redis still knows."""

    def unknown(self, job_ids: Iterable[str]) -> Iterator[str]:
        """Those of which Redis has no record."""


def findings(storage: Storage, known: KnownJobs) -> Iterator[Finding]:
    """Raises ``QueueUnavailable``, ``StorageUnavailable``.

    A job has its open record before Redis knows of it, and its done record before Redis knows of its end; so Redis is
    asked first, and what then has no record was submitted, ended or deleted meanwhile, or there is something wrong.
    """
    unfinished, ended = known.unfinished_ids(), known.finished_ids()
    unfinished.difference_update(durable_records.open_job_ids(storage))
    ended.difference_update(durable_records.done_job_ids(storage))
    for job_id in sorted(unfinished & known.unfinished_ids() if unfinished else unfinished):
        if not storage.exists(keys.open_job(job_id)):
            has_ended = storage.exists(keys.done_job(job_id))
            why = "Redis holds the job as unfinished" + (", though its done record says that it has ended" * has_ended)
            yield Finding(FindingKind.MISSING, keys.open_job(job_id), why)
    for job_id in sorted(ended & known.finished_ids() if ended else ended):
        if not storage.exists(keys.done_job(job_id)):
            yield Finding(FindingKind.MISSING, keys.done_job(job_id), "Redis holds the job as finished")
    yield from _unknown(storage, known)


def _unknown(storage: Storage, known: KnownJobs) -> Iterator[Finding]:
    settled = (blob.key for blob in storage.list("jobs/open/") if blob.age_seconds >= HOUR_SECONDS)
    names = (key.removeprefix("jobs/open/").removesuffix(".json") for key in settled)
    for job_id in known.unknown(name for name in names if keys.is_job_id(name)):
        # Where it has a done record too, that it ended is what is to be told, and is told already.
        if storage.exists(keys.open_job(job_id)) and not storage.exists(keys.done_job(job_id)):
            why = "Redis does not know this unfinished job; `clipzy recover` takes it up"
            yield Finding(FindingKind.UNKNOWN, keys.open_job(job_id), why)
