"""One attempt at a job by the process that claimed it: a worker, or a front end with a cached result."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TypeVar

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs.completion import complete, complete_job, discard_attempt, retry_while_unavailable
from clipzy_storage.jobs.parking import unpark_after_end
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Claim, NotifyWorkers, Released, ReleaseReason, Work
from clipzy_storage.models.output import PIPELINE_VERSION
from clipzy_storage.models.records import ErrorCode, Job

T = TypeVar("T")

STOPPED_TOO_OFTEN = "workers were stopped too often under this job"


@dataclass(frozen=True)
class AttemptResult:
    """What an attempt wrote: its ``output.json``, and the prefix of the files that it lists."""

    attempt: int
    prefix: str
    index: bytes
    pipeline_version: str = PIPELINE_VERSION
    work: Work | None = None
    """None if it was taken over from an earlier attempt or job."""


@dataclass(frozen=True, kw_only=True)
class JobAttempt:
    """One claim on one job, from ``claim`` to its completion or back into the queue.

    Each of ``commit``, ``release``, ``fail`` and ``confirm_cancelled`` repeats its call while Redis is unavailable, for
    ``redis_timeout_seconds``, then raises ``QueueUnavailable``; may raise ``StorageError``; and raises ``LostJob`` if
    the claim is no longer valid. In the first two cases the lease, and the reaper after it, settle the job.

    Those that complete the job return it finished, or None where another process has taken its completion over.
    """

    store: JobStore
    storage: Storage
    claim: Claim
    notify_workers: NotifyWorkers
    redis_timeout_seconds: float

    @property
    def job(self) -> Job:
        return self.claim.job

    @property
    def prefix(self) -> str:
        """Where this attempt alone writes: nothing under it counts before it is committed."""
        return keys.attempt_prefix(self.job.job_id, self.job.attempt, self.claim.nonce)

    def commit(self, result: AttemptResult) -> Job | None:
        """Make ``result`` the job's and complete it.

        Raises ``CancellationRequested`` if the job must be cancelled instead.
        """
        commit = partial(
            self.store.commit,
            self.claim,
            attempt_prefix=result.prefix,
            result_sha256=sha256(result.index).hexdigest(),
            attempt=result.attempt,
            pipeline_version=result.pipeline_version,
            work=result.work,
        )
        pending = self._retry(commit)
        failpoint("committed")
        finished = self._retry(partial(complete, self.store, self.storage, pending, index=result.index))
        self._make_room()
        return finished

    def release(self, reason: ReleaseReason, message: str, *, redis_timeout_seconds: float | None = None) -> Job | None:
        """Delete the attempt's files and return the job to the queue, as None.

        A job that was released too often for ``reason`` fails with ``message`` and is completed.
        """
        release = partial(self.store.release, self.claim, reason, message=message)
        released = self._retry(release, redis_timeout_seconds)
        failpoint("released")
        self.discard_files()
        if released is Released.QUEUED:
            self.notify_workers(self.job.job_id, self.job.queue)
        if released is not Released.PENDING:
            self._make_room()
            return None
        return self._complete(redis_timeout_seconds)

    def fail(self, code: ErrorCode, message: str) -> Job | None:
        """Delete the attempt's files and complete the job as failed, or as cancelled if that was requested."""
        self._retry(partial(self.store.fail, self.job.job_id, self.claim.token, code, message))
        self.discard_files()
        return self._complete()

    def confirm_cancelled(self) -> Job | None:
        """Complete the job as cancelled, now that work on it has stopped; its files are deleted with it."""
        self._retry(partial(self.store.confirm_cancelled, self.claim))
        failpoint("cancel-confirmed")
        return self._complete()

    def discard_files(self) -> None:
        """Delete what the attempt wrote. Raises nothing."""
        discard_attempt(self.storage, self.prefix)

    def _complete(self, timeout_seconds: float | None = None) -> Job | None:
        complete_it = partial(complete_job, self.store, self.storage, self.job.job_id, self.claim.token)
        finished = self._retry(complete_it, timeout_seconds)
        self._make_room()
        return finished

    def _make_room(self) -> None:
        """This job runs no more, so another of its owner may."""
        unpark_after_end(self.store, self.job.owner, self.notify_workers)

    def _retry(self, call: Callable[[], T], timeout_seconds: float | None = None) -> T:
        timeout_seconds = self.redis_timeout_seconds if timeout_seconds is None else timeout_seconds
        return retry_while_unavailable(call, timeout_seconds=timeout_seconds)


def claim_job(
    store: JobStore,
    storage: Storage,
    job_id: str,
    *,
    storage_id: str,
    notify_workers: NotifyWorkers,
    redis_timeout_seconds: float,
    stage: str = "",
    is_limited: bool = True,
) -> JobAttempt | None:
    """Claim a queued job under a lease.

    None if it is not queued, not due, or stored elsewhere, or if its owner has as many running jobs as it may and that
    ``is_limited``. Raises ``QueueUnavailable``.
    """
    nonce = os.urandom(8).hex()
    claim = store.claim(job_id, nonce=nonce, storage_id=storage_id, stage=stage, is_limited=is_limited)
    if claim is None:
        return None
    failpoint("claimed")
    return JobAttempt(
        store=store,
        storage=storage,
        claim=claim,
        notify_workers=notify_workers,
        redis_timeout_seconds=redis_timeout_seconds,
    )
