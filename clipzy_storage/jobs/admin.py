"""Administration of all job records: reconciliation with storage, locks, retention."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs.redis_record import milliseconds, unchanging_part, whole_fields
from clipzy_storage.jobs.scripts import run_script
from clipzy_storage.jobs.types import Claim
from clipzy_storage.models.records import Job
from clipzy_storage.models.result_cache_key import cache_key_of_result
from clipzy_storage.redis_client import RedisDatabase, translated

_BATCH_SIZE = 500
FORGET_COUNTS_SECONDS = 24 * 3600
"""When counts that were interrupted are no more in progress."""

Restored = Literal["restored", "ended", "known"]
Forgotten = Literal["forgotten", "unknown", "kept"]
Sweepable = Literal["results", "uploads"]


class JobAdmin:
    """The job records of one Redis, as a whole. Every method may raise ``QueueUnavailable``.

    The records are reconciled if they were compared with storage under the run id of the server that answers now. If
    the server was restarted or replaced, or the key is gone, its records may be old or missing.
    """

    def __init__(self, redis: RedisDatabase) -> None:
        self._redis = redis

    def run_id(self) -> str:
        """The run id of the Redis server that answers now."""
        with translated():
            return str(self._redis.client.info("server")["run_id"])

    def is_reconciled(self) -> bool:
        """Whether the records were compared with storage since this server started."""
        with translated():
            reconciled_run_id = self._redis.client.get(self._redis.key("epoch"))
        return bool(reconciled_run_id == self.run_id())

    def set_reconciled(self, run_id: str) -> None:
        """Record that the records were compared with storage while the server ran under ``run_id``."""
        with translated():
            self._redis.client.set(self._redis.key("epoch"), run_id)

    def try_lock(self, name: str, *, ttl_seconds: float) -> bool:
        """Take the lock ``name``, which expires by itself; false if another process holds it."""
        with translated():
            return bool(self._redis.client.set(self._lock_key(name), "1", nx=True, px=_milliseconds(ttl_seconds)))

    def extend_lock(self, name: str, *, ttl_seconds: float) -> None:
        """Have the lock ``name`` expire in ``ttl_seconds``, whoever took it."""
        with translated():
            self._redis.client.set(self._lock_key(name), "1", px=_milliseconds(ttl_seconds))

    def is_locked(self, name: str) -> bool:
        """Whether any process holds the lock ``name``."""
        with translated():
            return bool(self._redis.client.exists(self._lock_key(name)))

    def now(self) -> datetime:
        """The time by the clock of Redis, which is one for all processes."""
        with translated():
            seconds, microseconds = self._redis.client.time()
        return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)

    def swept_until(self, what: Sweepable) -> datetime:
        """Up to which time an earlier pass of the garbage collector has seen all there was; very early if none has."""
        with translated():
            seconds = self._redis.client.hget(self._redis.key("swept"), what)
        return datetime.fromtimestamp(float(seconds or 0), UTC)

    def set_swept_until(self, what: Sweepable, moment: datetime) -> None:
        with translated():
            self._redis.client.hset(self._redis.key("swept"), what, moment.timestamp())

    def age_of(self, job_id: str) -> timedelta:
        """Time since the job was created or, if it has finished, since then; very long if it is unknown."""
        with translated():
            seconds, microseconds = self._redis.client.time()
            fields = whole_fields(self._redis.client.hgetall(self._record_key(job_id)))
        latest_ms = max(int(fields.get(name, 0)) for name in ("created_ms", "finished_ms"))
        return timedelta(milliseconds=seconds * 1000 + microseconds // 1000 - latest_ms)

    def unfinished_ids(self) -> set[str]:
        """Every job that waits or is held."""
        listings = ("queued", "queued:batch", "delayed", "parked", "leases")
        with translated():
            found = [self._redis.client.zrange(self._redis.key(f"jobs:{name}"), 0, -1) for name in listings]
        return {job_id for ids in found for job_id in ids}

    def finished_ids(self) -> set[str]:
        """Every finished job that Redis still knows."""
        with translated():
            return set(self._redis.client.zrange(self._redis.key("jobs:ended"), 0, -1))

    def unknown(self, job_ids: Iterable[str]) -> Iterator[str]:
        """Those of which Redis has no record."""
        for batch in _batches(job_ids):
            with translated():
                pipeline = self._redis.client.pipeline(transaction=False)
                for job_id in batch:
                    pipeline.exists(self._record_key(job_id))
                known = pipeline.execute()
            yield from (job_id for job_id, is_known in zip(batch, known, strict=True) if not is_known)

    def restore(self, job: Job) -> Restored:
        """Make the record what the durable record says: queued or finished."""
        error = (job.error.code.value, job.error.stage or "", job.error.message) if job.error else ("", "", "")
        moments = (milliseconds(job.started_at), milliseconds(job.finished_at))
        args: list[str | int] = [job.job_id, job.owner, job.storage_id, unchanging_part(job)]
        args += [milliseconds(job.created_at), job.status.value]
        if job.status.is_final:
            args += [job.attempt, job.progress_percent, *moments, *error, int(job.expired)]
            args += [cache_key_of_result(job), job.pipeline_version or ""]
        return cast(Restored, self._run("restore", *args))

    def forget(self, job_id: str, *, while_it_is: Literal["final", "queued"]) -> Forgotten:
        """Delete the record of a job that storage no longer knows, as long as it is in that state."""
        return cast(Forgotten, self._run("forget", job_id, while_it_is, ""))

    def forget_claimed(self, claim: Claim) -> Forgotten:
        """Delete the record that the caller holds."""
        return cast(Forgotten, self._run("forget", claim.job.job_id, "running", claim.token))

    def prune(self, *, older_than_seconds: float) -> int:
        """Delete records of jobs that finished so long ago, at most 500 at a time; storage keeps the durable ones."""
        return int(self._run("prune", int(older_than_seconds * 1000)))

    def expire(self, job_id: str) -> bool:
        """Record that the job's result has expired; false if Redis does not know the job as finished."""
        return bool(self._run("expire", job_id))

    def schedule_delivery(self, job_id: str) -> None:
        """Have the end of a finished job delivered to its webhook now, unless that is scheduled already."""
        self._run("schedule_delivery", job_id)

    def block_video(self, video_id: str) -> bool:
        """Refuse new jobs over this video from now on; false if unfinished ones use it.

        Raises:
            QueueUnavailable: also while the records are not reconciled.
        """
        if not self.is_reconciled():
            raise QueueUnavailable("the job records are being compared with storage", certain=True)
        return bool(self._run("block_video", video_id))

    def set_stored(self, owner: str, video_or_job_id: str, size_bytes: int) -> None:
        """Count so many bytes in storage as the owner's; 0 once they are deleted."""
        self._run("set_stored", owner, video_or_job_id, size_bytes, "")

    def add_stored(self, owner: str, sizes: Mapping[str, int]) -> None:
        """The same for many, except those that are counted already or were deleted since ``begin_count``."""
        for batch in _batches(sizes):
            self._run("set_stored", owner, *(part for one in batch for part in (one, sizes[one], "none")))

    def correct_stored(self, owner: str, video_or_job_id: str, size_bytes: int, *, instead_of: int) -> None:
        """Count so many bytes, unless something else was counted since it was ``instead_of``."""
        self._run("set_stored", owner, video_or_job_id, size_bytes, instead_of)

    def stored(self) -> dict[str, dict[str, int]]:
        """What is counted of every owner, by the id of video or job; 0 for what was deleted during a count."""
        found = {}
        with translated():
            for owner in list(self._redis.client.smembers(self._redis.key("stored:owners"))):
                sizes: Any = self._redis.client.hgetall(self._redis.key(f"owner:{owner}:stored"))
                found[owner] = {one: int(size) for one, size in sizes.items()}
        return found

    def owners_of_finished(self) -> dict[str, tuple[str, str]]:
        """Of every finished job that Redis knows, its owner and its video."""
        found = {}
        for batch in _batches(self.finished_ids()):
            with translated():
                pipeline = self._redis.client.pipeline(transaction=False)
                for job_id in batch:
                    pipeline.hmget(self._record_key(job_id), "owner", "record")
                rows = pipeline.execute()
            for job_id, (owner, record) in zip(batch, rows, strict=True):
                with suppress(KeyError, TypeError, ValueError):  # it is gone, or damaged, which other passes report
                    found[job_id] = (str(owner), str(json.loads(record)["video_id"]))
        return found

    def is_counted(self) -> bool:
        """Whether what owners have stored was counted since this Redis was started."""
        with translated():
            return bool(self._redis.client.exists(self._redis.key("stored:counted")))

    def begin_count(self) -> str:
        """From now on what is deleted is remembered. Returns the name of this count; others may be in progress."""
        count, in_progress = os.urandom(8).hex(), self._redis.key("stored:counting")
        with translated():
            self._redis.client.sadd(in_progress, count)
            self._redis.client.expire(in_progress, FORGET_COUNTS_SECONDS)
        return count

    def end_count(self, count: str) -> None:
        """What was deleted meanwhile need not be remembered any more, unless another count is in progress."""
        with translated():
            self._redis.client.srem(self._redis.key("stored:counting"), count)
            self._redis.client.set(self._redis.key("stored:counted"), 1)
        for owner, sizes in self.stored().items():
            for one in [one for one, size in sizes.items() if size == 0]:
                self.correct_stored(owner, one, 0, instead_of=0)

    def recount(self) -> None:
        """Have what owners have stored counted anew, since Redis may have been set back."""
        with translated():
            self._redis.client.delete(self._redis.key("stored:counted"))

    def _run(self, script: str, *args: str | int) -> Any:
        return run_script(self._redis, script, *args)

    def _record_key(self, job_id: str) -> str:
        return self._redis.key(f"job:{job_id}")

    def _lock_key(self, name: str) -> str:
        return self._redis.key(f"turn:{name}")


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for one in ids:
        batch.append(one)
        if len(batch) == _BATCH_SIZE:
            yield batch
            batch = []
    if batch:
        yield batch
