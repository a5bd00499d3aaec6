"""Job records in Redis and their transitions, one Lua script each.

The record is the truth; a Celery message only notifies workers of it. A worker claims a job under a lease, sends
heartbeats while it works, and then releases, fails or commits the job. A worker that stays silent past its lease loses
the job to another, and the token of its claim is refused from then on. States and keys: ``docs/job-protocol.md``.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from clipzy_storage.errors import (
    CancellationRequested,
    JobNotFound,
    LostJob,
    QueueFull,
    VideoGone,
)
from clipzy_storage.jobs.listing import JobListing
from clipzy_storage.jobs.owner_accounts import OwnerAccounts
from clipzy_storage.jobs.owner_limits import OwnerLimits, any_if_none, too_many_unfinished, too_much_stored
from clipzy_storage.jobs.redis_record import (
    committed_job,
    fields_of,
    holder_json,
    job_of,
    milliseconds,
    pending_completion_of,
    readable,
    submitted_job,
    unchanging_part,
)
from clipzy_storage.jobs.scripts import run_script
from clipzy_storage.jobs.types import (
    CancelRequest,
    CancelVerdict,
    Claim,
    IdempotencyKey,
    Lease,
    LeaseState,
    PendingCompletion,
    Reaped,
    Released,
    ReleaseReason,
    Submitted,
    Work,
)
from clipzy_storage.models.output import PIPELINE_VERSION
from clipzy_storage.models.records import SCHEMA_VERSION, ErrorCode, Job, Queue
from clipzy_storage.models.result_cache_key import cache_key_of_result
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase, translated

log = structlog.stdlib.get_logger(__name__)


class JobStore:
    """The job records of one Redis, with limits for each owner. Every method may raise ``QueueUnavailable``."""

    def __init__(
        self, redis: RedisDatabase, *, lease_seconds: int, limits: OwnerLimits | None = None, worker: str = ""
    ) -> None:
        """``worker`` is the name of the one that claims jobs; none where a front end does."""
        self._redis = redis
        self._worker = worker
        self.lease_seconds = lease_seconds
        self.limits = limits or OwnerLimits()
        self.accounts = OwnerAccounts(redis, self.limits)
        self.listing = JobListing(redis)

    # called by front ends

    def has_room(self, limit: int) -> bool:
        """Whether there are fewer than ``limit`` unfinished jobs."""
        return bool(self._run("has_room", limit))

    def submit(self, job: Job, *, key: IdempotencyKey | None = None, limit: int | None = None) -> Submitted:
        """Create the record in state ``queued``. Submitting the same job twice changes nothing.

        ``limit`` is how many unfinished jobs there may be then.

        Raises:
            IdempotencyMismatch: ``key`` was used before, for another request; nothing is created.
            VideoGone: the video is being deleted.
            QueueFull: there are ``limit`` unfinished jobs, and ``key`` was not used before.
            QuotaExceeded: the same for the unfinished jobs of this owner, or for the bytes that it may have stored.
            QueueUnavailable: ``certain`` if no connection could be opened or Redis refused: nothing was created.
        """
        self._redis.connect()
        text, fingerprint = (key.text, key.fingerprint) if key else ("", "")
        record = unchanging_part(job)
        allowed = (limit, self.limits.unfinished_jobs, self.limits.stored_bytes)
        limits = [any_if_none(number) for number in allowed]
        verdict, *rest = self._run("submit", job.job_id, job.owner, job.storage_id, record, text, fingerprint, *limits)
        if verdict == "gone":
            raise VideoGone(job.video_id)
        if verdict == "full":
            raise QueueFull
        if verdict == "unfinished":
            raise too_many_unfinished(self.limits.unfinished_jobs or 0, rest[0])
        if verdict == "stored":
            raise too_much_stored(self.limits.stored_bytes or 0, rest[0])
        if verdict == "new":
            created_ms, revision = rest
            return Submitted(job.job_id, submitted_job(job, created_ms=created_ms, revision=revision))
        return Submitted.first(verdict, *rest)

    def request_cancellation(self, job_id: str, *, nonce: str) -> CancelRequest:
        """Have the job end as cancelled. ``nonce`` distinguishes this request from others."""
        verdict, token = self._run("cancel", job_id, nonce, self._lease_ms)
        return CancelRequest(CancelVerdict(verdict), token)

    def look_up(self, job_id: str, *, owner: str | None) -> tuple[Job, bool]:
        """The job, whoever owns it if ``owner`` is None, and whether the record is reconciled: if not, storage may know
        that the job has finished.

        Raises ``JobNotFound``, also if the job belongs to another owner.
        """
        answer = self._run("show", job_id)
        if not answer:
            raise JobNotFound(job_id)
        fields = fields_of(answer[0])
        if owner not in (None, fields.get("owner")):  # first: damage is its owner's alone to see
            raise JobNotFound(job_id)
        return job_of(fields), bool(answer[1])

    def find_cached(self, cache_key: str) -> list[str]:
        """Ids of finished jobs with this result cache key, newest first; some of those that Redis knows.

        Their results must be checked in storage before they are reused: storage may know better.
        """
        with translated():
            return list(self._redis.client.zrevrange(self._redis.key(f"recipe:{cache_key}"), 0, -1))

    # called by the holder of a job

    def claim(
        self, job_id: str, *, nonce: str, storage_id: str, stage: str = "", is_limited: bool = True
    ) -> Claim | None:
        """Claim a queued job under a lease, in its first ``stage``.

        None if it is not queued, not due, or stored elsewhere; or, if that ``is_limited``, if its owner has as many
        running jobs as it may: then the job is parked until ``unpark``.
        """
        holder = holder_json(ProcessIdentity.own(), worker=self._worker)
        args = (job_id, nonce, holder, storage_id, self._lease_ms, stage, SCHEMA_VERSION)
        token, *rest = self._run("claim", *args, any_if_none(self.limits.running_jobs if is_limited else None))
        if not token:
            return None
        record, is_reconciled, age_ms = rest
        return Claim(job_of(fields_of(record)), token, nonce, bool(is_reconciled), timedelta(milliseconds=age_ms))

    def lease_state(self, claim: Claim) -> LeaseState:
        """Whether the claim is still valid, and whether cancellation was requested."""
        with translated():
            fields = self._redis.client.hmget(self._record_key(claim.job.job_id), "state", "token", "cancel")
        state, token, cancel = fields
        if token != claim.token or state not in ("running", "committing"):
            return LeaseState.LOST
        return LeaseState.CANCELLATION_REQUESTED if cancel else LeaseState.HELD

    def heartbeat(self, claim: Claim, *, percent: int, stage: str) -> LeaseState:
        """Renew the lease and record the progress."""
        return LeaseState(self._run("heartbeat", claim.job.job_id, claim.token, self._lease_ms, percent, stage))

    def release(self, claim: Claim, reason: ReleaseReason, *, message: str = "") -> Released:
        """Return the job to the queue, or fail it with ``message`` if that has happened too often for ``reason``.

        Raises ``LostJob`` if the claim is no longer valid.
        """
        answer = self._run("release", claim.job.job_id, claim.token, reason, message)
        if not answer:
            raise LostJob(claim.job.job_id)
        return Released(answer)

    def commit(
        self,
        claim: Claim,
        *,
        attempt_prefix: str,
        result_sha256: str,
        attempt: int | None = None,
        pipeline_version: str = PIPELINE_VERSION,
        work: Work | None = None,
    ) -> PendingCompletion:
        """Make a result the job's: that of the claimed attempt, or of the earlier ``attempt``.

        ``work`` is what was done for it, and shows how fast workers are; None if the result was taken over.

        Raises:
            LostJob: the claim is no longer valid.
            CancellationRequested: the job must be cancelled instead; see ``confirm_cancelled``.
        """
        result = (attempt_prefix, result_sha256, attempt or claim.job.attempt, pipeline_version)
        done = (work.size_bytes, int(work.seconds * 1000)) if work else ("", "")
        answer, *rest = self._run("commit", claim.job.job_id, claim.token, *result, *done)
        if answer == "cancelled":
            raise CancellationRequested(claim.job.job_id)
        if answer != "committed":
            raise LostJob(claim.job.job_id)
        finished_ms, revision, is_restored = rest
        job = committed_job(claim.job, *result[2:], finished_ms=finished_ms, revision=revision)
        return PendingCompletion(
            job,
            claim.token,
            attempt_prefix,
            result_sha256,
            cancellation_requested=False,
            may_have_other_attempts=claim.job.attempt != 1 or bool(is_restored),
        )

    def confirm_cancelled(self, claim: Claim) -> None:
        """Fix the outcome ``cancelled``: the holder has stopped. Raises ``LostJob`` if the claim is no longer valid."""
        if not self._run("confirm_cancelled", claim.job.job_id, claim.token):
            raise LostJob(claim.job.job_id)

    def fail(self, job_id: str, token: str, code: ErrorCode, message: str) -> None:
        """Fix the outcome ``failed``, or ``cancelled`` if that was requested. Raises ``LostJob``."""
        if not self._run("fail", job_id, token, code.value, message):
            raise LostJob(job_id)

    def pending_completion(self, job_id: str, token: str) -> PendingCompletion | None:
        """The outcome to complete, as long as ``token`` holds the job."""
        with translated():
            fields = self._redis.client.hgetall(self._record_key(job_id))
        if not fields or fields["state"] != "committing" or fields["token"] != token:
            return None
        return pending_completion_of(fields, token)

    def finish(self, job: Job, token: str, *, result_bytes: int = 0) -> Job | None:
        """Make the outcome visible as the durable record ``job`` has it; None if another process holds the job.

        ``result_bytes`` count as its owner's.
        """
        error = (job.error.code.value, job.error.stage or "", job.error.message) if job.error else ("", "", "")
        about = (cache_key_of_result(job), job.pipeline_version or "", result_bytes, milliseconds(job.finished_at))
        revision = self._run("finish", job.job_id, token, job.status.value, job.attempt, *error, *about)
        return job.model_copy(update={"revision": revision}) if revision else None

    def unpark(self, owner: str) -> list[tuple[str, Queue]]:
        """Return as many parked jobs of the owner to their queues as may run now; workers must be notified of them."""
        return _with_queues(self._run("unpark", owner, any_if_none(self.limits.running_jobs)))

    # called by the reaper

    def owners_with_parked_jobs(self) -> set[str]:
        with translated():
            return set(self._redis.client.smembers(self._redis.key("jobs:parked:owners")))

    def leases(self) -> Iterable[Lease]:
        """Every job that a process holds."""
        with translated():
            ids = self._redis.client.zrange(self._redis.key("jobs:leases"), 0, -1)
            pipeline = self._redis.client.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hmget(self._record_key(job_id), "token", "holder")
            rows = pipeline.execute()
        for job_id, (token, holder) in zip(ids, rows, strict=True):
            if token:
                yield Lease(job_id, token, ProcessIdentity.from_json(holder) if holder else None)

    def reap(self, gone: Iterable[Lease], *, nonce: str, expired_too: bool = True) -> Reaped:
        """Take jobs from holders that are ``gone``, and from those silent for a lease and half a lease of grace."""
        pairs = [part for lease in gone for part in (lease.job_id, lease.token)]
        requeued, adopted = self._run("reap", self._lease_ms // 2, self._lease_ms, nonce, int(expired_too), *pairs)
        return Reaped(_with_queues(requeued), list(zip(adopted[::2], adopted[1::2], strict=True)))

    def find(self, job_id: str) -> Job | None:
        """The job whoever owns it; None if Redis does not know it, or its record is damaged."""
        with translated():
            return next(readable([self._redis.client.hgetall(self._record_key(job_id))]), None)

    def count_waiting(self, queue: Queue) -> int:
        """How many jobs of this queue wait for a worker and are due."""
        name = "jobs:queued" if queue is Queue.INTERACTIVE else f"jobs:queued:{queue}"
        with translated():
            return int(self._redis.client.zcard(self._redis.key(name)))

    def due_for_notification(self, *, notifications: Mapping[Queue, int]) -> list[tuple[str, Queue]]:
        """Waiting jobs that need a notification, of which the broker has as many as given in each queue.

        These are jobs whose delay is over and, if there are fewer notifications than waiting jobs, as many as are
        missing: those first whose last one is oldest, at least half a lease old.
        """
        counts = [notifications.get(queue, 0) for queue in Queue]
        return _with_queues(self._run("due_for_notification", self._lease_ms // 2, *counts))

    @property
    def _lease_ms(self) -> int:
        return self.lease_seconds * 1000

    def _record_key(self, job_id: str) -> str:
        return self._redis.key(f"job:{job_id}")

    def _run(self, script: str, *args: str | int) -> Any:
        return run_script(self._redis, script, *args)


def _with_queues(flat: list[str]) -> list[tuple[str, Queue]]:
    return [(job_id, Queue(queue)) for job_id, queue in zip(flat[::2], flat[1::2], strict=True)]
