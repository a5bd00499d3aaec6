"""Processes one attempt at one job, from the claim to its completion or back into the queue."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import structlog

from clipzy_storage import metrics
from clipzy_storage.backends.base import Storage, StorageBackend
from clipzy_storage.errors import (
    CancellationRequested,
    CredentialsRefused,
    Damaged,
    LostJob,
    NotFound,
    QueueUnavailable,
    StorageError,
)
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.attempt import STOPPED_TOO_OFTEN, AttemptResult, JobAttempt, claim_job
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.types import ReleaseReason, Work
from clipzy_storage.log_events import (
    JOB_CLAIMED,
    JOB_FILE_NOT_VISIBLE_YET,
    JOB_LEFT_TO_THE_REAPER,
    JOB_LOST,
    JOB_RELEASED,
    JOB_SOURCE_DAMAGED,
    JOB_STORAGE_UNAVAILABLE,
)
from clipzy_storage.models.analysis import Analysis
from clipzy_storage.models.records import ErrorCode, Job, SourceFile, Status
from clipzy_worker.errors import DeadlineExceeded, InvalidMedia, JobFailed, MediaCrashed, PermanentFailure
from clipzy_worker.processing import analyse, prior_results, source_import, upload_results
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.integrity import Sha256Check
from clipzy_worker.processing.interruption import Interruption
from clipzy_worker.processing.lease import HeldLease
from clipzy_worker.processing.scratch import OUT, attempt_directory
from clipzy_worker.stages import IMPORT, IMPORTED_PERCENT, STAGES

REDIS_TIMEOUT_SECONDS = 600  # a finished attempt is worth waiting for Redis
FIRST_STAGE = STAGES[0].name
SOURCE_MISSING = (
    "the uploaded file is not in the worker's storage, or not all of it: it was removed, or worker and front end do not"
    " share one storage"
)

log = structlog.stdlib.get_logger(__name__)


def run(ctx: WorkerContext, job_id: str) -> str:
    """Claim and process one job; returns its outcome in a word or two, for Flower.

    Raises:
        JobFailed: the job has failed, and is recorded so.
        QueueUnavailable: Redis stayed unavailable; the lease, and the reaper after it, settle the rest.
    """
    with Interruption(before_exit=ctx.flush_metrics) as interruption:
        attempt = claim_job(
            ctx.store,
            ctx.storage,
            job_id,
            storage_id=ctx.storage_id,
            notify_workers=ctx.notify_workers,
            redis_timeout_seconds=REDIS_TIMEOUT_SECONDS,
            stage=FIRST_STAGE,
        )
        if attempt is None:
            return "not queued"
        stage = FIRST_STAGE if attempt.job.source else IMPORT
        with about_job(attempt.job), ctx.leases.held(attempt.claim, stage=stage) as lease:
            log.info(JOB_CLAIMED)
            return _Processing(ctx, attempt, lease, interruption).run()


class _Processing:
    """The work on one claimed job."""

    def __init__(self, ctx: WorkerContext, attempt: JobAttempt, lease: HeldLease, interruption: Interruption) -> None:
        self._ctx = ctx
        self._attempt = attempt
        self._lease = lease
        self._interruption = interruption
        self._began_at = time.monotonic()
        self._deadline = self._began_at + ctx.settings.processing_timeout_seconds

    def run(self) -> str:
        try:
            with self._released_on_shutdown():
                return self._process_unless_cancelled()
        except LostJob:
            log.warning(JOB_LOST)
            self._attempt.discard_files()
            return "lost"
        except (QueueUnavailable, StorageError) as error:
            log.warning(JOB_LEFT_TO_THE_REAPER, reason=str(error))
            raise

    @property
    def _job(self) -> Job:
        return self._attempt.job

    def _process_unless_cancelled(self) -> str:
        try:
            return self._process()
        except CancellationRequested:
            return _outcome(self._attempt.confirm_cancelled())

    def _process(self) -> str:
        """Obtain a result and commit it; every failure of the video, the storage or this code ends here."""
        try:
            with self._interruption.allowed():
                result = self._result()
        except PermanentFailure as error:
            return self._fail(error.code, str(error))
        except DeadlineExceeded:
            limit = self._ctx.settings.processing_timeout_seconds
            return self._fail(ErrorCode.JOB_TIMEOUT, f"the job took longer than {limit} seconds")
        except NotFound as error:
            if prior_results.is_settled(self._attempt.claim):
                return self._fail(ErrorCode.PROCESSING_FAILED, SOURCE_MISSING)
            log.warning(JOB_FILE_NOT_VISIBLE_YET, reason=str(error))
            return self._release("transient", SOURCE_MISSING)
        except Damaged as error:
            log.error(JOB_SOURCE_DAMAGED, reason=str(error))
            return self._release("crashed", "the stored upload is not what was uploaded; upload it again")
        except StorageError as error:
            log.warning(JOB_STORAGE_UNAVAILABLE, reason=str(error))
            return self._release("transient", _storage_failure(error))
        except MediaCrashed as error:
            log.warning("job.media_crashed", reason=str(error))
            return self._release("crashed", f"the media process crashed twice: {error}")
        except (CancellationRequested, LostJob, QueueUnavailable):
            raise
        except Exception:
            log.exception("job.internal_error")
            return self._release("crashed", "an internal error, twice; the worker's log has the details")
        return _outcome(self._attempt.commit(result))

    def _result(self) -> AttemptResult:
        return prior_results.published_result(self._ctx, self._attempt.claim) or self._result_over(self._source())

    def _source(self) -> SourceFile:
        """The file of the job's video, fetched by this attempt if it is in storage not yet."""
        if source := self._job.source:
            return source
        video = source_import.imported(self._ctx, self._job, on_progress=self._report_import)
        metrics.observe("clipzy_stage_seconds", time.monotonic() - self._began_at, stage=IMPORT)
        claim = replace(self._attempt.claim, job=self._job.with_imported(video))
        self._attempt = replace(self._attempt, claim=claim)
        with suppress(QueueUnavailable):  # now, so that an early end of the next stage is not shown as one of this
            self._ctx.store.heartbeat(claim, percent=IMPORTED_PERCENT, stage=FIRST_STAGE)
        self._lease.report(IMPORTED_PERCENT, FIRST_STAGE)
        return SourceFile(video.key, video.container, video.size_bytes, video.sha256)

    def _result_over(self, source: SourceFile) -> AttemptResult:
        cached = prior_results.cached_result(self._ctx, self._attempt, on_progress=self._check)
        return cached or self._analysed_result(source)

    def _analysed_result(self, source: SourceFile) -> AttemptResult:
        """Run the stages and store their results under the attempt's prefix."""
        job, settings, storage = self._job, self._ctx.settings, self._ctx.storage
        name = f"{job.job_id}-{job.attempt}-{self._attempt.claim.nonce}"
        with attempt_directory(settings.work_dir, name) as directory:
            path = _local_source(storage, source, directory, on_progress=self._check_with_time)
            failpoint("source-copied")
            with _verified(path, source, directory, on_progress=self._check_with_time) as verified:
                analysis = analyse.run_stages(settings, storage, job, source, path, directory, on_progress=self._report)
            _observe_stages(analysis)
            if source.sha256 is None:
                _note_digest(storage, job.video_id, verified.sha256)
            index = upload_results.store_attempt(
                storage,
                job,
                source,
                directory / OUT,
                prefix=self._attempt.prefix,
                analysis=analysis,
                source_sha256=verified.sha256,
                max_bytes=settings.max_result_bytes(source_size_bytes=source.size_bytes),
                on_progress=self._check_with_time,
            )
        failpoint("attempt-stored")
        work = Work(source.size_bytes, time.monotonic() - self._began_at)
        return AttemptResult(job.attempt, self._attempt.prefix, index, work=work)

    def _report(self, percent: int, stage: str) -> None:
        self._lease.report(percent, stage)
        self._check_with_time()

    def _report_import(self, fraction: float) -> None:
        self._report(int(IMPORTED_PERCENT * fraction), IMPORT)

    def _check_with_time(self) -> None:
        """Also raises ``DeadlineExceeded``."""
        self._check()
        if time.monotonic() > self._deadline:
            raise DeadlineExceeded

    def _check(self) -> None:
        """Raises ``SystemExit`` on shutdown, ``LostJob`` or ``CancellationRequested``."""
        self._interruption.check()
        self._lease.check()

    def _fail(self, code: ErrorCode, message: str) -> str:
        return _outcome(self._attempt.fail(code, message))

    def _release(self, reason: ReleaseReason, message: str) -> str:
        failed = self._attempt.release(reason, message)
        return _outcome(failed) if failed else f"released: {reason}"

    @contextmanager
    def _released_on_shutdown(self) -> Iterator[None]:
        """A worker that shuts down returns its job to the queue; that does not count as a failure."""
        try:
            yield
        except (SystemExit, KeyboardInterrupt):
            self._preempt()
            raise

    def _preempt(self) -> None:
        try:
            self._attempt.release("preempted", STOPPED_TOO_OFTEN, redis_timeout_seconds=0)
        except (LostJob, QueueUnavailable, StorageError) as error:
            log.warning("job.not_released", reason=str(error))
            return
        log.info(JOB_RELEASED, reason="preempted")


def _observe_stages(analysis: Analysis) -> None:
    for stage in STAGES:
        if stage.name in analysis.timings:
            metrics.observe("clipzy_stage_seconds", analysis.timings[stage.name], stage=stage.name)


def _storage_failure(error: StorageError) -> str:
    failed = "storage failed too often while this job was processed"
    return f"{failed}; at last the credentials: {error.finding}" if isinstance(error, CredentialsRefused) else failed


def _outcome(job: Job | None) -> str:
    """The status of a finished job. Raises ``JobFailed``."""
    if job is None:
        return "completed by another process"
    if job.status is Status.FAILED and job.error is not None:
        raise JobFailed(job.error.code, job.error.message)
    return job.status.value


def _local_source(
    storage: StorageBackend, source: SourceFile, directory: Path, *, on_progress: Callable[[], object]
) -> Path:
    """The video as a local file. Raises ``NotFound`` also if only part of it is visible yet."""
    found_bytes = storage.info(source.key).size_bytes
    if found_bytes != source.size_bytes:
        raise NotFound(f"{source.key} has {found_bytes} of its {source.size_bytes} bytes")
    return storage.local_copy(source.key, directory, sha256=source.sha256, on_progress=on_progress)


def _note_digest(storage: Storage, video_id: str, sha256: str) -> None:
    """Add it to the record of the video. Raises ``InvalidMedia`` if the client had declared another one."""
    declared = durable_records.read_video(storage, video_id).declared_sha256
    if declared not in (None, sha256):
        raise InvalidMedia(f"the file has the sha256 {sha256}, and {declared} was declared when its upload began")
    durable_records.write_digest(storage, video_id, sha256)


class _Verified:
    """``sha256`` of the source, after the block in which it is verified."""

    sha256: str


@contextmanager
def _verified(
    path: Path, source: SourceFile, directory: Path, *, on_progress: Callable[[], object]
) -> Iterator[_Verified]:
    """What is measured in this block counts only if the file is what was uploaded. Raises ``Damaged``."""
    verified = _Verified()
    if path.parent == directory and source.sha256:  # a copy, verified when it was made
        verified.sha256 = source.sha256
        yield verified
        return
    with Sha256Check(path, sha256=source.sha256) as digest:
        try:
            yield verified
        except PermanentFailure:
            digest.check(on_progress=on_progress)
            raise
        verified.sha256 = digest.check(on_progress=on_progress)
