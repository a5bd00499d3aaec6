"""Job records in Redis and the protocol that keeps them true.

The record is the truth; a Celery message is only a hint to look at it. A worker claims a job under a lease, beats while
it works, and gives it up, fails it or commits it; whoever stays silent past the lease loses it to the next worker,
and the token of its claim no longer opens anything. The transitions themselves are in ``scripts/``.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

from clipzy_storage import keys, redis_client
from clipzy_storage.errors import AnsweredBefore, Damaged, IdempotencyMismatch, JobNotFound, VideoGone
from clipzy_storage.jobs.redis_record import job_of, unchanging_part
from clipzy_storage.models.output import PIPELINE_VERSION
from clipzy_storage.models.records import SCHEMA_VERSION, ErrorCode, Job, Status
from clipzy_storage.models.result_cache_key import cache_key_of_result
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import JobScripts

ReleaseReason = Literal["preempted", "transient", "crashed"]
Released = Literal["queued", "delayed", "decided", ""]
Held = Literal["held", "cancel", "lost"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """One worker's hold on one job: valid until the lease runs out unrenewed."""

    job: Job
    token: str
    nonce: str
    is_reconciled: bool = True  # false while storage may know more of the job than this Redis does
    age: timedelta = timedelta()  # since the job was made, by Redis' clock


@dataclass(frozen=True)
class PendingCompletion:
    """A job whose end is fixed but not yet durable and visible."""

    job: Job
    token: str
    attempt_folder: str
    result_sha256: str
    was_to_be_cancelled: bool  # somebody asked for it, whatever came of it
    may_have_leftovers: bool  # other attempts may have written files


@dataclass(frozen=True)
class IdempotencyKey:
    """What a client calls one request of its own, and a digest of what it sent with it."""

    text: str
    fingerprint: str


@dataclass(frozen=True)
class CancelRequest:
    """``decided`` carries the token with which the caller is to conclude the job."""

    verdict: Literal["decided", "requested", "finished", "unknown"]
    token: str


@dataclass(frozen=True)
class Lease:
    job_id: str
    token: str
    holder: ProcessIdentity | None


@dataclass(frozen=True)
class Reaped:
    """What one pass of the reaper took away: ``requeued`` want a hint, ``adopted`` (id, token) want concluding."""

    requeued: list[str]
    adopted: list[tuple[str, str]]


class JobStore(JobScripts):
    """The job records of one Redis. Every method may raise ``QueueUnavailable``."""

    def __init__(
        self,
        redis_url: str,
        *,
        lease_seconds: int,
        prefix: str = keys.REDIS_PREFIX,
        answer_seconds: float = redis_client.ANSWER_SECONDS,
    ) -> None:
        super().__init__(redis_url, prefix=prefix, answer_seconds=answer_seconds)
        self.lease_seconds = lease_seconds

    # what a front end asks

    def ping(self) -> None:
        with redis_client.translated(certain=True):
            self._redis.ping()

    def submit(self, job: Job, *, key: IdempotencyKey | None = None) -> Job:
        """Make the record, as ``queued``. The same job a second time changes nothing.

        Raises:
            AnsweredBefore, Damaged, IdempotencyMismatch: ``key`` was used before; nothing is made.
            VideoGone: the job's video is being removed.
            QueueUnavailable: ``certain`` where no connection could be had or Redis refused, so that nothing was done.
        """
        with redis_client.translated(certain=True):
            redis_client.reach(self._redis)
        text, fingerprint = (key.text, key.fingerprint) if key else ("", "")
        record = unchanging_part(job)
        verdict, *rest = self._run("submit", job.job_id, job.owner, job.storage_id, record, text, fingerprint)
        if verdict == "gone":
            raise VideoGone(job.video_id)
        _check_key(verdict, rest)
        return job_of(rest[0])

    def remember_video(self, video_id: str, *, owner: str, key: IdempotencyKey) -> None:
        """Keep for a day what came of this key. Raises as ``submit`` does where it was used before."""
        with redis_client.translated(certain=True):
            redis_client.reach(self._redis)
        verdict, *rest = self._run("remember", owner, key.text, key.fingerprint, video_id)
        _check_key(verdict, rest)

    def request_cancel(self, job_id: str, *, nonce: str) -> CancelRequest:
        """Have the job end as cancelled; ``nonce`` tells this request from others."""
        verdict, token = self._run("cancel", job_id, nonce, self._lease_ms)
        return CancelRequest(verdict, token)

    def get(self, job_id: str, *, owner: str) -> Job:
        """Raises ``JobNotFound``, also where the job belongs to another owner."""
        return self.look_up(job_id, owner=owner)[0]

    def look_up(self, job_id: str, *, owner: str) -> tuple[Job, bool]:
        """The job, and whether it is certain that it has not ended: false while storage may know more than Redis.

        Raises ``JobNotFound``, also where the job belongs to another owner.
        """
        answer = self._run("show", job_id)
        if not answer or (job := job_of(answer[0])).owner != owner:
            raise JobNotFound(job_id)
        return job, bool(answer[1])

    def page(self, *, owner: str, status: Status | None, number: int, page_size: int) -> tuple[list[Job], int]:
        """One page, newest first, and how many there are in all."""
        listing = f"{self._prefix}jobs:of:{owner}" + (f":{status.value}" if status else "")
        first = (number - 1) * page_size
        with redis_client.translated():
            total: Any = self._redis.zcard(listing)
            ids: Any = self._redis.zrevrange(listing, first, first + page_size - 1)
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hgetall(self._key(job_id))
            return list(_understood(pipeline.execute())), total

    # what a worker does with one job

    def claim(self, job_id: str, *, nonce: str, storage_id: str, stage: str = "") -> Claim | None:
        """Take the job if it is waiting and its files are on this storage; ``None`` where it is not for us.

        ``stage`` is where the work on it begins.
        """
        holder = json.dumps(ProcessIdentity.own().as_dict())
        args = (job_id, nonce, holder, storage_id, self._lease_ms, stage, SCHEMA_VERSION)
        token, *rest = self._run("claim", *args)
        if not token:
            return None
        return Claim(job_of(rest[0]), token, nonce, bool(rest[1]), timedelta(milliseconds=int(rest[2])))

    def look(self, claim: Claim) -> Held:
        """Whether the job is still ours, and whether somebody wants it cancelled."""
        with redis_client.translated():
            fields: Any = self._redis.hmget(self._key(claim.job.job_id), "state", "token", "cancel")
        state, token, cancel = fields
        if token != claim.token or state not in ("running", "committing"):
            return "lost"
        return "cancel" if cancel else "held"

    def heartbeat(self, claim: Claim, *, percent: int, stage: str) -> Held:
        """Renew the lease and report; answers what ``look`` does."""
        return cast(Held, self._run("heartbeat", claim.job.job_id, claim.token, self._lease_ms, percent, stage))

    def release(self, claim: Claim, reason: ReleaseReason, *, message: str = "") -> Released:
        """Give the job back, or fail it with ``message`` where it has been given back too often.

        ``queued`` wants a hint, ``delayed`` gets one from the reaper in its time, ``decided`` is to be concluded by the
        caller; an empty answer says the job was not ours any more.
        """
        return cast(Released, self._run("release", claim.job.job_id, claim.token, reason, message))

    def commit(
        self,
        claim: Claim,
        *,
        attempt_folder: str,
        result_sha256: str,
        attempt: int | None = None,
        pipeline_version: str = PIPELINE_VERSION,
    ) -> PendingCompletion | Literal["cancelled", ""]:
        """Make a result the one that counts, that of the claimed attempt or of the earlier ``attempt``.

        Otherwise empty where the job is no longer ours, ``cancelled`` where somebody wants it so: then abandon it.
        """
        result = (attempt_folder, result_sha256, attempt or claim.job.attempt, pipeline_version)
        answer, *rest = self._run("commit", claim.job.job_id, claim.token, *result)
        return _decided(rest[0], claim.token) if rest else cast(Literal["cancelled", ""], answer)

    def abandon(self, claim: Claim) -> bool:
        """Decide that the job is cancelled; false where it is no longer ours."""
        return bool(self._run("abandon", claim.job.job_id, claim.token))

    def fail(self, job_id: str, token: str, code: ErrorCode, message: str) -> bool:
        """Decide that the job has failed, or is cancelled where that was wanted; false where ``token`` is not its."""
        return bool(self._run("fail", job_id, token, code.value, message))

    def decided(self, job_id: str, token: str) -> PendingCompletion | None:
        """What is to be made durable, as long as ``token`` holds it."""
        with redis_client.translated():
            fields: Any = self._redis.hgetall(self._key(job_id))
        if not fields or fields["state"] != "committing" or fields["token"] != token:
            return None
        return _decided(fields, token)

    def finish(self, job: Job, token: str) -> Job | None:
        """Make the end visible as ``job``, the durable record, has it; ``None`` where another holds the job now."""
        error = (job.error.code.value, job.error.stage or "", job.error.message) if job.error else ("", "", "")
        offered = (cache_key_of_result(job), job.pipeline_version or "")
        fields = self._run("finish", job.job_id, token, job.status.value, job.attempt, *error, *offered)
        return job_of(fields) if fields else None

    def find_cached(self, recipe: str) -> list[str]:
        """Ids of finished jobs of this recipe, newest first: some of those that Redis knows, if any.

        Their results are to be looked at before they are given to another: storage may know better.
        """
        with redis_client.translated():
            ids: Any = self._redis.zrevrange(f"{self._prefix}recipe:{recipe}", 0, -1)
        return list(ids)

    # what the reaper does with all of them

    def leases(self) -> Iterable[Lease]:
        """Every job that somebody holds, and who."""
        with redis_client.translated():
            ids: Any = self._redis.zrange(f"{self._prefix}jobs:leases", 0, -1)
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hmget(self._key(job_id), "token", "holder")
            rows = pipeline.execute()
        for job_id, (token, holder) in zip(ids, rows, strict=True):
            if token:
                yield Lease(job_id, token, ProcessIdentity.from_dict(json.loads(holder)) if holder else None)

    def reap(self, gone: Iterable[Lease], *, nonce: str, expired_too: bool = True) -> Reaped:
        """Take jobs from holders that are ``gone``, and from those silent for a lease and half a lease of grace."""
        pairs = [part for lease in gone for part in (lease.job_id, lease.token)]
        requeued, adopted = self._run("reap", self._lease_ms // 2, self._lease_ms, nonce, int(expired_too), *pairs)
        return Reaped(list(requeued), list(zip(adopted[::2], adopted[1::2], strict=True)))

    def stale(self, *, queue_is_empty: bool) -> list[str]:
        """Waiting jobs whose hint was probably lost: half a lease old while no message waits, ten leases otherwise."""
        answer = self._run("due_for_notification", int(queue_is_empty), self._lease_ms // 2, self._lease_ms * 10)
        return list(answer)

    @property
    def _lease_ms(self) -> int:
        return self.lease_seconds * 1000


def _understood(records: Iterable[Any]) -> Iterator[Job]:
    """A record that cannot be understood must not hide the others."""
    for fields in records:
        try:
            if fields:
                yield job_of(fields)
        except Damaged as error:
            log.error("record.damaged: %s", error)


def _decided(answer: Any, token: str) -> PendingCompletion:
    fields = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
    outcome = fields["outcome"]
    progress = 100 if outcome == "completed" else fields["progress"]
    return PendingCompletion(
        job_of(fields | {"state": outcome, "progress": progress}),
        token,
        fields.get("attempt_folder", ""),
        fields.get("result_sha256", ""),
        was_to_be_cancelled="cancel" in fields,
        may_have_leftovers=fields["attempt"] != "1" or "restored" in fields or outcome != "completed",
    )


def _check_key(verdict: str, rest: list[Any]) -> None:
    if verdict == "mismatch":
        raise IdempotencyMismatch
    if verdict == "same":
        raise AnsweredBefore(str(rest[0]))
