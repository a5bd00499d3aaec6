"""Job records in Redis and the protocol that keeps them true.

The record is the truth; a Celery message is only a hint to look at it. A worker claims a job under a lease, beats while
it works, and gives it up, fails it or commits it; whoever stays silent past the lease loses it to the next worker,
and the token of its claim no longer opens anything. The transitions themselves are in ``scripts/``.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from clipzy_storage import keys, redis_client
from clipzy_storage.contract import ErrorCode, Job, JobError, Status
from clipzy_storage.errors import JobNotFound
from clipzy_storage.process import ProcessIdentity

ReleaseReason = Literal["preempted", "transient", "crashed"]

_STATUS = {"running": Status.PROCESSING, "committing": Status.PROCESSING}
_UNCHANGING = {
    "schema_version",
    "owner",
    "job_id",
    "video_id",
    "filename",
    "source_key",
    "source_size_bytes",
    "source_sha256",
    "source_container",
    "storage_id",
    "config",
}


@dataclass(frozen=True)
class Claim:
    """One worker's hold on one job: valid until the lease runs out unrenewed."""

    job: Job
    token: str
    nonce: str


@dataclass(frozen=True)
class Decided:
    """A job whose end is fixed but not yet durable and visible."""

    job: Job
    token: str
    outcome: Literal["completed", "failed"]
    attempt_folder: str
    result_sha256: str


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


class JobStore:
    """The job records of one Redis. Every method may raise ``QueueUnavailable``."""

    def __init__(self, redis_url: str, *, lease_seconds: int, prefix: str = keys.REDIS_PREFIX) -> None:
        self._redis = redis_client.connect(redis_url)
        self._scripts = redis_client.Scripts(self._redis)
        self._prefix = prefix
        self.lease_seconds = lease_seconds

    # what a front end asks

    def ping(self) -> None:
        with redis_client.translated(certain=True):
            self._redis.ping()

    def submit(self, job: Job) -> Job:
        """Make the record, as ``queued``. The same job a second time changes nothing.

        Raises:
            QueueUnavailable: ``certain`` where no connection could be had or Redis refused, so that nothing was done.
        """
        record = job.model_dump_json(include=_UNCHANGING)
        with redis_client.translated(certain=True):
            redis_client.reach(self._redis)
        return _job(self._run("submit", job.job_id, job.owner, job.storage_id, record))

    def get(self, job_id: str, *, owner: str) -> Job:
        """Raises ``JobNotFound``, also where the job belongs to another owner."""
        with redis_client.translated():
            fields: Any = self._redis.hgetall(self._key(job_id))
        if not fields or fields["owner"] != owner:
            raise JobNotFound(job_id)
        return _job(fields)

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
            return [_job(fields) for fields in pipeline.execute() if fields], total

    # what a worker does with one job

    def claim(self, job_id: str, *, nonce: str, storage_id: str, stage: str = "") -> Claim | None:
        """Take the job if it is waiting and its files are on this storage; ``None`` where it is not for us.

        ``stage`` is where the work on it begins.
        """
        holder = json.dumps(ProcessIdentity.own().as_dict())
        token, *rest = self._run("claim", job_id, nonce, holder, storage_id, self._lease_ms, stage)
        return Claim(_job(rest[0]), token, nonce) if token else None

    def heartbeat(self, claim: Claim, *, percent: int, stage: str) -> bool:
        """Renew the lease and report; false where the job is no longer ours."""
        return bool(self._run("heartbeat", claim.job.job_id, claim.token, self._lease_ms, percent, stage))

    def release(
        self, claim: Claim, reason: ReleaseReason, *, message: str = ""
    ) -> Literal["queued", "delayed", "failed", ""]:
        """Give the job back, or fail it with ``message`` where it has been given back too often.

        ``queued`` wants a hint, ``delayed`` gets one from the reaper in its time, ``failed`` is decided and to be
        concluded by the caller; an empty answer says the job was not ours any more.
        """
        answer = self._run("release", claim.job.job_id, claim.token, reason, message)
        return cast(Literal["queued", "delayed", "failed", ""], answer)

    def commit(self, claim: Claim, *, attempt_folder: str, result_sha256: str) -> bool:
        """Make this attempt the one that counts; false where the job is no longer ours."""
        return bool(self._run("commit", claim.job.job_id, claim.token, attempt_folder, result_sha256))

    def fail(self, job_id: str, token: str, code: ErrorCode, message: str) -> bool:
        """Decide that the job has failed; false where ``token`` does not hold it."""
        return bool(self._run("fail", job_id, token, code.value, message))

    def decided(self, job_id: str, token: str) -> Decided | None:
        """What is to be made durable, as long as ``token`` holds it."""
        with redis_client.translated():
            fields: Any = self._redis.hgetall(self._key(job_id))
        if not fields or fields["state"] != "committing" or fields["token"] != token:
            return None
        outcome = fields["outcome"]
        progress = 100 if outcome == "completed" else fields["progress"]
        return Decided(
            _job(fields | {"state": outcome, "progress": progress}),
            token,
            outcome,
            fields.get("attempt_folder", ""),
            fields.get("result_sha256", ""),
        )

    def finish(self, job_id: str, token: str) -> Job | None:
        """Make the decided end visible; ``None`` where another holds the job now."""
        fields = self._run("finish", job_id, token)
        return _job(fields) if fields else None

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

    def may_reap(self, *, seconds: float) -> bool:
        """Whether the caller is the one to do the next pass; true for one caller in so many seconds."""
        with redis_client.translated():
            return bool(self._redis.set(f"{self._prefix}reaper", "1", nx=True, px=max(int(seconds * 900), 1)))

    def reap(self, gone: Iterable[Lease], *, nonce: str, expired_too: bool = True) -> Reaped:
        """Take jobs from holders that are ``gone``, and from those silent for a lease and half a lease of grace."""
        pairs = [part for lease in gone for part in (lease.job_id, lease.token)]
        requeued, adopted = self._run("reap", self._lease_ms // 2, self._lease_ms, nonce, int(expired_too), *pairs)
        return Reaped(list(requeued), list(zip(adopted[::2], adopted[1::2], strict=True)))

    def stale(self, *, queue_is_empty: bool) -> list[str]:
        """Waiting jobs whose hint was probably lost: half a lease old while no message waits, ten leases otherwise."""
        answer = self._run("stale", int(queue_is_empty), self._lease_ms // 2, self._lease_ms * 10)
        return list(answer)

    @property
    def _lease_ms(self) -> int:
        return self.lease_seconds * 1000

    def _key(self, job_id: str) -> str:
        return f"{self._prefix}job:{job_id}"

    def _run(self, script: str, *args: str | int) -> Any:
        with redis_client.translated():
            return self._scripts.run(script, prefix=self._prefix, args=list(args))


def _job(answer: Any) -> Job:
    """A record from a hash, given as a mapping or as the flat list that a script answers."""
    fields = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
    status = _STATUS.get(fields["state"]) or Status(fields["state"])
    error = None
    if status is Status.FAILED:
        error = JobError(
            code=fields["error_code"], stage=fields["error_stage"] or None, message=fields["error_message"]
        )
    return Job(
        **json.loads(fields["record"]),
        created_at=_moment(fields["created_ms"]),
        status=status,
        progress_percent=int(fields["progress"]),
        current_stage=(fields.get("stage") or None) if status is Status.PROCESSING else None,
        attempt=int(fields["attempt"]),
        started_at=_moment(fields.get("started_ms")),
        finished_at=_moment(fields.get("finished_ms")) if status.is_final else None,
        error=error,
        revision=int(fields["revision"]),
    )


def _moment(milliseconds: str | None) -> Any:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None
