"""Creates a job over a video: first its durable record, then the record in Redis, then workers are notified.

At most one job is created under an Idempotency-Key.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import (
    AlreadyExists,
    IdempotencyMismatch,
    JobNotFound,
    NotFound,
    QueueFull,
    QueueUnavailable,
    QuotaExceeded,
    StorageError,
)
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.lookup import JobLookup
from clipzy_storage.jobs.rollback import Rollback
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import IdempotencyKey, NotifyWorkers, Submitted
from clipzy_storage.log_events import JOB_SUBMITTED
from clipzy_storage.models.job_config import canonical_config
from clipzy_storage.models.records import Job, Queue, Video, VideoToImport
from clipzy_storage.process import ProcessIdentity

KEY_LIFETIME = timedelta(hours=24)
KNOWN_TIMEOUT_SECONDS = 2.0
# A request that has written its open record has created the Redis record by then, or takes the open record back.
SUBMISSION_TIMEOUT = timedelta(minutes=1)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class JobRequest:
    """What a job is created from, the key under which it was requested, and where it waits."""

    video: Video | VideoToImport
    config: dict[str, Any]
    key: IdempotencyKey | None = None
    queue: Queue = Queue.INTERACTIVE
    webhook_url: str | None = field(default=None, repr=False)


class JobSubmission:
    """Creates jobs in one storage and one Redis.

    ``max_unfinished_jobs`` is how many may wait or be processed in the whole deployment. ``complete_from_cache`` may
    complete a new job with the result of an earlier one, and returns it then.
    """

    def __init__(
        self,
        store: JobStore,
        storage: Storage,
        lookup: JobLookup,
        *,
        max_unfinished_jobs: int,
        complete_from_cache: Callable[[Job], Job | None],
        notify_workers: NotifyWorkers,
    ) -> None:
        self._store = store
        self._storage = storage
        self._lookup = lookup
        self._max_unfinished_jobs = max_unfinished_jobs
        self._complete_from_cache = complete_from_cache
        self._notify_workers = notify_workers

    def check_room(self, *, owner: str, key_text: str, storage_id: str) -> None:
        """Check that a request may create a job, or repeats one that has; ``key_text`` is its Idempotency-Key or empty.

        Another request may take the last place before this one is submitted. Raises ``QueueFull``, ``QuotaExceeded``,
        ``QueueUnavailable``, ``StorageError``.
        """
        try:
            if not self._store.has_room(self._max_unfinished_jobs):
                raise QueueFull
            self._store.accounts.check_unfinished_jobs(owner)
        except (QueueFull, QuotaExceeded):
            if not (key_text and self._recorded(keys.job_id_for_key(owner, key_text, storage_id=storage_id))):
                raise

    def submit(
        self, request: JobRequest, rollback: Rollback, *, storage_id: str, request_id: str | None = None
    ) -> tuple[Job, bool]:
        """Create a job, and tell whether this request is a replay: the job is that of the first request then.

        ``rollback`` holds the files that the request has written; it is committed once the job is created. The events
        of the job carry ``request_id``.

        Raises:
            JobNotFound: the job of the first request has been deleted.
            IdempotencyMismatch, QueueFull, QuotaExceeded, VideoGone, StorageFull, StorageUnavailable: none was created.
            QueueUnavailable: no job was created if ``certain``, else it may have been; what was written then stays.
        """
        submitted = self._create(_new_job(request, storage_id, request_id), request.key, rollback)
        if submitted.job is None:
            rollback.roll_back()  # first: the open record that was just written is not that of the first job
            return self._lookup.find(submitted.first_id, owner=request.video.owner), True
        return self._start(submitted.job), False

    def _create(self, job: Job, key: IdempotencyKey | None, rollback: Rollback) -> Submitted:
        """Write the durable record, then the one in Redis; from then on the job will be completed."""
        if key is not None:
            keyed_id = keys.job_id_for_key(job.owner, key.text, storage_id=job.storage_id)
            first = self._recorded(keyed_id)
            if first is None:
                job = job.model_copy(update={"job_id": keyed_id})
            elif datetime.now(UTC) - first.created_at < KEY_LIFETIME:
                return Submitted(self._first_id(job, first))
            # Otherwise the key has expired and may be used again, for a job with an id of its own.
        if not self._write_open_record(job, rollback):
            return Submitted(self._first_id(job, self._recorded(job.job_id)))
        failpoint("job-opened")
        with rollback.committed_if_redis_may_know():  # the job may run after all, and needs its files then
            submitted = self._store.submit(job, key=key, limit=self._max_unfinished_jobs)
        if submitted.job is not None:
            rollback.commit()
            failpoint("job-submitted")
        return submitted

    def _start(self, job: Job) -> Job:
        """Complete the job from the cache, or leave it to the workers."""
        with about_job(job):
            log.info(JOB_SUBMITTED, video_id=job.video_id, owner=job.owner)
            if finished := self._complete_from_cache(job):
                return finished
            self._notify_workers(job.job_id, job.queue)
            failpoint("workers-notified")
            return job

    def _recorded(self, job_id: str) -> Job | None:
        for read in (durable_records.read_done, durable_records.read_open):
            with suppress(NotFound):
                return read(self._storage, job_id)
        return None

    def _write_open_record(self, job: Job, rollback: Rollback) -> bool:
        """False if another request under the same key has written it. Raises ``StorageError``."""
        key = keys.open_job(job.job_id)
        try:
            durable_records.write_open_job(self._storage, job)
        except AlreadyExists:
            return False
        except StorageError:
            with suppress(StorageError):  # a failed write may have written it after all, and so may another request
                if durable_records.read_open(self._storage, job.job_id) == job:
                    rollback.on_failure_delete(key)
            raise
        rollback.on_failure_delete(key)
        return True

    def _first_id(self, job: Job, first: Job | None) -> str:
        """The id of the job that the first request under this key has created.

        Raises:
            IdempotencyMismatch: that was another request.
            QueueUnavailable: its outcome is unknown yet: it may be in progress at another front end.
            QueueFull, QuotaExceeded
        """
        if first and first.idempotency_fingerprint != job.idempotency_fingerprint:
            raise IdempotencyMismatch
        if first and (first.status.is_final or self._becomes_known(first)):
            return first.job_id
        if first and _is_abandoned(first):
            self._store.submit(first, key=_key_of(first), limit=self._max_unfinished_jobs)
            return first.job_id
        raise QueueUnavailable("the first request with this key is still in progress", certain=True)

    def _becomes_known(self, job: Job) -> bool:
        """Whether Redis has the job, or gets it within moments."""
        give_up_at = time.monotonic() + KNOWN_TIMEOUT_SECONDS
        while True:
            with suppress(JobNotFound):
                self._store.look_up(job.job_id, owner=job.owner)
                return True
            if time.monotonic() > give_up_at:
                return False
            time.sleep(KNOWN_TIMEOUT_SECONDS / 20)


def _is_abandoned(job: Job) -> bool:
    """Whether the front end that wrote this open record is gone, and so will neither go on nor take it back."""
    is_gone = job.front_end is not None and ProcessIdentity.from_dict(job.front_end).is_gone()
    return is_gone or datetime.now(UTC) - job.created_at > SUBMISSION_TIMEOUT


def _key_of(job: Job) -> IdempotencyKey:
    return IdempotencyKey(str(job.idempotency_key), str(job.idempotency_fingerprint))


def _new_job(request: JobRequest, storage_id: str, request_id: str | None) -> Job:
    return Job.for_video(
        request.video,
        owner=request.video.owner,
        storage_id=storage_id,
        config=canonical_config(request.config),
        queue=request.queue,
        webhook_url=request.webhook_url,
        created_at=datetime.now(UTC),
        idempotency_key=request.key.text if request.key else None,
        idempotency_fingerprint=request.key.fingerprint if request.key else None,
        request_id=request_id,
        front_end=ProcessIdentity.own().as_dict(),
    )
