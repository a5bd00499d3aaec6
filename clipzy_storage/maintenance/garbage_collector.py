"""Removes what crashes, deletions and time have left in storage: called now and then by one worker.

Safe to interrupt anywhere, to run again, and to run beside workers, front ends, deletions and another of itself: what
a listing showed is looked at again right before it goes, deleting what is gone changes nothing, and the order of every
step is such that the next pass finds the rest. A record that cannot be understood is never garbage, nor is anything
that hangs on it.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, put_json, read_bytes
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import AlreadyExists, NotFound, QueueUnavailable, StorageError, StorageUnavailable
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.maintenance.inventory import JobInventory, all_jobs, all_uploads, refresh_job, refresh_upload
from clipzy_storage.maintenance.retention_rules import (
    HOUR_SECONDS,
    Ended,
    Garbage,
    Kind,
    expired_result,
    garbage_of_ended,
    garbage_of_upload,
    garbage_without_reading,
    may_be_garbage,
)
from clipzy_storage.models.output import attempt_prefix_of
from clipzy_storage.models.records import SCHEMA_VERSION, Status

UPLOADS_AT_ONCE = 50  # a video that was dropped stays so for an hour only, and must be gone by then
MOST_TROUBLES = 10  # with the storage itself, after which the rest waits for the next pass

log = logging.getLogger(__name__)


class GarbageCollector:
    """One storage and the rules by which it is cleared."""

    def __init__(self, storage: Storage, admin: JobAdmin, settings: Settings) -> None:
        self._storage = storage
        self._admin = admin
        self._result_ttl_seconds = settings.result_ttl_hours * HOUR_SECONDS or None
        self._upload_ttl_seconds = settings.upload_ttl_hours * HOUR_SECONDS or None
        self._removed: Counter[Kind] = Counter()
        self._troubles = 0
        self._is_redis_away = False

    def sweep(self) -> Counter[Kind]:
        """One pass; how many things of each kind were removed.

        What cannot be had from Redis, or cannot be read or removed, is logged and left to the next pass. Raises
        ``StorageUnavailable`` where the storage cannot be listed, or gives trouble again and again.
        """
        self._removed, self._troubles, self._is_redis_away = Counter(), 0, False
        try:
            for files in all_jobs(self._storage):
                if may_be_garbage(files, ttl_seconds=self._result_ttl_seconds):
                    with self._left_to_the_next_pass(files.job_id):
                        self._clear_job(refresh_job(self._storage, files))
            self._clear_uploads()
        finally:
            for kind, count in self._removed.items():
                log.info("leftovers.%s: %d removed", kind.value, count)
        return self._removed

    def _clear_job(self, files: JobInventory) -> None:
        for garbage in garbage_without_reading(files):
            self._remove(garbage)
        if files.done is None:
            return
        is_completed = durable_records.read_done(self._storage, files.job_id).status is Status.COMPLETED
        if is_completed and (expired := expired_result(files, ttl_seconds=self._result_ttl_seconds)):
            self._expire(files.job_id, expired)
            return
        for garbage in garbage_of_ended(files, Ended(is_completed, self._counting_folder(files))):
            self._remove(garbage)

    def _counting_folder(self, files: JobInventory) -> str | None:
        """Raises ``StorageError`` where the index cannot be understood."""
        if files.index is None:
            return None
        return attempt_prefix_of(files.job_id, read_bytes(self._storage, files.index.key))

    def _expire(self, job_id: str, expired: Garbage) -> None:
        """The marker first: from then on every pass goes on with it, and who asks is told why there is no result."""
        if self._is_redis_away:
            return
        marker = {"schema_version": SCHEMA_VERSION, "job_id": job_id}
        try:
            put_json(self._storage, keys.expired_result(job_id), marker)
        except AlreadyExists:
            log.debug("leftovers.expiry_goes_on: %s", job_id)
        self._admin.expire(job_id)
        self._remove(expired)

    def _clear_uploads(self) -> None:
        candidates = [
            (files.video_id, garbage.kind)
            for files in all_uploads(self._storage)
            if (garbage := garbage_of_upload(files, ttl_seconds=self._upload_ttl_seconds))
        ]
        users = _OpenRecords(self._storage)
        for first in range(0, len(candidates), UPLOADS_AT_ONCE):
            with self._left_to_the_next_pass("uploads"):
                self._clear_some_uploads(candidates[first : first + UPLOADS_AT_ONCE], users)

    def _clear_some_uploads(self, candidates: list[tuple[str, Kind]], users: "_OpenRecords") -> None:
        """Remove those that no job needs: neither one that Redis knows, nor one with an open record.

        The open records are looked at once more after Redis lets no new jobs over these videos in: a front end writes
        the record first, and takes it back where Redis then refuses the job.
        """
        used = users.videos()
        unused = [one for one in candidates if one[0] not in used and self._may_go(*one)]
        used = users.videos() if unused else used
        for video_id, kind in unused:
            if video_id not in used:
                with self._left_to_the_next_pass(video_id):
                    self._clear_upload(video_id, kind)

    def _may_go(self, video_id: str, kind: Kind) -> bool:
        """As far as Redis has a say: no job can be had over an upload without a record, so it is not asked there."""
        if kind is Kind.UPLOAD_WITHOUT_RECORD:
            return True
        if not self._is_redis_away:
            with self._left_to_the_next_pass(video_id):
                return self._admin.block_video(video_id)
        return False

    def _clear_upload(self, video_id: str, kind: Kind) -> None:
        files = refresh_upload(self._storage, video_id)
        garbage = garbage_of_upload(files, ttl_seconds=self._upload_ttl_seconds)
        if garbage is None or garbage.kind is not kind:
            return
        if files.record:
            durable_records.read_video(self._storage, video_id)  # raises where it cannot be understood
        self._remove(garbage)

    def _remove(self, garbage: Garbage) -> None:
        for blob in garbage.blobs:
            self._storage.delete(blob.key)
        self._removed[garbage.kind] += 1

    @contextmanager
    def _left_to_the_next_pass(self, what: str) -> Iterator[None]:
        """Let nothing that is wrong with one job or upload keep the others from being cleared."""
        try:
            yield
        except NotFound:  # another removed it meanwhile
            log.debug("leftovers.gone: %s", what)
        except QueueUnavailable as error:
            self._is_redis_away = True  # not asked again: each time may take seconds
            log.warning("leftovers.redis_away: %s", error)
        except StorageError as error:
            log.warning("leftovers.skipped: %s: %s", what, error)
            self._troubles += isinstance(error, StorageUnavailable)
            if self._troubles > MOST_TROUBLES:
                raise


class _OpenRecords:
    """Which videos unfinished jobs are about. Every record is read once, however often it is asked."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._video_of: dict[str, str] = {}

    def videos(self) -> set[str]:
        """Raises ``StorageError`` where one cannot be understood: it could be about any video."""
        found = {}
        for job_id in durable_records.open_job_ids(self._storage):
            with suppress(NotFound):  # it has ended since it was listed
                found[job_id] = self._video_of.get(job_id) or durable_records.read_open(self._storage, job_id).video_id
        self._video_of = found
        return set(found.values())
