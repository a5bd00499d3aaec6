"""Writes many finished jobs into a local storage, fast: as completion leaves them, but without its flushes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clipzy_storage import keys
from clipzy_storage.jobs import day_index
from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.output import PIPELINE_VERSION
from clipzy_storage.models.records import Job, Status

_DAYS = 29


def finished_jobs(count: int, *, storage_id: str) -> Iterator[Job]:
    """Completed jobs of the last 29 days, evenly over time; oldest first."""
    config: dict[str, Any] = JobConfig().model_dump(mode="json")
    now = datetime.now(UTC)
    for number in range(count):
        ended_at = now - timedelta(days=_DAYS) * (count - number) / count
        video_id, job_id = keys.new_id("vid"), keys.new_id("job")
        yield Job(
            job_id=job_id,
            video_id=video_id,
            filename=f"holiday in the mountains {number}.mp4",
            source_key=keys.upload(video_id, "mp4"),
            source_size_bytes=1_000_000,
            source_sha256=f"{number:064x}",
            source_container="mp4",
            storage_id=storage_id,
            config=config,
            created_at=ended_at - timedelta(seconds=30),
            started_at=ended_at - timedelta(seconds=20),
            finished_at=ended_at,
            status=Status.COMPLETED,
            progress_percent=100,
            attempt=1,
            revision=33,
            pipeline_version=PIPELINE_VERSION,
        )


def write_finished_jobs(root: Path, count: int, *, storage_id: str) -> list[Job]:
    """The same, each with a result of one file."""
    jobs = []
    for job in finished_jobs(count, storage_id=storage_id):
        for key, content in _files_of(job):
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        jobs.append(job)
    return jobs


def _files_of(job: Job) -> Iterator[tuple[str, bytes]]:
    prefix = keys.attempt_prefix(job.job_id, 1, f"{0:016x}")
    poster_key = f"{prefix}poster.jpg"
    poster = {"name": "poster.jpg", "key": poster_key, "size_bytes": 1, "sha256": "0" * 64}
    index = json.dumps({"schema_version": "1.0", "job_id": job.job_id, "attempt": 1, "artifacts": [poster]}).encode()
    yield poster_key, b"x"
    yield keys.result_index(job.job_id), index
    yield day_index.entry_of(job), b""
    yield keys.done_job(job.job_id), json.dumps(job.model_dump(mode="json"), indent=1).encode()
