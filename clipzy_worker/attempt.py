"""One try at one job, from the claim to its end or back into the queue."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from clipzy_storage import keys
from clipzy_storage.base import Storage
from clipzy_storage.contract import ErrorCode, Status
from clipzy_storage.errors import Damaged, NotFound, QueueUnavailable, StorageError
from clipzy_storage.jobs import Claim, JobStore, ReleaseReason
from clipzy_storage.settings import Settings
from clipzy_worker import publish
from clipzy_worker.errors import InvalidMedia, JobFailed, LostJob, MediaCrashed
from clipzy_worker.lease import HeldLease
from clipzy_worker.media.process import MediaLimits, MediaProcess, MediaRequest
from clipzy_worker.pipeline import STAGES, Stage, percent_of
from clipzy_worker.scratch import OUT, attempt_folder

LATE_FILES = timedelta(minutes=3)  # what one machine wrote to a network filesystem another may see only later
MAX_DECODER_THREADS = 16  # each holds pictures of its own in memory, and more bring nothing
PATIENCE_SECONDS = 600  # how long a finished attempt waits for Redis to come back

T = TypeVar("T")
log = logging.getLogger(__name__)


class DeadlinePassed(Exception):
    """The attempt has used up PROCESSING_TIMEOUT_SECONDS."""


@dataclass(frozen=True)
class Workplace:
    """What a worker works with."""

    settings: Settings
    storage: Storage
    storage_id: str
    jobs: JobStore
    hint: Callable[[str], None]  # tells the workers that a job waits; may raise QueueUnavailable


def run(place: Workplace, job_id: str) -> str:
    """Look at one job and do what there is to do; returns a word on how it went.

    Raises:
        JobFailed: the job has ended as failed, and is recorded so.
        QueueUnavailable: Redis stayed away; the lease, and the reaper after it, settle the rest.
    """
    nonce = os.urandom(8).hex()
    claim = place.jobs.claim(job_id, nonce=nonce, storage_id=place.storage_id, stage=STAGES[0].name)
    if claim is None:
        return "not waiting"
    log.info("job.claimed: %s attempt %d", job_id, claim.job.attempt)
    try:
        with HeldLease(place.jobs, claim, stage=STAGES[0].name) as lease, _release_on_shutdown(place, claim):
            return _work(place, claim, lease)
    except LostJob:
        log.warning("job.lost: %s attempt %d is another's now", job_id, claim.job.attempt)
        publish.discard_attempt(place.storage, _prefix(claim))
        return "lost"


def _work(place: Workplace, claim: Claim, lease: HeldLease) -> str:
    """Analyse and settle; every way in which the footage, the store or we ourselves can fail ends here."""
    try:
        digest = _analyse(place, claim, lease)
    except InvalidMedia as error:
        return _fail(place, claim, ErrorCode.INVALID_MEDIA, str(error))
    except DeadlinePassed:
        limit = place.settings.processing_timeout_seconds
        return _fail(place, claim, ErrorCode.JOB_TIMEOUT, f"the job took longer than {limit} seconds")
    except NotFound as error:
        if datetime.now(UTC) - claim.job.created_at > LATE_FILES:
            return _fail(place, claim, ErrorCode.PROCESSING_FAILED, "the uploaded file is gone from storage")
        log.warning("job.file_not_seen_yet: %s: %s", claim.job.job_id, error)
        return _release(place, claim, "transient", "the uploaded file is gone from storage")
    except Damaged as error:
        log.error("job.source_damaged: %s: %s", claim.job.job_id, error)
        return _release(place, claim, "crashed", "the stored upload is not what was uploaded; upload it again")
    except StorageError as error:
        log.warning("job.storage_trouble: %s: %s", claim.job.job_id, error)
        return _release(place, claim, "transient", "storage failed too often while this job was processed")
    except MediaCrashed as error:
        log.warning("job.media_crashed: %s: %s", claim.job.job_id, error)
        return _release(place, claim, "crashed", f"the media process crashed twice: {error}")
    except (LostJob, QueueUnavailable):
        raise
    except Exception:
        log.exception("job.internal_error: %s", claim.job.job_id)
        return _release(place, claim, "crashed", "an internal error, twice; the worker's log tells more")
    return _commit(place, claim, digest)


def _analyse(place: Workplace, claim: Claim, lease: HeldLease) -> str:
    """Run the stages and store what they made; returns the sha256 of the attempt's ``output.json``."""
    deadline = time.monotonic() + place.settings.processing_timeout_seconds
    name = f"{claim.job.job_id}-{claim.job.attempt}-{claim.nonce}"

    def go_on() -> None:
        lease.check()
        if time.monotonic() > deadline:
            raise DeadlinePassed

    with attempt_folder(place.settings.work_dir, name) as folder:
        source = place.storage.local_copy(
            claim.job.source_key, folder, sha256=claim.job.source_sha256, on_progress=go_on
        )
        analysis: dict[str, Any] = {}
        for stage in STAGES:
            for fraction in _run_stage(place, claim, stage, source, folder, analysis):
                lease.report(percent_of(stage, fraction), stage.name)
                go_on()
        return publish.store_attempt(place.storage, claim.job, folder / OUT, prefix=_prefix(claim), analysis=analysis)


def _run_stage(
    place: Workplace, claim: Claim, stage: Stage, source: Path, folder: Path, analysis: dict[str, Any]
) -> Iterator[float]:
    """Run one stage in a media process; yields how far it is, and adds its result to ``analysis`` at the end."""
    threads = max(1, min(MAX_DECODER_THREADS, _cores() // place.settings.max_concurrent_jobs))
    request = MediaRequest(
        stage=stage.name,
        source=source,
        container=claim.job.source_container,
        out_folder=folder / OUT,
        decoder_threads=threads,
        # One more than decodes: the thread that analyses. The wall clock ends an honest job before this does.
        limits=MediaLimits(cpu_seconds=place.settings.processing_timeout_seconds * (threads + 1)),
    )
    with MediaProcess(request) as media:
        yield from media.updates(poll_seconds=0.25)
        try:
            analysis.update(media.result())
        except MediaCrashed:
            if media.stderr_tail:
                log.warning("media.last_words: %s: %s", claim.job.job_id, media.stderr_tail[-2000:])
            raise


def _commit(place: Workplace, claim: Claim, digest: str) -> str:
    folder = _prefix(claim)
    if not _insist(lambda: place.jobs.commit(claim, attempt_folder=folder, result_sha256=digest)):
        raise LostJob(claim.job.job_id)
    return _conclude(place, claim)


def _fail(place: Workplace, claim: Claim, code: ErrorCode, message: str) -> str:
    if not _insist(lambda: place.jobs.fail(claim.job.job_id, claim.token, code, message)):
        raise LostJob(claim.job.job_id)
    publish.discard_attempt(place.storage, _prefix(claim))
    return _conclude(place, claim)


def _release(place: Workplace, claim: Claim, reason: ReleaseReason, message: str) -> str:
    """Put the job back, or fail it with ``message`` where that has happened too often."""
    answer = _insist(lambda: place.jobs.release(claim, reason, message=message))
    publish.discard_attempt(place.storage, _prefix(claim))
    if answer == "failed":
        return _conclude(place, claim)
    if answer == "queued":
        _hint(place, claim.job.job_id)
    return f"released: {reason}"


def _conclude(place: Workplace, claim: Claim) -> str:
    """Carry out what was decided. If that is interrupted, the reaper does it."""
    decided = _insist(lambda: place.jobs.decided(claim.job.job_id, claim.token))
    job = decided and _insist(lambda: publish.conclude(place.jobs, place.storage, decided))
    if not job:
        return "concluded by another"
    if job.status is Status.FAILED and job.error is not None:
        raise JobFailed(job.error.code, job.error.message)
    return job.status.value


@contextmanager
def _release_on_shutdown(place: Workplace, claim: Claim) -> Iterator[None]:
    """A worker that is told to stop puts its job back into the queue, uncounted, before it goes."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        _preempt(place, claim)
        raise


def _preempt(place: Workplace, claim: Claim) -> None:
    message = "workers were stopped too often under this job"
    try:
        answer = place.jobs.release(claim, "preempted", message=message)
    except QueueUnavailable as error:
        log.warning("job.not_released: %s (%s); its lease will run out", claim.job.job_id, error)
        return
    if answer == "queued":
        log.info("job.released: %s, since this worker stops", claim.job.job_id)
        publish.discard_attempt(place.storage, _prefix(claim))
        _hint(place, claim.job.job_id)


def _hint(place: Workplace, job_id: str) -> None:
    try:
        place.hint(job_id)
    except QueueUnavailable as error:
        log.warning("job.hint_lost: %s (%s); the reaper sends it again", job_id, error)


def _insist(ask: Callable[[], T]) -> T:
    """Ask Redis until it answers, for as long as a finished attempt is worth it. Raises ``QueueUnavailable``."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except QueueUnavailable:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(1)


def _cores() -> int:
    """Those that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prefix(claim: Claim) -> str:
    return keys.attempt_prefix(claim.job.job_id, claim.job.attempt, claim.nonce)
