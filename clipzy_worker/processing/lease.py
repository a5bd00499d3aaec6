"""A worker's leases on its jobs, renewed by a thread so that no slow file or storage can let one expire."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context

import structlog

from clipzy_storage.errors import CancellationRequested, LostJob, QueueUnavailable
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Claim, LeaseState

CHECKS_PER_SECOND = 2

log = structlog.stdlib.get_logger(__name__)


class HeldLease:
    """The lease on one job that this process holds."""

    def __init__(self, claim: Claim, *, stage: str, heartbeat_seconds: float) -> None:
        self._claim = claim
        self._reported = self._progress = (0, stage)
        self._state = LeaseState.HELD
        self._heartbeat_seconds = heartbeat_seconds
        self._heartbeat_at = time.monotonic() + heartbeat_seconds

    def report(self, percent: int, stage: str) -> None:
        """Set the job's progress; it is sent a few times a second at most."""
        self._progress = (percent, stage)

    def check(self) -> None:
        """Raise ``LostJob`` or ``CancellationRequested`` if that is known."""
        if self._state is LeaseState.LOST:
            raise LostJob(self._claim.job.job_id)
        if self._state is LeaseState.CANCELLATION_REQUESTED:
            raise CancellationRequested(self._claim.job.job_id)

    def refresh(self, store: JobStore) -> None:
        """Send a heartbeat if it is due or there is progress, else ask for the state. Raises ``QueueUnavailable``."""
        if self._state is LeaseState.LOST:
            return
        progress = self._progress
        if progress == self._reported and time.monotonic() < self._heartbeat_at:
            self._state = store.lease_state(self._claim)
            return
        percent, stage = progress
        self._state = store.heartbeat(self._claim, percent=percent, stage=stage)
        self._reported, self._heartbeat_at = progress, time.monotonic() + self._heartbeat_seconds


class LeaseRenewer:
    """The thread of one process that renews the lease it holds: four times a lease, and when there is progress."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._current: HeldLease | None = None
        self._context = copy_context()
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, claim: Claim, *, stage: str) -> Iterator[HeldLease]:
        """Renew the lease of ``claim`` until the end of the ``with``."""
        if self._thread is None:  # not earlier: the fork of the pool process would lose a running thread
            self._thread = threading.Thread(target=self._run, name="lease-renewer", daemon=True)
            self._thread.start()
        # The thread's events are about the job that is bound here.
        self._context = copy_context()
        self._current = HeldLease(claim, stage=stage, heartbeat_seconds=self._store.lease_seconds / 4)
        try:
            yield self._current
        finally:
            self._current = None

    def _run(self) -> None:
        while True:
            time.sleep(1 / CHECKS_PER_SECOND)
            if (lease := self._current) is not None:
                self._context.run(self._refresh, lease)

    def _refresh(self, lease: HeldLease) -> None:
        try:
            lease.refresh(self._store)
        except QueueUnavailable as error:
            # No other worker can claim it meanwhile either; the commit finds out whether it is still held.
            log.warning("lease.redis_unavailable", reason=str(error))
        except Exception:  # the thread must outlive whatever one reply causes
            log.exception("lease.failed")
