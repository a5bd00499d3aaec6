"""Gives a job the result of an earlier one with the same result cache key, instead of analysing the video again.

Every file is copied into the job's own attempt by the process that holds the job, and is committed like the result of
an analysis; whether the copy takes space of its own is up to the storage. So the earlier job may be deleted or expire
at any moment, also during the copy.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, put_bytes, read_bytes
from clipzy_storage.errors import Damaged, NotFound, StorageError, StorageUnavailable
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.output import PIPELINE_VERSION, Output
from clipzy_storage.models.records import Job, rfc3339
from clipzy_storage.models.result_cache_key import cache_key_of_result, result_cache_key

MAX_CANDIDATES = 3  # a result that turns out to be gone costs time too
CONCURRENT_COPIES = 8

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class CachedResult:
    """A finished job and its result, whose files are all under ``prefix``."""

    job_id: str
    prefix: str
    output: Output

    @property
    def size_bytes(self) -> int:
        """Of all files that it lists."""
        return sum(artifact.size_bytes for artifact in self.output.artifacts)


def is_allowed(job: Job) -> bool:
    """Whether the job's ``config`` allows to reuse a result."""
    try:
        return JobConfig.model_validate(job.config).reuse
    except ValidationError:  # a config of a later Clipzy
        return False


def find_cached_result(store: JobStore, storage: Storage, job: Job, *, max_bytes: int) -> CachedResult | None:
    """The latest result that the job may be given, as storage has it now; none over ``max_bytes``.

    Raises ``QueueUnavailable``, ``StorageUnavailable``.
    """
    if not is_allowed(job) or not (cache_key := result_cache_key(job)):
        return None
    candidates = [job_id for job_id in store.find_cached(cache_key) if job_id != job.job_id]
    for job_id in candidates[:MAX_CANDIDATES]:
        try:
            cached = _read(storage, job_id, cache_key)
            if cached and cached.size_bytes <= max_bytes:
                return cached
        except StorageUnavailable:
            raise
        except NotFound:
            log.info("cache.missing", reused_from=job_id)  # its deletion has not reached Redis
        except StorageError as error:
            log.warning("cache.damaged", reused_from=job_id, reason=str(error))
    return None


def copy_result(
    storage: Storage, cached: CachedResult, job: Job, *, prefix: str, on_progress: Callable[[], object] = lambda: None
) -> bytes:
    """Write the cached result under ``prefix`` as the one of ``job``. Returns its ``output.json``.

    ``on_progress`` is called repeatedly and may raise to stop the copy. What was written until then stays, also if one
    of these is raised: ``NotFound``, ``Damaged``, ``StorageFull``, ``StorageUnavailable``.
    """
    with ThreadPoolExecutor(CONCURRENT_COPIES, "result-copy") as pool:
        copies = [
            pool.submit(storage.copy, artifact.key, prefix + artifact.name, sha256=artifact.sha256)
            for artifact in cached.output.artifacts
        ]
        try:
            for copy in as_completed(copies):
                copy.result()
                failpoint("artifact-stored")
                on_progress()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    index = _rewritten(cached, job, prefix).to_json()
    put_bytes(storage, prefix + "output.json", index, content_type="application/json")
    failpoint("attempt-stored")
    return index


def _read(storage: Storage, job_id: str, cache_key: str) -> CachedResult | None:
    """Raises ``StorageError``."""
    if cache_key_of_result(durable_records.read_done(storage, job_id)) != cache_key:
        return None
    try:
        output = Output.model_validate_json(read_bytes(storage, keys.result_index(job_id)))
    except ValidationError as error:
        raise Damaged("its output.json is damaged") from error
    prefix = next((one.key.removesuffix(one.name) for one in output.artifacts), "")
    is_its_own = prefix == "" or prefix.startswith(f"{keys.result_prefix(job_id)}attempts/")
    if not is_its_own or any(one.key != prefix + one.name for one in output.artifacts):
        raise Damaged("its output.json lists files of other jobs")
    return CachedResult(job_id, prefix, output) if output.pipeline_version == PIPELINE_VERSION else None


def _rewritten(cached: CachedResult, job: Job, prefix: str) -> Output:
    output = cached.output
    created_at = str(rfc3339(job.created_at))
    changes = {
        "job_id": job.job_id,
        "video_id": job.video_id,
        "attempt": job.attempt,
        "created_at": created_at,
        "reused_from": output.reused_from or cached.job_id,
        "source": output.source.model_copy(update={"filename": job.filename}),
        "style": output.style and output.style.model_copy(update={"created_at": created_at}),
        "artifacts": [one.model_copy(update={"key": prefix + one.name}) for one in output.artifacts],
    }
    return output.model_copy(update=changes)
