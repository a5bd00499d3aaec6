"""What keeps the records of all jobs in step with storage: putting back what Redis lost, forgetting what is over."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Literal, cast

from clipzy_storage import redis_client
from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs.redis_record import milliseconds, unchanging_part
from clipzy_storage.jobs.store import Claim
from clipzy_storage.models.records import Job
from clipzy_storage.models.result_cache_key import cache_key_of_result
from clipzy_storage.redis_client import JobScripts

_BATCH = 500

Restored = Literal["restored", "ended", "known"]
Forgotten = Literal["forgotten", "unknown", "kept"]


class JobAdmin(JobScripts):
    """The records of one Redis, as a whole. Every method may raise ``QueueUnavailable``.

    ``epoch``: the run id of the server with which the records were last compared with storage. Where the server is
    another one (restarted, replaced, another took over) or the key is gone, what Redis knows may be old or nothing.
    """

    def server_run(self) -> str:
        """The run id of the server that answers now."""
        with redis_client.translated():
            info: Any = self._redis.info("server")
        return str(info["run_id"])

    def is_current(self) -> bool:
        """Whether the records were compared with storage since this server began."""
        with redis_client.translated():
            epoch: Any = self._redis.get(f"{self._prefix}epoch")
        return bool(epoch == self.server_run())

    def set_reconciled(self, run_id: str) -> None:
        """Say that the records have been compared with storage while the server ran under ``run_id``."""
        with redis_client.translated():
            self._redis.set(f"{self._prefix}epoch", run_id)

    def try_lock(self, name: str, *, seconds: float) -> bool:
        """Whether the caller is the one to do the work called ``name``; true for one caller in so many seconds."""
        with redis_client.translated():
            return bool(self._redis.set(f"{self._prefix}turn:{name}", "1", nx=True, px=max(int(seconds * 1000), 1)))

    def extend_lock(self, name: str, *, seconds: float) -> None:
        """Let the next turn come in so many seconds."""
        with redis_client.translated():
            self._redis.set(f"{self._prefix}turn:{name}", "1", px=max(int(seconds * 1000), 1))

    def age_of(self, job_id: str) -> timedelta:
        """Since the job began or, where it has, ended, by Redis' clock; endless where it is not known."""
        with redis_client.translated():
            seconds, microseconds = self._redis.time()
            moments: Any = self._redis.hmget(self._key(job_id), "created_ms", "finished_ms")
        latest_ms = max((int(moment) for moment in moments if moment), default=0)
        return timedelta(milliseconds=seconds * 1000 + microseconds // 1000 - latest_ms)

    def unfinished_ids(self) -> set[str]:
        """Every job that waits or is held."""
        listings = ("queued", "delayed", "leases")
        with redis_client.translated():
            found: Any = [self._redis.zrange(f"{self._prefix}jobs:{name}", 0, -1) for name in listings]
        return {job_id for ids in found for job_id in ids}

    def ended_ids(self) -> set[str]:
        """Every finished job that Redis still knows."""
        with redis_client.translated():
            ids: Any = self._redis.zrange(f"{self._prefix}jobs:ended", 0, -1)
        return set(ids)

    def unknown(self, job_ids: Iterable[str]) -> Iterator[str]:
        """Those of which Redis has no record."""
        for some in _batches(job_ids):
            with redis_client.translated():
                pipeline = self._redis.pipeline(transaction=False)
                for job_id in some:
                    pipeline.exists(self._key(job_id))
                there = pipeline.execute()
            yield from (job_id for job_id, is_known in zip(some, there, strict=True) if not is_known)

    def restore(self, job: Job) -> Restored:
        """Make Redis know the job as its durable record has it: as waiting, or as ended."""
        error = (job.error.code.value, job.error.stage or "", job.error.message) if job.error else ("", "", "")
        moments = (milliseconds(job.started_at), milliseconds(job.finished_at))
        args: list[str | int] = [job.job_id, job.owner, job.storage_id, unchanging_part(job)]
        args += [milliseconds(job.created_at), job.status.value]
        if job.status.is_final:
            args += [job.attempt, job.progress_percent, *moments, *error, int(job.expired)]
            args += [cache_key_of_result(job), job.pipeline_version or ""]
        return cast(Restored, self._run("restore", *args))

    def forget(self, job_id: str, *, while_it_is: Literal["final", "queued"]) -> Forgotten:
        """Remove the record, which storage has no trace of, as long as it is in that state."""
        return cast(Forgotten, self._run("forget", job_id, while_it_is, ""))

    def forget_claimed(self, claim: Claim) -> Forgotten:
        """Remove the record that the caller holds."""
        return cast(Forgotten, self._run("forget", claim.job.job_id, "running", claim.token))

    def prune(self, *, older_than_seconds: float) -> int:
        """Forget jobs that ended so long ago, some hundreds at a time; storage keeps their records."""
        return int(self._run("prune", int(older_than_seconds * 1000)))

    def expire(self, job_id: str) -> bool:
        """Note that the job's result is kept no longer; false where Redis does not know it as finished."""
        return bool(self._run("expire", job_id))

    def block_video(self, video_id: str) -> Literal["dropped", "in use"]:
        """Let no more jobs over this video in, unless unfinished ones are.

        Raises:
            QueueUnavailable: also while the records are not known to be complete.
        """
        if not self.is_current():
            raise QueueUnavailable("the job records are being compared with storage", certain=True)
        return cast(Literal["dropped", "in use"], self._run("block_video", video_id))


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    some: list[str] = []
    for one in ids:
        some.append(one)
        if len(some) == _BATCH:
            yield some
            some = []
    if some:
        yield some
