"""One try at one job, from the claim to its end or back into the queue."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from clipzy_storage import keys
from clipzy_storage.errors import Damaged, NotFound, QueueUnavailable, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import completion
from clipzy_storage.jobs.store import Claim, PendingCompletion, ReleaseReason
from clipzy_storage.models.records import ErrorCode, Status
from clipzy_worker.errors import Cancelled, InvalidMedia, JobFailed, LostJob, MediaCrashed
from clipzy_worker.processing import analyse, prior_results, upload_results
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.integrity import Sha256Check
from clipzy_worker.processing.interruption import Interruption
from clipzy_worker.processing.lease import HeldLease
from clipzy_worker.processing.prior_results import Result
from clipzy_worker.processing.scratch import OUT, attempt_folder
from clipzy_worker.stages import STAGES

PATIENCE_SECONDS = 600  # how long a finished attempt waits for Redis to come back
FIRST_STAGE = STAGES[0].name
NOT_SEEN = (
    "the uploaded file is not in the worker's storage, or not all of it: it was removed, or worker and front end do not"
    " share one storage"
)

T = TypeVar("T")
log = logging.getLogger(__name__)


class DeadlinePassed(Exception):
    """The attempt has used up PROCESSING_TIMEOUT_SECONDS."""


def run(place: WorkerContext, job_id: str) -> str:
    """Look at one job and do what there is to do; returns a word on how it went.

    Raises:
        JobFailed: the job has ended as failed, and is recorded so.
        QueueUnavailable: Redis stayed away; the lease, and the reaper after it, settle the rest.
    """
    with Interruption() as interruption:
        return _run(place, job_id, interruption)


def _run(place: WorkerContext, job_id: str, interruption: Interruption) -> str:
    nonce = os.urandom(8).hex()
    claim = place.jobs.claim(job_id, nonce=nonce, storage_id=place.storage_id, stage=FIRST_STAGE)
    if claim is None:
        return "not waiting"
    log.info("job.claimed: %s attempt %d", job_id, claim.job.attempt)
    failpoint("claimed")
    try:
        with place.leases.held(claim, stage=FIRST_STAGE) as lease, _release_on_shutdown(place, claim):
            try:
                return _work(place, claim, lease, interruption)
            except Cancelled:
                return _abandon(place, claim)
    except LostJob:
        log.warning("job.lost: %s attempt %d is another's now", job_id, claim.job.attempt)
        completion.discard_attempt(place.storage, _prefix(claim))
        return "lost"


def _work(place: WorkerContext, claim: Claim, lease: HeldLease, interruption: Interruption) -> str:
    """Analyse and settle; every way in which the footage, the store or we ourselves can fail ends here."""
    try:
        with interruption.allowed():
            result = (
                prior_results.earlier_result(place, claim)
                or _reuse(place, claim, lease, interruption)
                or _analyse(place, claim, lease, interruption)
            )
    except InvalidMedia as error:
        return _fail(place, claim, ErrorCode.INVALID_MEDIA, str(error))
    except DeadlinePassed:
        limit = place.settings.processing_timeout_seconds
        return _fail(place, claim, ErrorCode.JOB_TIMEOUT, f"the job took longer than {limit} seconds")
    except NotFound as error:
        if prior_results.is_old(claim):
            return _fail(place, claim, ErrorCode.PROCESSING_FAILED, NOT_SEEN)
        log.warning("job.file_not_seen_yet: %s: %s", claim.job.job_id, error)
        return _release(place, claim, "transient", NOT_SEEN)
    except Damaged as error:
        log.error("job.source_damaged: %s: %s", claim.job.job_id, error)
        return _release(place, claim, "crashed", "the stored upload is not what was uploaded; upload it again")
    except StorageError as error:
        log.warning("job.storage_trouble: %s: %s", claim.job.job_id, error)
        return _release(place, claim, "transient", "storage failed too often while this job was processed")
    except MediaCrashed as error:
        log.warning("job.media_crashed: %s: %s", claim.job.job_id, error)
        return _release(place, claim, "crashed", f"the media process crashed twice: {error}")
    except (Cancelled, LostJob, QueueUnavailable):
        raise
    except Exception:
        log.exception("job.internal_error: %s", claim.job.job_id)
        return _release(place, claim, "crashed", "an internal error, twice; the worker's log tells more")
    return _commit(place, claim, result)


def _reuse(place: WorkerContext, claim: Claim, lease: HeldLease, interruption: Interruption) -> Result | None:
    def go_on() -> None:
        interruption.check()
        lease.check()

    return prior_results.reused_result(place, claim, prefix=_prefix(claim), on_progress=go_on)


def _analyse(place: WorkerContext, claim: Claim, lease: HeldLease, interruption: Interruption) -> Result:
    """Run the stages and store what they made, where nobody looks yet."""
    job, prefix = claim.job, _prefix(claim)
    deadline = time.monotonic() + place.settings.processing_timeout_seconds

    def go_on() -> None:
        interruption.check()
        lease.check()
        if time.monotonic() > deadline:
            raise DeadlinePassed

    def report(percent: int, stage: str) -> None:
        lease.report(percent, stage)
        go_on()

    with attempt_folder(place.settings.work_dir, f"{job.job_id}-{job.attempt}-{claim.nonce}") as folder:
        source = _source(place, claim, folder, on_progress=go_on)
        failpoint("source-copied")
        with _undamaged(source, claim, folder, on_progress=go_on):
            analysis = analyse.run_stages(place.settings, job, source, folder, on_progress=report)
        index = upload_results.store_attempt(
            place.storage, job, folder / OUT, prefix=prefix, analysis=analysis, on_progress=go_on
        )
    failpoint("attempt-stored")
    return Result(job.attempt, prefix, index)


def _source(place: WorkerContext, claim: Claim, folder: Path, *, on_progress: Callable[[], object]) -> Path:
    """The footage as a file. Raises ``NotFound`` also where only some of it is there yet."""
    job = claim.job
    found_bytes = place.storage.info(job.source_key).size_bytes
    if found_bytes != job.source_size_bytes:
        raise NotFound(f"{job.source_key} has {found_bytes} of its {job.source_size_bytes} bytes")
    return place.storage.local_copy(job.source_key, folder, sha256=job.source_sha256, on_progress=on_progress)


@contextmanager
def _undamaged(source: Path, claim: Claim, folder: Path, *, on_progress: Callable[[], object]) -> Iterator[None]:
    """What is said of the footage in here counts only if the footage is what was uploaded. Raises ``Damaged``."""
    if source.parent == folder:  # a copy, compared when it was made
        yield
        return
    with Sha256Check(source, sha256=claim.job.source_sha256) as comparison:
        try:
            yield
        except InvalidMedia:
            comparison.check(on_progress=on_progress)
            raise
        comparison.check(on_progress=on_progress)


def _commit(place: WorkerContext, claim: Claim, result: Result) -> str:
    commit = partial(place.jobs.commit, claim, attempt_folder=result.folder, result_sha256=result.sha256)
    decided = _insist(lambda: commit(attempt=result.attempt, pipeline_version=result.pipeline_version))
    if decided == "cancelled":
        return _abandon(place, claim)
    if not decided:
        raise LostJob(claim.job.job_id)
    failpoint("committed")
    return _carry_out(place, decided, index=result.index)


def _abandon(place: WorkerContext, claim: Claim) -> str:
    if not _insist(lambda: place.jobs.abandon(claim)):
        raise LostJob(claim.job.job_id)
    failpoint("abandoned")
    return _conclude(place, claim)


def _fail(place: WorkerContext, claim: Claim, code: ErrorCode, message: str) -> str:
    if not _insist(lambda: place.jobs.fail(claim.job.job_id, claim.token, code, message)):
        raise LostJob(claim.job.job_id)
    completion.discard_attempt(place.storage, _prefix(claim))
    return _conclude(place, claim)


def _release(place: WorkerContext, claim: Claim, reason: ReleaseReason, message: str) -> str:
    """Put the job back, or fail it with ``message`` where that has happened too often."""
    answer = _insist(lambda: place.jobs.release(claim, reason, message=message))
    failpoint("released")
    completion.discard_attempt(place.storage, _prefix(claim))
    if answer == "decided":
        return _conclude(place, claim)
    if answer == "queued":
        place.hint(claim.job.job_id)
    return f"released: {reason}"


def _conclude(place: WorkerContext, claim: Claim) -> str:
    decided = _insist(lambda: place.jobs.decided(claim.job.job_id, claim.token))
    return _carry_out(place, decided) if decided else "concluded by another"


def _carry_out(place: WorkerContext, decided: PendingCompletion, *, index: bytes | None = None) -> str:
    """Carry out what was decided. If that is interrupted, the reaper does it."""
    job = _insist(lambda: completion.conclude(place.jobs, place.storage, decided, index=index))
    if not job:
        return "concluded by another"
    if job.status is Status.FAILED and job.error is not None:
        raise JobFailed(job.error.code, job.error.message)
    return job.status.value


@contextmanager
def _release_on_shutdown(place: WorkerContext, claim: Claim) -> Iterator[None]:
    """A worker that is told to stop puts its job back into the queue, uncounted, before it goes."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        _preempt(place, claim)
        raise


def _preempt(place: WorkerContext, claim: Claim) -> None:
    try:
        answer = place.jobs.release(claim, "preempted", message=completion.STOPPED_TOO_OFTEN)
    except QueueUnavailable as error:
        log.warning("job.not_released: %s (%s); its lease will run out", claim.job.job_id, error)
        return
    if answer == "queued":
        log.info("job.released: %s, since this worker stops", claim.job.job_id)
        completion.discard_attempt(place.storage, _prefix(claim))
        place.hint(claim.job.job_id)


def _insist(ask: Callable[[], T]) -> T:
    """Ask Redis until it answers, for as long as a finished attempt is worth it. Raises ``QueueUnavailable``."""
    return completion.insist(ask, patience_seconds=PATIENCE_SECONDS)


def _prefix(claim: Claim) -> str:
    return keys.attempt_prefix(claim.job.job_id, claim.job.attempt, claim.nonce)
