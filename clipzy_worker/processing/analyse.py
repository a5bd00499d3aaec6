"""Runs the stages of the analysis over the video of one job, in a media process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog

from clipzy_storage.backends.base import Storage
from clipzy_storage.config.settings import Settings
from clipzy_storage.models.analysis import Analysis
from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.records import Job, SourceFile
from clipzy_worker.errors import MediaCrashed
from clipzy_worker.processing.scratch import OUT
from clipzy_worker.processing.segments import SegmentUploads, fetch_segments
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest
from clipzy_worker.stages import IMPORTED_PERCENT, STAGES, percent_of

# Each thread holds decoded frames in memory, and more threads than this are no faster.
MAX_DECODER_THREADS = 16
POLL_SECONDS = 0.25

log = structlog.stdlib.get_logger(__name__)


def run_stages(
    settings: Settings,
    storage: Storage,
    job: Job,
    source: SourceFile,
    path: Path,
    directory: Path,
    *,
    on_progress: Callable[[int, str], object],
) -> Analysis:
    """The result of all stages over ``source``, a local copy of which is at ``path``.

    Its artifacts are files in ``OUT`` below ``directory``. What is rendered of the whole video is also kept in
    ``storage`` until the job ends, so that another attempt goes on from there. ``on_progress`` is called repeatedly
    with the job's percent and stage, and may raise to stop.
    """
    begun_at_percent = IMPORTED_PERCENT if job.source_url else 0
    request = _request(settings, job, source, path, directory)
    before = partial(on_progress, begun_at_percent, STAGES[0].name)
    with _kept_segments(storage, job, request, on_progress=before) as segments, MediaProcess(request) as media:
        for fraction in media.updates(poll_seconds=POLL_SECONDS):
            if segments:
                segments.add(media.new_segments())
            on_progress(percent_of(fraction, begun_at_percent=begun_at_percent), media.stage)
        try:
            return media.result()
        except MediaCrashed:
            if media.stderr_tail:
                log.warning("media.stderr", text=media.stderr_tail[-2000:])
            raise


@contextmanager
def _kept_segments(
    storage: Storage, job: Job, request: MediaRequest, *, on_progress: Callable[[], object]
) -> Iterator[SegmentUploads | None]:
    """Those of earlier attempts are there; what is added is stored. None if the job renders no whole video."""
    if request.config.render is None:
        yield None
        return
    out, max_bytes = request.out_directory, request.limits.output_bytes
    fetch_segments(storage, job.job_id, out, max_bytes=max_bytes, on_progress=on_progress)
    with SegmentUploads(storage, job.job_id, out, max_bytes=max_bytes) as segments:
        yield segments


def _request(settings: Settings, job: Job, source: SourceFile, path: Path, directory: Path) -> MediaRequest:
    threads = max(1, min(MAX_DECODER_THREADS, _cores() // settings.max_concurrent_jobs))
    return MediaRequest(
        source=path,
        container=source.container,
        out_directory=directory / OUT,
        config=JobConfig.model_validate(job.config),
        decoder_threads=threads,
        sandbox=settings.sandbox,
        # CPU time of the decoder threads and of the one that analyses: honest jobs exceed their wall-clock limit first.
        limits=MediaLimits(
            cpu_seconds=settings.processing_timeout_seconds * (threads + 1),
            max_decoded_pixels=settings.max_decoded_pixels,
            output_bytes=settings.max_result_bytes(source_size_bytes=source.size_bytes),
        ),
    )


def _cores() -> int:
    """The cores that this process may use: in a container fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
