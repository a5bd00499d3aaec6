"""What storage has for a claimed job already: its own end, which Redis has forgotten, or what another job found.

Redis may also have been set back to before that end.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.errors import Damaged, NotFound, QueueUnavailable, StorageError
from clipzy_storage.jobs import completion, durable_records, result_cache
from clipzy_storage.jobs.store import Claim
from clipzy_storage.models.output import PIPELINE_VERSION, attempt_folder_of
from clipzy_worker.errors import LostJob
from clipzy_worker.processing.context import WorkerContext

LATE_FILES = timedelta(minutes=3)  # what one machine wrote to a network filesystem another may see only later

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What an attempt has made: the folder it wrote, and its ``output.json``."""

    attempt: int
    folder: str
    index: bytes
    pipeline_version: str = PIPELINE_VERSION

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.index).hexdigest()


def is_old(claim: Claim) -> bool:
    """Whether everything that was written for the job at its beginning must be visible by now."""
    return claim.age > LATE_FILES


def earlier_result(place: WorkerContext, claim: Claim) -> Result | None:
    """The result that was published for this job before, or ``None``: then there is work to do.

    Raises:
        LostJob: the job has ended, or was deleted; Redis knows it again now.
        NotFound: its record is not to be seen yet.
        StorageError, QueueUnavailable.
    """
    if claim.is_reconciled:
        return None
    job_id, storage = claim.job.job_id, place.storage
    if storage.exists(keys.done_job(job_id)):
        log.warning("job.ended_before: %s, which Redis had forgotten", job_id)
        place.upkeep.restore(durable_records.read_done(storage, job_id))
        durable_records.remove_open_job(storage, job_id)
        raise LostJob(job_id)
    if not storage.exists(keys.open_job(job_id)):
        if not is_old(claim):
            raise NotFound(keys.open_job(job_id))
        log.warning("job.deleted_before: %s, which Redis had forgotten", job_id)
        place.upkeep.forget_claimed(claim)
        raise LostJob(job_id)
    try:
        index = read_bytes(storage, keys.result_index(job_id))
    except NotFound:
        return None
    log.warning("job.published_before: %s, which Redis had forgotten", job_id)
    return _published(job_id, index)


def reused_result(
    place: WorkerContext, claim: Claim, *, prefix: str, on_progress: Callable[[], object]
) -> Result | None:
    """A copy under ``prefix`` of what an earlier job has found in the same footage; ``None``: there is work to do.

    Raises what ``on_progress`` raises.
    """
    try:
        earlier = result_cache.find_earlier(place.jobs, place.storage, claim.job)
        if earlier is None:
            return None
        index = result_cache.copy_result(place.storage, earlier, claim.job, prefix=prefix, on_progress=on_progress)
    except (StorageError, QueueUnavailable) as error:  # whatever it is, the footage is at hand
        log.warning("reuse.failed: %s: %s", claim.job.job_id, error)
        completion.discard_attempt(place.storage, prefix)
        return None
    log.info("job.reused: %s has the result of %s", claim.job.job_id, earlier.job_id)
    return Result(claim.job.attempt, prefix, index)


def _published(job_id: str, index: bytes) -> Result:
    try:
        output = json.loads(index)
        attempt, pipeline_version = int(output["attempt"]), str(output.get("pipeline_version", ""))
    except (ValueError, LookupError, TypeError) as error:
        raise Damaged("a published output.json cannot be understood") from error
    return Result(attempt, attempt_folder_of(job_id, index) or "", index, pipeline_version)
