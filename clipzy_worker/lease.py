"""A worker's hold on one job, renewed from a thread so that no slow file or store can let it lapse."""

import logging
import threading
from types import TracebackType
from typing import Self

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs import Claim, JobStore
from clipzy_worker.errors import LostJob

REPORTS_PER_SECOND = 2

log = logging.getLogger(__name__)


class HeldLease:
    """Beats for ``claim`` from ``with`` to its end, four times a lease and whenever there is progress to tell."""

    def __init__(self, jobs: JobStore, claim: Claim, *, stage: str) -> None:
        self._jobs = jobs
        self._claim = claim
        self._percent = 0
        self._stage = stage
        self._is_lost = threading.Event()
        self._ended = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{claim.job.job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._news.set()

    def report(self, percent: int, stage: str) -> None:
        """Tell how far the job is; sent a few times a second at most."""
        if (percent, stage) != (self._percent, self._stage):
            self._percent, self._stage = percent, stage
            self._news.set()

    def check(self) -> None:
        """Raise ``LostJob`` if the job is known to be another's."""
        if self._is_lost.is_set():
            raise LostJob(self._claim.job.job_id)

    def _beat(self) -> None:
        while not self._ended.is_set():
            self._news.clear()
            try:
                held = self._jobs.heartbeat(self._claim, percent=self._percent, stage=self._stage)
            except QueueUnavailable as error:
                # Nobody else can claim it meanwhile either; whether it is still ours is seen at the commit.
                log.warning("lease.redis_away: %s", error)
                held = True
            if not held:
                self._is_lost.set()
                return
            self._ended.wait(1 / REPORTS_PER_SECOND)
            self._news.wait(max(self._jobs.lease_seconds / 4 - 1 / REPORTS_PER_SECOND, 0))
