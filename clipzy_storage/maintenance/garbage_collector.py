"""Deletes what crashes, deletions and time have left in storage. One worker runs it: hourly, rarely over everything.

It may be interrupted anywhere, run again, and run next to workers, front ends, deletions and another garbage collector:
what a listing showed is refreshed right before it is deleted, deleting a missing file changes nothing, and every step
is ordered so that the next pass finds the rest. A damaged record is never garbage, nor is anything that depends on it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage, put_json, read_bytes
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import AlreadyExists, NotFound, QueueUnavailable, StorageError, StorageUnavailable
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.jobs.admin import JobAdmin, Sweepable
from clipzy_storage.jobs.segments import are_needed, segments_by_job
from clipzy_storage.maintenance.index_repair import repair_index
from clipzy_storage.maintenance.inventory import (
    JobInventory,
    UploadInventory,
    all_jobs,
    all_uploads,
    refresh_job,
    refresh_upload,
    unfinished_jobs,
    youngest_seconds,
)
from clipzy_storage.maintenance.retention_rules import (
    DAY_SECONDS,
    HOUR_SECONDS,
    Garbage,
    Kind,
    Outcome,
    expired_result,
    garbage_of_finished,
    garbage_of_upload,
    garbage_without_reading,
    may_be_garbage,
)
from clipzy_storage.models.output import attempt_prefix_of
from clipzy_storage.models.records import SCHEMA_VERSION, Job, Status

UPLOAD_BATCH_SIZE = 50
"""A blocked video stays blocked for an hour only, and must be deleted by then."""

OVERLAP = timedelta(hours=1)
"""How much of what the last pass has seen the next one sees again, since clocks differ."""

LONGEST_UPLOAD = timedelta(hours=12)
"""An upload that took longer and left no record is found by a pass over everything only."""

MAX_STORAGE_ERRORS = 10
"""After more of them in one pass the rest is left to the next one."""

log = structlog.stdlib.get_logger(__name__)


class GarbageCollector:
    """Applies the retention rules to one storage."""

    def __init__(self, storage: Storage, admin: JobAdmin, settings: Settings) -> None:
        self._storage = storage
        self._admin = admin
        self._result_ttl_seconds = settings.result_ttl_hours * HOUR_SECONDS or None
        self._upload_ttl_seconds = settings.upload_ttl_hours * HOUR_SECONDS or None
        self._removed: Counter[Kind] = Counter()
        self._storage_errors = 0
        self._is_redis_unavailable = False

    def sweep(self) -> Counter[Kind]:
        """One pass over everything; returns how many items of each kind were deleted.

        What needs Redis while it is unavailable, or cannot be read or deleted, is logged and left to the next pass.
        Raises ``StorageUnavailable`` if the storage cannot be listed, or fails again and again.
        """
        with self._one_pass():
            began_at = None
            with suppress(QueueUnavailable):
                began_at = self._admin.now()
            for files in all_jobs(self._storage):
                if may_be_garbage(files, ttl_seconds=self._result_ttl_seconds):
                    self._sweep_job_if_possible(files)
            self._sweep_uploads(all_uploads(self._storage))
            self._sweep_segments()
            repair_index(self._storage)
            if began_at is not None:
                self._set_swept("uploads", began_at - timedelta(seconds=DAY_SECONDS))
                if self._result_ttl_seconds is not None:
                    self._set_swept("results", began_at - timedelta(seconds=self._result_ttl_seconds))
        return self._removed

    def sweep_recent(self) -> Counter[Kind]:
        """The same for what can have become garbage since the last pass, and for nothing else.

        That is what unfinished jobs have left, results and uploads whose time is over, uploads without a record, and
        segments of jobs that have ended.
        What only a pass over everything finds is left to one: results of jobs whose deletion was interrupted, and files
        that a process wrote after its job had finished. Raises ``QueueUnavailable`` too.
        """
        with self._one_pass():
            now = self._admin.now()
            self._sweep_unfinished_jobs()
            self._sweep_expired_results(now)
            self._sweep_recent_uploads(now)
            self._sweep_segments()
        return self._removed

    @contextmanager
    def _one_pass(self) -> Iterator[None]:
        self._removed, self._storage_errors, self._is_redis_unavailable = Counter(), 0, False
        try:
            yield
        finally:
            for kind, count in self._removed.items():
                log.info("garbage.removed", kind=kind.value, count=count)

    def _sweep_unfinished_jobs(self) -> None:
        unfinished = self._admin.unfinished_ids()
        for files in unfinished_jobs(self._storage):
            if files.job_id not in unfinished:
                self._sweep_job_if_possible(files)

    def _sweep_expired_results(self, now: datetime) -> None:
        if self._result_ttl_seconds is None:
            return
        since, until = self._admin.swept_until("results"), now - timedelta(seconds=self._result_ttl_seconds)
        for entry in day_index.entries_between(self._storage, since, until):
            if since - OVERLAP <= now - timedelta(seconds=entry.age_seconds) <= until:
                job_id = str(keys.id_in(entry.key))
                done = BlobInfo(keys.done_job(job_id), 0, entry.age_seconds)  # written right after its entry
                self._sweep_job_if_possible(JobInventory(job_id, None, done, None, ()))
        self._set_swept("results", until)

    def _sweep_recent_uploads(self, now: datetime) -> None:
        """The ids of videos tell when they were created, which is before anything of them was written.

        Those of keyed uploads do not: so all of these are listed, which are not many where they expire.
        """
        if self._upload_ttl_seconds is not None:
            until = now - timedelta(seconds=self._upload_ttl_seconds) + OVERLAP
            self._sweep_uploads(all_uploads(self._storage, last_id=keys.first_id("vid", until)))
            self._sweep_uploads(all_uploads(self._storage, first_id=keys.FIRST_KEYED_VIDEO_ID))
        since, until = self._admin.swept_until("uploads"), now - timedelta(seconds=DAY_SECONDS)
        first_id = keys.first_id("vid", since - LONGEST_UPLOAD)
        self._sweep_uploads(all_uploads(self._storage, first_id=first_id, last_id=keys.first_id("vid", until)))
        self._set_swept("uploads", until)

    def _sweep_segments(self) -> None:
        """All are listed, which are few: only unfinished jobs have any."""
        for job_id, blobs in segments_by_job(self._storage):
            with self._left_to_the_next_pass(job_id):
                if youngest_seconds(blobs) >= HOUR_SECONDS and not are_needed(self._storage, job_id):
                    self._delete(Garbage(Kind.SEGMENTS_OF_ENDED_JOB, blobs))

    def _set_swept(self, what: Sweepable, until: datetime) -> None:
        """Unless something could not be done: the next pass then sees the same again."""
        if not self._storage_errors and not self._is_redis_unavailable:
            self._admin.set_swept_until(what, until)

    def _sweep_job_if_possible(self, files: JobInventory) -> None:
        with self._left_to_the_next_pass(files.job_id):
            self._sweep_job(refresh_job(self._storage, files))

    def _sweep_job(self, files: JobInventory) -> None:
        for garbage in garbage_without_reading(files):
            self._delete(garbage)
        if files.done is None:
            return
        job = durable_records.read_done(self._storage, files.job_id)
        is_completed = job.status is Status.COMPLETED
        if is_completed and (expired := expired_result(files, ttl_seconds=self._result_ttl_seconds)):
            self._expire(job, expired)
            return
        for garbage in garbage_of_finished(files, Outcome(is_completed, self._counting_prefix(files))):
            self._delete(garbage)

    def _counting_prefix(self, files: JobInventory) -> str | None:
        """Raises ``StorageError`` if the index is damaged."""
        if files.index is None:
            return None
        return attempt_prefix_of(files.job_id, read_bytes(self._storage, files.index.key))

    def _expire(self, job: Job, expired: Garbage) -> None:
        """The marker first: it lets every pass continue the expiry, and callers know why there is no result."""
        if self._is_redis_unavailable:
            return
        job_id = job.job_id
        marker = {"schema_version": SCHEMA_VERSION, "job_id": job_id}
        try:
            put_json(self._storage, keys.expired_result(job_id), marker)
        except AlreadyExists:
            log.debug("garbage.expiry_continues", job_id=job_id)
        self._admin.expire(job_id)
        self._delete(expired)
        self._admin.set_stored(job.owner, job_id, 0)

    def _sweep_uploads(self, uploads: Iterable[UploadInventory]) -> None:
        candidates = [
            (files.video_id, garbage.kind)
            for files in uploads
            if (garbage := garbage_of_upload(files, ttl_seconds=self._upload_ttl_seconds))
        ]
        open_jobs = _OpenJobs(self._storage)
        for first in range(0, len(candidates), UPLOAD_BATCH_SIZE):
            with self._left_to_the_next_pass("uploads"):
                self._sweep_upload_batch(candidates[first : first + UPLOAD_BATCH_SIZE], open_jobs)

    def _sweep_upload_batch(self, candidates: list[tuple[str, Kind]], open_jobs: "_OpenJobs") -> None:
        """Delete those that no job needs: neither one that Redis knows, nor one with an open record.

        The open records are read once more after Redis refuses new jobs over these videos: a front end writes the
        record first, and deletes it if Redis then refuses the job.
        """
        used = open_jobs.video_ids()
        unused = [one for one in candidates if one[0] not in used and self._may_be_deleted(*one)]
        used = open_jobs.video_ids() if unused else used
        for video_id, kind in unused:
            if video_id not in used:
                with self._left_to_the_next_pass(video_id):
                    self._sweep_upload(video_id, kind)

    def _may_be_deleted(self, video_id: str, kind: Kind) -> bool:
        """As far as Redis knows. It need not be asked about uploads without a record: only jobs that import them, whose
        open records are read too, can use them. One that is still in progress gets its record when it is asked for.
        """
        if kind is Kind.UPLOAD_WITHOUT_RECORD:
            return not self._storage.exists(keys.upload_state(video_id, durable_records.UPLOAD_RECORD))
        if not self._is_redis_unavailable:
            with self._left_to_the_next_pass(video_id):
                return self._admin.block_video(video_id)
        return False

    def _sweep_upload(self, video_id: str, kind: Kind) -> None:
        files = refresh_upload(self._storage, video_id)
        garbage = garbage_of_upload(files, ttl_seconds=self._upload_ttl_seconds)
        if garbage is None or garbage.kind is not kind:
            return
        video = durable_records.read_video(self._storage, video_id) if files.record else None  # raises if it is damaged
        self._delete(garbage)
        if video:
            self._admin.set_stored(video.owner, video_id, 0)

    def _delete(self, garbage: Garbage) -> None:
        for blob in garbage.blobs:
            self._storage.delete(blob.key)
        self._removed[garbage.kind] += 1

    @contextmanager
    def _left_to_the_next_pass(self, what: str) -> Iterator[None]:
        """Log what is wrong with one job or upload, so that the others are swept all the same."""
        try:
            yield
        except NotFound:  # another process deleted it meanwhile
            log.debug("garbage.gone", item=what)
        except QueueUnavailable as error:
            self._is_redis_unavailable = True  # not tried again in this pass: each time may take seconds
            log.warning("garbage.redis_unavailable", reason=str(error))
        except StorageError as error:
            log.warning("garbage.skipped", item=what, reason=str(error))
            self._storage_errors += isinstance(error, StorageUnavailable)
            if self._storage_errors > MAX_STORAGE_ERRORS:
                raise


class _OpenJobs:
    """The videos of unfinished jobs. Every record is read once, however often they are listed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._video_of: dict[str, str] = {}

    def video_ids(self) -> set[str]:
        """Raises ``StorageError`` at a damaged record: it could be about any video."""
        found = {}
        for job_id in durable_records.open_job_ids(self._storage):
            with suppress(NotFound):  # it has finished since it was listed
                found[job_id] = self._video_of.get(job_id) or durable_records.read_open(self._storage, job_id).video_id
        self._video_of = found
        return set(found.values())
