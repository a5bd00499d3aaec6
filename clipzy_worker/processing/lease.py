"""A worker's hold on its jobs, renewed from a thread so that no slow file or store can let one lapse."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs.store import Claim, Held, JobStore
from clipzy_worker.errors import Cancelled, LostJob

LOOKS_PER_SECOND = 2  # whether there is progress to tell, and whether the job is still ours and still wanted

log = logging.getLogger(__name__)


class HeldLease:
    """One job that this process holds."""

    def __init__(self, claim: Claim, *, stage: str, beat_every_seconds: float) -> None:
        self._claim = claim
        self._told = self._news = (0, stage)
        self._held: Held = "held"
        self._beat_every_seconds = beat_every_seconds
        self._beat_at = time.monotonic() + beat_every_seconds

    def report(self, percent: int, stage: str) -> None:
        """Tell how far the job is; sent a few times a second at most."""
        self._news = (percent, stage)

    def check(self) -> None:
        """Raise ``LostJob`` if the job is known to be another's, ``Cancelled`` if it is wanted no more."""
        if self._held == "lost":
            raise LostJob(self._claim.job.job_id)
        if self._held == "cancel":
            raise Cancelled(self._claim.job.job_id)

    def look(self, jobs: JobStore) -> None:
        """Beat if that is due, otherwise ask how the job stands. Raises ``QueueUnavailable``."""
        if self._held == "lost":
            return
        news = self._news
        if news == self._told and time.monotonic() < self._beat_at:
            self._held = jobs.look(self._claim)
            return
        percent, stage = news
        self._held = jobs.heartbeat(self._claim, percent=percent, stage=stage)
        self._told, self._beat_at = news, time.monotonic() + self._beat_every_seconds


class LeaseRenewer:
    """The thread of one process that beats for the job it holds: four times a lease, and when there is news."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._current: HeldLease | None = None
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, claim: Claim, *, stage: str) -> Iterator[HeldLease]:
        """Beat for ``claim`` until the end of the ``with``."""
        if self._thread is None:  # not before: a thread that ran already would be lost when the process is forked
            self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)
            self._thread.start()
        self._current = HeldLease(claim, stage=stage, beat_every_seconds=self._jobs.lease_seconds / 4)
        try:
            yield self._current
        finally:
            self._current = None

    def _keep(self) -> None:
        while True:
            time.sleep(1 / LOOKS_PER_SECOND)
            lease = self._current
            if lease is None:
                continue
            try:
                lease.look(self._jobs)
            except QueueUnavailable as error:
                # Nobody else can claim it meanwhile either; whether it is still ours is seen at the commit.
                log.warning("lease.redis_away: %s", error)
            except Exception:  # the thread must outlive whatever one answer holds in store
                log.exception("lease.failed")
