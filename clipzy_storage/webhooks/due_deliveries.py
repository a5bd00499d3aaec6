"""Which jobs' ends are due for their webhooks, by the index in Redis; one process at a time has the delivery of a job.

The index is filled by the scripts that make an end visible, and again when Redis is rebuilt. What has been delivered is
known in storage only, by the ``DeliveryRecord``.
"""

from typing import Any

from clipzy_storage.jobs.scripts import run_script
from clipzy_storage.redis_client import RedisDatabase

LEASE_SECONDS = 60.0
"""More than an attempt takes, and the writing of its record: then another process repeats it."""


class DueDeliveries:
    """The index in one Redis. Every method may raise ``QueueUnavailable``."""

    def __init__(self, redis: RedisDatabase, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._redis = redis
        self._lease_ms = int(lease_seconds * 1000)

    def claim(self, *, limit: int, token: str) -> list[str]:
        """Take at most so many deliveries that are due, by the ids of their jobs."""
        return list(self._run("claim_deliveries", limit, self._lease_ms, token))

    def hold(self, job_id: str, *, token: str) -> bool:
        """Take the delivery of this job, due or not; false if another process has it."""
        return bool(self._run("hold_delivery", job_id, token, self._lease_ms))

    def settle(self, job_id: str, *, token: str, delay_seconds: float | None) -> None:
        """Return a delivery: it is due again after the delay, or never. Nothing if another process has it by now."""
        self._run("settle_delivery", job_id, token, "" if delay_seconds is None else int(delay_seconds * 1000))

    def _run(self, script: str, *args: str | int) -> Any:
        return run_script(self._redis, script, *args)
