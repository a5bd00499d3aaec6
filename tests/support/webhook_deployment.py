"""The parts of one deployment that deliver to webhooks: real records, and what a worker's thread does for them."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipzy_storage import keys
from clipzy_storage.access.file_links import FileLinks
from clipzy_storage.access.link_secrets import LinkSecretStore
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.lookup import JobLookup
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.deliveries import DeliveryRecord
from clipzy_storage.models.records import Job
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.webhooks import outbox
from clipzy_storage.webhooks.delivery import WebhookDelivery
from clipzy_storage.webhooks.due_deliveries import DueDeliveries
from clipzy_storage.webhooks.sending import WebhookSender
from tests.support import finished_jobs
from tests.support.webhook_receiver import SECRET

DUE = f"{keys.REDIS_PREFIX}webhooks:due"


@dataclass
class WebhookDeployment:
    """One storage and one Redis, and one worker's part in deliveries. ``given`` are settings."""

    root: Path
    redis_url: str
    given: dict[str, str] = field(default_factory=dict)
    timeout_seconds: float = 5.0

    def __post_init__(self) -> None:
        self.settings = settings_from_env(
            {"WEBHOOK_SECRETS": SECRET, "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1"} | self.given
        )
        self.storage = LocalStorage(self.root, shared=False, free_reserve_bytes=0)
        self.storage.prepare()
        self.redis = RedisDatabase(self.redis_url)
        self.store, self.admin = JobStore(self.redis, lease_seconds=60), JobAdmin(self.redis)
        self.due = DueDeliveries(self.redis)
        self.links = FileLinks(self.settings, self.storage, LinkSecretStore(self.storage))
        sender = WebhookSender(self.settings, self.links, timeout_seconds=self.timeout_seconds)
        lookup = JobLookup(self.store, self.admin, self.storage)
        self.delivery = WebhookDelivery(self.due, lookup, self.storage, sender, uniform=lambda least, _most: least)

    def completed(self, url: str | None, **changes: Any) -> Job:
        """A job with this webhook that has just been completed."""
        return finished_jobs.completed(self.store, self.storage, webhook_url=url, **changes)

    def deliver(self) -> list[str]:
        """Attempt all that is due now, one after the other. Returns the ids of the jobs."""
        token = os.urandom(8).hex()
        job_ids = self.due.claim(limit=100, token=token)
        for job_id in job_ids:
            self.delivery.attempt(job_id, token=token)
        return job_ids

    def record(self, job: Job) -> DeliveryRecord:
        return outbox.read(self.storage, job)

    def due_in_seconds(self, job: Job) -> float | None:
        """In how many seconds the delivery is due, to the second; None if it is not."""
        score = self.redis.client.zscore(DUE, job.job_id)
        return None if score is None else round(score / 1000 - self.admin.now().timestamp())

    def let_pass(self, seconds: float) -> None:
        """What time does, without waiting for it: everything is due so much earlier."""
        for job_id in self.redis.client.zrange(DUE, 0, -1):
            self.redis.client.zincrby(DUE, -1000 * seconds, job_id)
