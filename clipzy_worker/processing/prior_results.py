"""Results that a claimed job can take over: its own, which Redis has forgotten, or a cached one of another job.

Redis may also have been set back to before the job finished.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog
from pydantic import BaseModel, ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.errors import Damaged, LostJob, NotFound, QueueUnavailable, StorageError
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.attempt import AttemptResult, JobAttempt
from clipzy_storage.jobs.result_cache import copy_result, find_cached_result
from clipzy_storage.jobs.types import Claim
from clipzy_storage.log_events import JOB_REUSED
from clipzy_storage.models.output import attempt_prefix_of
from clipzy_worker.processing.context import WorkerContext

# A network filesystem may show another machine's file this late.
VISIBILITY_DELAY = timedelta(minutes=3)

log = structlog.stdlib.get_logger(__name__)


class _Published(BaseModel):
    attempt: int
    pipeline_version: str = ""


def is_settled(claim: Claim) -> bool:
    """Whether everything that was written when the job was created must be visible by now."""
    return claim.age > VISIBILITY_DELAY


def published_result(ctx: WorkerContext, claim: Claim) -> AttemptResult | None:
    """The result that this job has published before; None if it must be processed.

    Raises:
        LostJob: the job has finished or was deleted; Redis knows that again now.
        NotFound: its durable record is not visible yet.
        StorageError, QueueUnavailable
    """
    if claim.is_reconciled:
        return None
    job_id, storage = claim.job.job_id, ctx.storage
    if storage.exists(keys.done_job(job_id)):
        log.warning("job.finished_before")
        ctx.admin.restore(durable_records.read_done(storage, job_id))
        durable_records.remove_open_job(storage, job_id)
        raise LostJob(job_id)
    if not storage.exists(keys.open_job(job_id)):
        if not is_settled(claim):
            raise NotFound(keys.open_job(job_id))
        log.warning("job.deleted_before")
        ctx.admin.forget_claimed(claim)
        raise LostJob(job_id)
    try:
        index = read_bytes(storage, keys.result_index(job_id))
    except NotFound:
        return None
    log.warning("job.published_before")
    return _published(job_id, index)


def cached_result(
    ctx: WorkerContext, attempt: JobAttempt, *, on_progress: Callable[[], object]
) -> AttemptResult | None:
    """A copy of the cached result for this job, written as its attempt; None if it must be processed.

    Raises what ``on_progress`` raises.
    """
    source = attempt.job.source
    if source is None:
        return None
    try:
        max_bytes = ctx.settings.max_result_bytes(source_size_bytes=source.size_bytes)
        cached = find_cached_result(ctx.store, ctx.storage, attempt.job, max_bytes=max_bytes)
        if cached is None:
            return None
        index = copy_result(ctx.storage, cached, attempt.job, prefix=attempt.prefix, on_progress=on_progress)
    except (StorageError, QueueUnavailable) as error:  # whatever it is, the video can be analysed
        log.warning("cache.failed", reason=str(error))
        attempt.discard_files()
        return None
    log.info(JOB_REUSED, reused_from=cached.job_id)
    return AttemptResult(attempt.job.attempt, attempt.prefix, index)


def _published(job_id: str, index: bytes) -> AttemptResult:
    try:
        published = _Published.model_validate_json(index)
    except ValidationError as error:
        raise Damaged("a published output.json is damaged") from error
    prefix = attempt_prefix_of(job_id, index) or ""
    return AttemptResult(published.attempt, prefix, index, published.pipeline_version)
