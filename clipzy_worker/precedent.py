"""What storage already knows of a claimed job's end, where Redis has forgotten it or was set back to before it."""

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import timedelta

from clipzy_storage import durable, keys
from clipzy_storage.base import read_bytes
from clipzy_storage.errors import Damaged, NotFound
from clipzy_storage.jobs import Claim
from clipzy_storage.output import attempt_folder_of
from clipzy_worker.errors import LostJob
from clipzy_worker.workplace import Workplace

LATE_FILES = timedelta(minutes=3)  # what one machine wrote to a network filesystem another may see only later

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What an attempt has made: the folder it wrote, and its ``output.json``."""

    attempt: int
    folder: str
    index: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.index).hexdigest()


def is_old(claim: Claim) -> bool:
    """Whether everything that was written for the job at its beginning must be visible by now."""
    return claim.age > LATE_FILES


def earlier_result(place: Workplace, claim: Claim) -> Result | None:
    """The result that was published for this job before, or ``None``: then there is work to do.

    Raises:
        LostJob: the job has ended, or was deleted; Redis knows it again now.
        NotFound: its record is not to be seen yet.
        StorageError, QueueUnavailable.
    """
    if claim.is_certain:
        return None
    job_id, storage = claim.job.job_id, place.storage
    if storage.exists(keys.done_job(job_id)):
        log.warning("job.ended_before: %s, which Redis had forgotten", job_id)
        place.upkeep.restore(durable.read_done(storage, job_id))
        durable.remove_open_job(storage, job_id)
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
    return Result(_attempt_in(index), attempt_folder_of(job_id, index) or "", index)


def _attempt_in(index: bytes) -> int:
    try:
        return int(json.loads(index)["attempt"])
    except (ValueError, LookupError, TypeError) as error:
        raise Damaged("a published output.json cannot be understood") from error
