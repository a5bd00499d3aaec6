"""Answers a job that asks for what an earlier one has found with that result, in the request that makes it.

The front end holds the job as a worker does: by a claim, whose token opens the commit, and which the reaper takes away
where this process dies. It is done in a thread, so that no storage, however slow, keeps the caller waiting; what is
not done in time is given back to the workers.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TypeVar

from clipzy_api.concurrency_limits import REUSES_AT_ONCE, ConcurrencyLimit
from clipzy_api.task_queue import Queue
from clipzy_storage import keys
from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import QueueUnavailable, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import completion, result_cache
from clipzy_storage.jobs.result_cache import Earlier
from clipzy_storage.jobs.store import Claim, JobStore, PendingCompletion
from clipzy_storage.models.records import Job

PATIENCE_SECONDS = 2.0  # of a caller
MOST_ARTIFACTS = 300  # of a result that is copied here; a larger one is left to a worker

T = TypeVar("T")
log = logging.getLogger(__name__)


class _TooSlow(Exception):
    """The caller has its answer by now."""


@dataclass(frozen=True)
class CachedResults:
    """Ends jobs here, some at a time."""

    jobs: JobStore
    storage: Storage
    queue: Queue
    places: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(REUSES_AT_ONCE))

    def end(self, job: Job) -> Job | None:
        """The job at its end, where an earlier result could be given to it in time; ``None``: it is for the workers.

        Then they are to be told of it. Raises nothing.
        """
        if not result_cache.is_wanted(job) or not self.places.take():
            return None
        attempt = _Attempt(self.jobs, self.storage, self.queue, job)

        def run() -> None:
            try:
                attempt.run()
            finally:
                self.places.give_back()

        threading.Thread(target=copy_context().run, args=(run,), name="reuse", daemon=True).start()
        attempt.is_over.wait(PATIENCE_SECONDS)
        return attempt.ended


class _Attempt:
    """One try at one job."""

    def __init__(self, jobs: JobStore, storage: Storage, queue: Queue, job: Job) -> None:
        self._jobs, self._storage, self._queue, self._job = jobs, storage, queue, job
        self._deadline = time.monotonic() + PATIENCE_SECONDS
        self.is_over = threading.Event()
        self.ended: Job | None = None

    def run(self) -> None:
        try:
            if earlier := self._earlier():
                self.ended = self._end(earlier)
        except (QueueUnavailable, StorageError) as error:
            log.warning("reuse.left: %s: %s", self._job.job_id, error)
        except Exception:
            log.exception("reuse.failed: %s", self._job.job_id)
        finally:
            self.is_over.set()

    def _earlier(self) -> Earlier | None:
        earlier = result_cache.find_earlier(self._jobs, self._storage, self._job)
        if earlier and len(earlier.output.artifacts) > MOST_ARTIFACTS:
            return None
        return earlier if time.monotonic() < self._deadline else None

    def _end(self, earlier: Earlier) -> Job | None:
        """Raises ``QueueUnavailable``, ``StorageError``: the lease, and the reaper after it, settle the rest."""
        nonce = os.urandom(8).hex()
        claim = self._jobs.claim(self._job.job_id, nonce=nonce, storage_id=self._job.storage_id)
        if claim is None:  # a worker was quicker, or somebody has cancelled it
            return None
        failpoint("claimed")
        prefix = keys.attempt_prefix(claim.job.job_id, claim.job.attempt, nonce)
        try:
            index = result_cache.copy_result(
                self._storage, earlier, claim.job, prefix=prefix, on_progress=self._check_the_time
            )
        except (StorageError, _TooSlow) as error:
            log.warning("reuse.given_back: %s: %s", claim.job.job_id, error or "too slow")
            return self._give_back(claim, prefix)
        return self._commit(claim, prefix, index)

    def _check_the_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise _TooSlow

    def _commit(self, claim: Claim, prefix: str, index: bytes) -> Job | None:
        commit = partial(self._jobs.commit, claim, attempt_folder=prefix, result_sha256=sha256(index).hexdigest())
        answer = self._insist(commit)
        if isinstance(answer, PendingCompletion):
            failpoint("committed")
            log.info("job.reused: %s", claim.job.job_id)
            return completion.conclude(self._jobs, self._storage, answer, index=index)
        if answer == "cancelled" and self._insist(lambda: self._jobs.abandon(claim)):
            return self._conclude(claim)
        completion.discard_attempt(self._storage, prefix)
        return None

    def _give_back(self, claim: Claim, prefix: str) -> Job | None:
        answer = self._insist(lambda: self._jobs.release(claim, "preempted", message=completion.STOPPED_TOO_OFTEN))
        completion.discard_attempt(self._storage, prefix)
        if answer == "decided":
            return self._conclude(claim)
        if answer == "queued":
            with suppress(QueueUnavailable):  # the reaper sends it later
                self._queue.publish(claim.job.job_id)
        return None

    def _conclude(self, claim: Claim) -> Job | None:
        decided = self._jobs.decided(claim.job.job_id, claim.token)
        return completion.conclude(self._jobs, self._storage, decided) if decided else None

    def _insist(self, ask: Callable[[], T]) -> T:
        """Ask Redis until it answers, as long as the job may still be ours. Raises ``QueueUnavailable``."""
        return completion.insist(ask, patience_seconds=self._jobs.lease_seconds)
