"""Completes a new job with the cached result of an earlier one, in the request that submits it.

The front end holds the job as a worker does: by a claim that the reaper takes away if this process dies. The work is
done in a thread, so that slow storage does not keep the client waiting; what is not done in time is left to workers.
"""

import threading
import time
from contextvars import copy_context
from dataclasses import dataclass, field

import structlog

from clipzy_api.concurrency_limits import CACHE_HITS, ConcurrencyLimit
from clipzy_storage.backends.base import Storage
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import CancellationRequested, LostJob, QueueUnavailable, StorageError
from clipzy_storage.jobs.attempt import STOPPED_TOO_OFTEN, AttemptResult, JobAttempt, claim_job
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.result_cache import CachedResult, copy_result, find_cached_result, is_allowed
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import NotifyWorkers
from clipzy_storage.log_events import JOB_REUSED
from clipzy_storage.models.records import Job

TIMEOUT_SECONDS = 2.0
MAX_ARTIFACTS = 300

log = structlog.stdlib.get_logger(__name__)


class _TimedOut(Exception):
    """The client has its answer by now."""


@dataclass(frozen=True, kw_only=True)
class CachedResults:
    """Looks for cached results, in as many requests at once as ``limit`` allows.

    ``timeout_seconds`` is how long a request waits; a result of more than ``max_artifacts`` is left to a worker.
    """

    store: JobStore
    storage: Storage
    notify_workers: NotifyWorkers
    settings: Settings = field(default_factory=Settings)
    timeout_seconds: float = TIMEOUT_SECONDS
    max_artifacts: int = MAX_ARTIFACTS
    limit: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(CACHE_HITS))

    def try_complete(self, job: Job) -> Job | None:
        """The job completed with a cached result; None if there was none in time: then workers must be notified.

        Raises nothing.
        """
        if job.source is None or not is_allowed(job) or not self.limit.acquire():
            return None
        max_bytes = self.settings.max_result_bytes(source_size_bytes=job.source.size_bytes)
        completion = _Completion(self, job, max_bytes=max_bytes)
        threading.Thread(target=copy_context().run, args=(completion.run,), name="cache-hit", daemon=True).start()
        completion.is_over.wait(self.timeout_seconds)
        return completion.completed


class _Completion:
    """The work on one job, in a thread of its own."""

    def __init__(self, results: CachedResults, job: Job, *, max_bytes: int) -> None:
        self._results, self._job, self._max_bytes = results, job, max_bytes
        self._deadline = time.monotonic() + results.timeout_seconds
        self.is_over = threading.Event()
        self.completed: Job | None = None

    def run(self) -> None:
        try:
            if cached := self._find():
                self.completed = self._complete(cached)
        except (QueueUnavailable, StorageError) as error:
            log.warning("cache.unavailable", reason=str(error))
        except Exception:
            log.exception("cache.failed")
        finally:
            self.is_over.set()
            self._results.limit.release()

    def _find(self) -> CachedResult | None:
        results, job = self._results, self._job
        cached = find_cached_result(results.store, results.storage, job, max_bytes=self._max_bytes)
        if cached and len(cached.output.artifacts) > self._results.max_artifacts:
            return None
        return cached if time.monotonic() < self._deadline else None

    def _complete(self, cached: CachedResult) -> Job | None:
        """Raises ``QueueUnavailable``, ``StorageError``: the lease, and the reaper after it, settle the rest."""
        attempt = claim_job(
            self._results.store,
            self._results.storage,
            self._job.job_id,
            storage_id=self._job.storage_id,
            notify_workers=self._results.notify_workers,
            redis_timeout_seconds=self._results.store.lease_seconds,
            is_limited=False,  # it occupies no worker
        )
        if attempt is None:  # a worker was quicker, or the job was cancelled
            return None
        with about_job(attempt.job):
            try:
                return self._commit_unless_cancelled(attempt, cached)
            except LostJob:
                attempt.discard_files()
                return None

    def _commit_unless_cancelled(self, attempt: JobAttempt, cached: CachedResult) -> Job | None:
        try:
            return self._commit_copy(attempt, cached)
        except CancellationRequested:
            return attempt.confirm_cancelled()

    def _commit_copy(self, attempt: JobAttempt, cached: CachedResult) -> Job | None:
        storage, prefix = self._results.storage, attempt.prefix
        try:
            index = copy_result(storage, cached, attempt.job, prefix=prefix, on_progress=self._check_time)
        except (StorageError, _TimedOut) as error:
            log.warning("cache.released", reason=str(error) or "it took too long")
            return attempt.release("preempted", STOPPED_TOO_OFTEN)
        log.info(JOB_REUSED, reused_from=cached.job_id)
        return attempt.commit(AttemptResult(attempt.job.attempt, prefix, index))

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise _TimedOut
