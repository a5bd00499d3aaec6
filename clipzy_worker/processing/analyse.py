"""Runs the stages of the analysis over one job's footage, in a media process."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipzy_storage.config.settings import Settings
from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.records import Job
from clipzy_worker.errors import MediaCrashed
from clipzy_worker.processing.scratch import OUT
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest
from clipzy_worker.stages import percent_of

MAX_DECODER_THREADS = 16  # each holds pictures of its own in memory, and more bring nothing
POLL_SECONDS = 0.25

log = logging.getLogger(__name__)


def run_stages(
    settings: Settings, job: Job, source: Path, folder: Path, *, on_progress: Callable[[int, str], object]
) -> dict[str, Any]:
    """What the stages found; their files are in ``folder``.

    ``on_progress`` is called again and again with the job's percent and stage, and may raise to end it.
    """
    with MediaProcess(_request(settings, job, source, folder)) as media:
        for fraction in media.updates(poll_seconds=POLL_SECONDS):
            on_progress(percent_of(fraction), media.stage)
        try:
            return media.result()
        except MediaCrashed:
            if media.stderr_tail:
                last_words = media.stderr_tail[-2000:].replace("\n", " | ")  # one line, so that it can forge none
                log.warning("media.last_words: %s: %s", job.job_id, last_words)
            raise


def _request(settings: Settings, job: Job, source: Path, folder: Path) -> MediaRequest:
    threads = max(1, min(MAX_DECODER_THREADS, _cores() // settings.max_concurrent_jobs))
    return MediaRequest(
        source=source,
        container=job.source_container,
        out_folder=folder / OUT,
        config=JobConfig.model_validate(job.config),
        decoder_threads=threads,
        sandbox=settings.sandbox,
        # One more than decodes: the thread that analyses. The wall clock ends an honest job before this does.
        limits=MediaLimits(cpu_seconds=settings.processing_timeout_seconds * (threads + 1)),
    )


def _cores() -> int:
    """Those that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
