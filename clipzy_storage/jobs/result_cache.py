"""Gives a job the result of an earlier one of the same recipe, instead of having the footage analysed again.

Nothing is shared: every file is copied into the job's own attempt, by whoever holds the job, and takes the same way to
its end as what an analysis made. So the earlier job may be deleted or expire at any moment, also while it is copied.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

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

MOST_TRIED = 3  # of earlier jobs, since looking at one that is gone costs time too
COPIES_AT_ONCE = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Earlier:
    """A finished job and its result, whose files are all below ``folder``."""

    job_id: str
    folder: str
    output: Output


def is_wanted(job: Job) -> bool:
    """Whether the job's ``config`` allows it."""
    try:
        return JobConfig.model_validate(job.config).reuse
    except ValidationError:  # of a later Clipzy
        return False


def find_earlier(jobs: JobStore, storage: Storage, job: Job) -> Earlier | None:
    """The latest result that the job may be given, as storage has it now.

    Raises ``QueueUnavailable``, ``StorageUnavailable``.
    """
    recipe = result_cache_key(job)
    if not recipe or not is_wanted(job):
        return None
    others = [job_id for job_id in jobs.find_cached(recipe) if job_id != job.job_id]
    for job_id in others[:MOST_TRIED]:
        try:
            if earlier := _read(storage, job_id, recipe):
                return earlier
        except StorageUnavailable:
            raise
        except NotFound:
            log.info("reuse.gone: the result of %s", job_id)  # which Redis does not know yet, or has forgotten
        except StorageError as error:
            log.warning("reuse.damaged: %s: %s", job_id, error)
    return None


def copy_result(
    storage: Storage, earlier: Earlier, job: Job, *, prefix: str, on_progress: Callable[[], object] = lambda: None
) -> bytes:
    """Write the earlier result under ``prefix`` as the one of ``job``. Returns its ``output.json``.

    ``on_progress`` is called again and again, and may raise to end it. What was written until then stays, as where one
    of these is raised: ``NotFound``, ``Damaged``, ``StorageFull``, ``StorageUnavailable``.
    """
    with ThreadPoolExecutor(COPIES_AT_ONCE, "reuse") as pool:
        copies = [
            pool.submit(storage.copy, artifact.key, prefix + artifact.name, sha256=artifact.sha256)
            for artifact in earlier.output.artifacts
        ]
        try:
            for copy in as_completed(copies):
                copy.result()
                failpoint("artifact-stored")
                on_progress()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    index = _rewritten(earlier, job, prefix).to_json()
    put_bytes(storage, prefix + "output.json", index, content_type="application/json")
    failpoint("attempt-stored")
    return index


def _read(storage: Storage, job_id: str, recipe: str) -> Earlier | None:
    """Raises ``StorageError``."""
    if cache_key_of_result(durable_records.read_done(storage, job_id)) != recipe:
        return None
    try:
        output = Output.model_validate_json(read_bytes(storage, keys.result_index(job_id)))
    except ValidationError as error:
        raise Damaged("its output.json cannot be understood") from error
    folder = next((one.key.removesuffix(one.name) for one in output.artifacts), "")
    is_its_own = folder == "" or folder.startswith(f"{keys.result_prefix(job_id)}attempts/")
    if not is_its_own or any(one.key != folder + one.name for one in output.artifacts):
        raise Damaged("its output.json lists files of others")
    return Earlier(job_id, folder, output) if output.pipeline_version == PIPELINE_VERSION else None


def _rewritten(earlier: Earlier, job: Job, prefix: str) -> Output:
    output = earlier.output
    own = [artifact.model_copy(update={"key": prefix + artifact.name}) for artifact in output.artifacts]
    created_at = str(rfc3339(job.created_at))
    changes = {
        "job_id": job.job_id,
        "video_id": job.video_id,
        "attempt": job.attempt,
        "created_at": created_at,
        "reused_from": output.reused_from or earlier.job_id,
        "source": output.source.model_copy(update={"filename": job.filename}),
        "style": output.style and output.style.model_copy(update={"created_at": created_at}),
        "artifacts": own,
    }
    return output.model_copy(update=changes)
