"""Announces ends of jobs to their webhooks, next to the work on other jobs; every worker does, as many as it can.

Each attempt has a thread, so that a slow receiver delays no other. Redis is asked for as many as may begin.
"""

import os
import threading
import time
from collections.abc import Callable

from clipzy_storage.access.file_links import FileLinks
from clipzy_storage.access.link_secrets import LinkSecretStore
from clipzy_storage.jobs.lookup import JobLookup
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.webhooks.delivery import WebhookDelivery
from clipzy_storage.webhooks.due_deliveries import DueDeliveries
from clipzy_storage.webhooks.sending import WebhookSender
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.runtime.periodic import PeriodicThread, failures_logged

AT_ONCE = 16
POLL_SECONDS = 0.25
RETRY_SECONDS = 5.0
STOP_SECONDS = 1.0
_NAME = "webhooks"


class WebhookDispatcher(PeriodicThread):
    """The thread that gives what is due to threads, at most ``at_once`` at a time."""

    def __init__(self, due: DueDeliveries, attempt: Callable[..., object], *, at_once: int = AT_ONCE) -> None:
        """``attempt`` is ``WebhookDelivery.attempt``."""
        super().__init__(_NAME, interval_seconds=POLL_SECONDS, retry_seconds=RETRY_SECONDS)
        self._due = due
        self._attempt = attempt
        self._at_once = at_once
        self._attempts: set[threading.Thread] = set()

    def run_once(self) -> None:
        """Begin as many attempts as are due and may be made now. Raises ``QueueUnavailable``."""
        while (free := self._at_once - len(self._attempts)) and not self._stopping.is_set():
            token = os.urandom(8).hex()
            job_ids = self._due.claim(limit=free, token=token)
            for job_id in job_ids:
                self._begin(job_id, token)
            if not job_ids:
                return

    def stop(self) -> None:
        """Begin no more, and let those end that are in progress, for a moment: what does not is repeated elsewhere."""
        super().stop()
        give_up_at = time.monotonic() + STOP_SECONDS
        for attempt in list(self._attempts):
            attempt.join(max(give_up_at - time.monotonic(), 0))

    def _begin(self, job_id: str, token: str) -> None:
        thread = threading.Thread(target=self._run_attempt, args=(job_id, token), name="webhook", daemon=True)
        self._attempts.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the machine has no room for another thread now
            self._attempts.discard(thread)
            raise

    def _run_attempt(self, job_id: str, token: str) -> None:
        try:
            with failures_logged(_NAME):
                self._attempt(job_id, token=token)
        finally:
            self._attempts.discard(threading.current_thread())


def dispatcher_of(ctx: WorkerContext, redis: RedisDatabase) -> WebhookDispatcher:
    """That of a worker."""
    due = DueDeliveries(redis)
    lookup = JobLookup(ctx.store, ctx.admin, ctx.storage)
    sender = WebhookSender(ctx.settings, FileLinks(ctx.settings, ctx.storage, LinkSecretStore(ctx.storage)))
    return WebhookDispatcher(due, WebhookDelivery(due, lookup, ctx.storage, sender).attempt)
