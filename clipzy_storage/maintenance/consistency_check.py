"""Compares records with files in storage, and the records in storage with those in Redis, both ways. Changes nothing.

What is younger than an hour may be in progress and is skipped. What looks wrong is checked once more before it is
reported, since records and files are written and deleted meanwhile.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import READ_BLOCK_BYTES, BlobInfo, Storage, StorageBackend, read_bytes
from clipzy_storage.errors import Damaged, NotFound, StorageError, StorageUnavailable
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.segments import are_needed, segments_by_job
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
from clipzy_storage.webhooks import outbox


class FindingKind(StrEnum):
    MISSING = "missing"
    """A record refers to it."""
    DAMAGED = "damaged"
    """It is not what was stored."""
    ORPHANED = "orphaned"
    """No record refers to it any more; workers delete it in time."""
    UNKNOWN = "unknown"
    """Redis does not know it."""


@dataclass(frozen=True)
class Finding:
    kind: FindingKind
    key: str
    """Of a file, or a prefix of keys, which ends in a slash."""
    why: str


class StorageCheck:
    """One check of everything in a storage. Raises ``StorageUnavailable`` if it cannot be read."""

    def __init__(self, storage: StorageBackend, *, deep: bool = False) -> None:
        """``deep``: every file is read, and its sha256 compared."""
        self._storage = storage
        self._deep = deep
        self._entries: set[str] | None = None
        self.uploads = self.foreign = 0  # complete once all findings were iterated over, as ``jobs``
        self._recorded: set[str] = set()
        self._importing: set[str] = set()

    @property
    def jobs(self) -> int:
        return len(self._recorded)

    def findings(self) -> Iterator[Finding]:
        entries = list(day_index.entries(self._storage)) if day_index.is_complete(self._storage) else None
        self._entries = {entry.key for entry in entries} if entries is not None else None
        for files in all_jobs(self._storage):
            if files.has_record:
                self._recorded.add(files.job_id)
            if any(True for _ in self._job(files)):
                yield from self._job(refresh_job(self._storage, files))
        for upload in all_uploads(self._storage):
            self.uploads += upload.record is not None
            if any(True for _ in self._upload(upload)):
                yield from self._upload(refresh_upload(self._storage, upload.video_id))
        yield from self._stale_entries(entries or ())
        yield from self._unneeded_segments()
        yield from self._incomplete_files()
        for top in ("jobs/", "results/", "uploads/"):
            self.foreign += sum(keys.is_foreign(blob.key) for blob in self._storage.list(top))

    def _job(self, files: JobInventory) -> Iterator[Finding]:
        if files.done:
            yield from self._finished_job(files, files.done)
        elif files.open:
            yield from self._open_job(files.open, files.job_id)
        else:
            yield from self._left_of_deleted(files)
        if files.cancellation_request and not files.open and _is_settled(files.cancellation_request):
            yield _orphaned(files.cancellation_request.key, "the job that it cancels is not open")

    def _left_of_deleted(self, files: JobInventory) -> Iterator[Finding]:
        if _is_settled(*files.results):
            yield _orphaned(keys.result_prefix(files.job_id), "there is no record of this job")
        if files.deliveries and _is_settled(files.deliveries):
            yield _orphaned(files.deliveries.key, "there is no record of this job")

    def _open_job(self, record: BlobInfo, job_id: str) -> Iterator[Finding]:
        try:
            job = durable_records.read_open(self._storage, job_id)
        except StorageError as error:
            yield from _damaged_record(record.key, error)
            return
        if job.source_key is None:
            self._importing.add(job.video_id)
        elif _is_settled(record) and not self._storage.exists(job.source_key):
            yield Finding(FindingKind.MISSING, job.source_key, f"the unfinished job {job_id} needs it")

    def _finished_job(self, files: JobInventory, record: BlobInfo) -> Iterator[Finding]:
        if files.open and _is_settled(record):
            yield _orphaned(files.open.key, "the job has finished: it has a done record")
        try:
            job = durable_records.read_done(self._storage, files.job_id)
        except StorageError as error:
            yield from _damaged_record(record.key, error)
            return
        if _is_settled(record):
            yield from self._entry(day_index.entry_of(job))
        if files.deliveries:
            yield from self._deliveries(files.deliveries, job)
        if job.status is not Status.COMPLETED:
            if _is_settled(*files.results):
                yield _orphaned(keys.result_prefix(files.job_id), f"the job is {job.status.value} and has no result")
        elif files.expiry_marker:
            if files.results_without_marker and _is_settled(files.expiry_marker):
                yield _orphaned(keys.result_prefix(files.job_id), "the result has expired and was only partly deleted")
        elif _is_settled(record):
            yield from self._result(files, job)

    def _deliveries(self, record: BlobInfo, job: Job) -> Iterator[Finding]:
        try:
            outbox.read(self._storage, job)
        except StorageError as error:
            yield from _damaged_record(record.key, error)

    def _entry(self, key: str) -> Iterator[Finding]:
        """Nothing if it was written since the entries were listed, or if the index is not complete yet."""
        if self._entries is not None and key not in self._entries and not self._storage.exists(key):
            yield Finding(FindingKind.MISSING, key, "the day index lacks this finished job; `clipzy recover` adds it")

    def _stale_entries(self, entries: Iterable[BlobInfo]) -> Iterator[Finding]:
        for entry in entries:
            job_id = str(keys.id_in(entry.key))
            if job_id in self._recorded or not _is_settled(entry):
                continue
            if not any(map(self._storage.exists, (keys.done_job(job_id), keys.open_job(job_id)))):
                yield _orphaned(entry.key, "there is no record of this job")

    def _result(self, files: JobInventory, job: Job) -> Iterator[Finding]:
        key = keys.result_index(job.job_id)
        if files.index is None:
            yield Finding(FindingKind.MISSING, key, "the job is completed, and this is the index of its result")
            return
        try:
            index = read_bytes(self._storage, key)
            counting_prefix, listed = attempt_prefix_of(job.job_id, index), _listed_files(index)
        except StorageError as error:
            yield from _damaged_record(key, error)
            return
        found = {blob.key: blob for blob in files.results}
        for file in listed:
            yield from self._compare(file, found.get(file.key), f"{key} lists it")
        for prefix, blobs in files.attempts.items():
            if counting_prefix and prefix != counting_prefix and _is_settled(*blobs):
                yield _orphaned(prefix, f"{key} refers to another attempt")

    def _upload(self, files: UploadInventory) -> Iterator[Finding]:
        if files.record is None:
            for blob in files.others:
                if _is_settled(blob) and not self._gets_its_record(files.video_id):
                    yield _orphaned(blob.key, "there is no video.json next to it")
            return
        try:
            video = durable_records.read_video(self._storage, files.video_id)
        except StorageError as error:
            yield from _damaged_record(files.record.key, error)
            return
        if _is_settled(files.record):
            found = next((blob for blob in files.others if blob.key == video.key), None)
            recorded = _RecordedFile(key=video.key, size_bytes=video.size_bytes, sha256=video.sha256)
            yield from self._compare(recorded, found, f"{files.record.key} is its record")

    def _gets_its_record(self, video_id: str) -> bool:
        """Whether its import, or its upload over several requests, has not come to its end."""
        state = keys.upload_state(video_id, durable_records.UPLOAD_RECORD)
        return video_id in self._importing or self._storage.exists(state)

    def _compare(self, recorded: "_RecordedFile", found: BlobInfo | None, why: str) -> Iterator[Finding]:
        """Whether a file is there as it was stored; ``why`` it should be."""
        is_compared = found and self._deep and recorded.sha256
        sha256 = self._sha256(recorded.key) if is_compared else recorded.sha256
        if found is None or (is_compared and sha256 is None):
            yield Finding(FindingKind.MISSING, recorded.key, why)
        elif found.size_bytes != recorded.size_bytes:
            sizes = f"it has {found.size_bytes} bytes, and {recorded.size_bytes} were stored"
            yield Finding(FindingKind.DAMAGED, recorded.key, sizes)
        elif sha256 != recorded.sha256:
            digests = f"its sha256 is {sha256}, and {recorded.sha256} was stored"
            yield Finding(FindingKind.DAMAGED, recorded.key, digests)

    def _sha256(self, key: str) -> str | None:
        """None if it was deleted meanwhile."""
        digest = hashlib.sha256()
        try:
            with self._storage.open(key) as stream:
                while block := stream.read(READ_BLOCK_BYTES):
                    digest.update(block)
        except NotFound:
            return None
        return digest.hexdigest()

    def _unneeded_segments(self) -> Iterator[Finding]:
        for job_id, blobs in segments_by_job(self._storage):
            if _is_settled(*blobs) and not are_needed(self._storage, job_id):
                yield _orphaned(keys.segments(job_id), "the job that they are rendered for is not open")

    def _incomplete_files(self) -> Iterator[Finding]:
        count = self._storage.count_incomplete(DAY_SECONDS)
        if count:
            yield _orphaned(f"{keys.INCOMING}/", f"{count} uploads are incomplete and have not grown for a day")


def compare_with_redis(storage: Storage, admin: JobAdmin) -> Iterator[Finding]:
    """Compare the jobs in storage with those in Redis. Raises ``QueueUnavailable``, ``StorageUnavailable``.

    A job has its open record before Redis knows it, and its done record before Redis knows that it finished. So Redis
    is read first, and a job that then has no record was submitted, finished or deleted meanwhile, or is a finding.
    """
    unfinished, finished = admin.unfinished_ids(), admin.finished_ids()
    unfinished.difference_update(durable_records.open_job_ids(storage))
    finished.difference_update(durable_records.done_job_ids(storage))
    for job_id in sorted(unfinished & admin.unfinished_ids() if unfinished else unfinished):
        if not storage.exists(keys.open_job(job_id)):
            is_finished = storage.exists(keys.done_job(job_id))
            why = "Redis holds the job as unfinished" + (", though it has a done record" if is_finished else "")
            yield Finding(FindingKind.MISSING, keys.open_job(job_id), why)
    for job_id in sorted(finished & admin.finished_ids() if finished else finished):
        if not storage.exists(keys.done_job(job_id)):
            yield Finding(FindingKind.MISSING, keys.done_job(job_id), "Redis holds the job as finished")
    yield from _unknown_to_redis(storage, admin)


def _unknown_to_redis(storage: Storage, admin: JobAdmin) -> Iterator[Finding]:
    settled_ids = durable_records.open_job_ids(storage, older_than_seconds=HOUR_SECONDS)
    for job_id in admin.unknown(settled_ids):
        # If it has a done record too, its open record is orphaned, which the check of the storage reports.
        if storage.exists(keys.open_job(job_id)) and not storage.exists(keys.done_job(job_id)):
            why = "Redis does not know this unfinished job; `clipzy recover` restores it"
            yield Finding(FindingKind.UNKNOWN, keys.open_job(job_id), why)


class _RecordedFile(BaseModel):
    """A file as it was recorded when it was stored."""

    key: str
    size_bytes: int
    sha256: str | None


class _Index(BaseModel):
    artifacts: list[_RecordedFile]


def _listed_files(index: bytes) -> list[_RecordedFile]:
    """The files that an ``output.json`` of any version lists. Raises ``Damaged``."""
    try:
        return _Index.model_validate_json(index).artifacts
    except ValidationError as error:
        raise Damaged("its list of artifacts is damaged") from error


def _is_settled(*blobs: BlobInfo) -> bool:
    """Whether there are any, and none is so young that something may still be in progress."""
    return youngest_seconds(blobs) >= HOUR_SECONDS


def _orphaned(key: str, why: str) -> Finding:
    return Finding(FindingKind.ORPHANED, key, why)


def _damaged_record(key: str, error: StorageError) -> Iterator[Finding]:
    """Nothing if it was deleted meanwhile. Raises ``StorageUnavailable``."""
    if isinstance(error, StorageUnavailable):
        raise error
    if not isinstance(error, NotFound):
        yield Finding(FindingKind.DAMAGED, key, str(error))
