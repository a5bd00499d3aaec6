"""Delivers the end of a job to its webhook, at least once; and again on request."""

import os
import random
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog

from clipzy_storage import metrics
from clipzy_storage.backends.base import Storage
from clipzy_storage.errors import DeliveryInProgress, StorageError, StorageUnavailable
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.lookup import JobLookup
from clipzy_storage.log_events import (
    WEBHOOK_ATTEMPT_FAILED,
    WEBHOOK_DELIVERED,
    WEBHOOK_GIVEN_UP,
    WEBHOOK_RECORD_FAILED,
    WEBHOOK_REPLAYED,
)
from clipzy_storage.models.deliveries import DeliveryAttempt, DeliveryRecord, DeliveryStatus
from clipzy_storage.models.records import Job
from clipzy_storage.webhooks import outbox
from clipzy_storage.webhooks.due_deliveries import DueDeliveries
from clipzy_storage.webhooks.receivers import Receivers
from clipzy_storage.webhooks.schedule import next_delay_seconds
from clipzy_storage.webhooks.sending import WebhookSender

RECORD_FAILED_AGAIN_SECONDS = 3600.0
"""When a delivery is tried again whose record is damaged, or had no room: an operator may have mended that by then."""

log = structlog.stdlib.get_logger(__name__)


class WebhookDelivery:
    """Makes the attempts at the deliveries that a process has claimed."""

    def __init__(
        self,
        due: DueDeliveries,
        lookup: JobLookup,
        storage: Storage,
        sender: WebhookSender,
        *,
        receivers: Receivers | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """``uniform`` chooses delays between two bounds."""
        self._due = due
        self._lookup = lookup
        self._storage = storage
        self._sender = sender
        self._receivers = receivers or Receivers()
        self._uniform = uniform

    def attempt(self, job_id: str, *, token: str) -> None:
        """Announce the job once, if that is still to be done, and schedule what follows; ``token`` has its delivery.

        Raises ``QueueUnavailable``, ``StorageUnavailable``: the attempt is repeated when the lease has expired.
        """
        try:
            delay_seconds = self._attempt(job_id)
        except StorageUnavailable:
            raise
        except StorageError as error:
            log.error(WEBHOOK_RECORD_FAILED, job_id=job_id, reason=str(error))
            delay_seconds = RECORD_FAILED_AGAIN_SECONDS
        self._due.settle(job_id, token=token, delay_seconds=delay_seconds)

    def _attempt(self, job_id: str) -> float | None:
        """Returns after how many seconds the next attempt is due; None if there is none."""
        job = self._lookup.find_finished(job_id)
        if job is None or job.webhook_url is None:  # it was deleted
            return None
        with about_job(job):
            record = outbox.read(self._storage, job)
            if record.status is not DeliveryStatus.PENDING:
                return None
            host = urlsplit(job.webhook_url).hostname or ""  # however it is written, and whichever the port
            with self._receivers.attempt(host) as may_attempt:
                return self._send(job, record) if may_attempt else self._receivers.turn_in_seconds(host)

    def _send(self, job: Job, record: DeliveryRecord) -> float | None:
        attempt, asked_seconds = self._sender.send(job, record.delivery_id)
        failpoint("webhook-sent")
        delay_seconds = None
        if not attempt.is_delivered:
            delay_seconds = next_delay_seconds(
                record.scheduled + 1, attempt.status_code, asked_seconds=asked_seconds, uniform=self._uniform
            )
        after = record.after(attempt, delay_seconds)
        outbox.write(self._storage, after)
        failpoint("delivery-recorded")
        _report(after, attempt, delay_seconds)
        return delay_seconds


def replay(due: DueDeliveries, storage: Storage, job: Job) -> DeliveryRecord:
    """Have the end of a finished job with a webhook delivered anew, from now on by the whole schedule.

    Raises ``DeliveryInProgress``, ``QueueUnavailable``, ``StorageError``.
    """
    token = os.urandom(8).hex()
    if not due.hold(job.job_id, token=token):
        raise DeliveryInProgress
    record = outbox.read(storage, job).replayed()
    outbox.write(storage, record)
    failpoint("replay-recorded")
    due.settle(job.job_id, token=token, delay_seconds=0)
    with about_job(job):
        log.info(WEBHOOK_REPLAYED, delivery_id=record.delivery_id)
    return record


def _report(record: DeliveryRecord, attempt: DeliveryAttempt, delay_seconds: float | None) -> None:
    about = {
        "delivery_id": record.delivery_id,
        "delivery_attempt": record.scheduled,
        "status_code": attempt.status_code,
    }
    if attempt.is_delivered:
        outcome = "delivered"
        log.info(WEBHOOK_DELIVERED, **about)
    elif delay_seconds is None:
        outcome = "given_up"
        log.warning(WEBHOOK_GIVEN_UP, **about, reason=attempt.error)
    else:
        outcome = "failed"
        log.info(WEBHOOK_ATTEMPT_FAILED, **about, reason=attempt.error, next_in_seconds=round(delay_seconds))
    metrics.count("clipzy_webhook_deliveries_total", outcome=outcome)
