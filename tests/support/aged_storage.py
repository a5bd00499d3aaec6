"""Puts records and files of any age into a storage, as services, crashes and deletions leave them there."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, StorageBackend, put_bytes, put_json
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.models.records import ErrorCode, Job, JobError, Status, Video

CONTENT = b"source video"
POSTER = b"poster"
_TOPS = ("jobs/", "results/", "uploads/", keys.SEGMENTS)
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class _Staged:
    """The storage of a test: listings age or miss files, and deletions are observed, as the test arranges it."""

    def __init__(self, storage: LocalStorage | S3Storage) -> None:
        self._storage = storage
        self.hours: dict[str, float] = {}
        self.missed_once: set[str] = set()
        self.before_list: Callable[[str], object] = lambda _: None
        self.before_delete: Callable[[str], object] = lambda _: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def list(self, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
        self.before_list(prefix)
        for blob in self._storage.list(prefix, after=after):
            if blob.key in self.missed_once:
                self.missed_once.remove(blob.key)
            else:
                yield replace(blob, age_seconds=blob.age_seconds + 3600 * self.hours.get(blob.key, 0))

    def delete(self, key: str) -> bool:
        self.before_delete(key)
        return self._storage.delete(key)


class AgedStorage:
    """One storage, and what is in it. What is put there is ``hours`` old."""

    def __init__(self, storage: LocalStorage | S3Storage) -> None:
        self._staged = _Staged(storage)
        self.storage = cast(StorageBackend, self._staged)
        self.storage_id = storage.prepare()
        day_index.set_complete(storage)  # as this version leaves it
        self.finished_at = NOW
        """When the jobs have finished, by their records."""

    def age(self, key: str, hours: float) -> str:
        if self.storage.kind == "s3":  # no service lets a client date files
            self._staged.hours[key] = hours
        else:
            path = Path(self.storage.location) / key
            written_at = path.stat().st_mtime - 3600 * hours
            os.utime(path, (written_at, written_at))
        return key

    def miss_once(self, key: str) -> None:
        """Have the next listing miss this file, as one does that runs while the file is moved there."""
        self._staged.missed_once.add(key)

    def before_each_list(self, call: Callable[[str], object]) -> None:
        """Have ``call`` called with each prefix that is listed, before it is. It may raise."""
        self._staged.before_list = call

    def before_each_delete(self, call: Callable[[str], object]) -> None:
        """Have ``call`` called with each key that is deleted, before it is. It may raise."""
        self._staged.before_delete = call

    def put(self, key: str, data: bytes = b"x", *, hours: float = 0) -> str:
        put_bytes(self.storage, key, data, content_type="application/octet-stream")
        return self.age(key, hours)

    def stored(self) -> list[str]:
        """All keys but those of the day index."""
        found = [blob.key for top in _TOPS for blob in self.storage.list(top)]
        return [key for key in found if not key.startswith(keys.DAY_INDEX)]

    def indexed(self) -> list[str]:
        """The keys of the day index."""
        return [blob.key for blob in self.storage.list(keys.DAY_INDEX)]

    def upload(self, *, hours: float = 0, video_id: str = "") -> Video:
        """A complete upload, whose id was made as long ago as it is old, unless it is given."""
        created_at = datetime.now(UTC) - timedelta(hours=hours)
        video_id = video_id or keys.first_id("vid", created_at)[:-16] + keys.new_id("vid")[-16:]
        video = Video(
            video_id=video_id,
            filename="holiday.mp4",
            key=self.put(keys.upload(video_id, "mp4"), CONTENT, hours=hours),
            container="mp4",
            size_bytes=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            uploaded_at=NOW,
        )
        durable_records.write_video(self.storage, video)
        self.age(keys.video_record(video_id), hours)
        return video

    def open_job(self, video: Video | None = None, *, hours: float = 0) -> Job:
        """An unfinished job's durable record."""
        job = self.new_job(video)
        durable_records.write_open_job(self.storage, job)
        self.age(keys.open_job(job.job_id), hours)
        return job

    def new_job(self, video: Video | None = None) -> Job:
        return Job.for_video(video or self.upload(), storage_id=self.storage_id, created_at=NOW)

    def done_job(self, status: Status, *, hours: float = 0, job: Job | None = None) -> Job:
        """A finished job's durable record."""
        error = JobError(code=ErrorCode.WORKER_LOST, stage=None, message="three times") if status == "failed" else None
        outcome = {"status": status, "finished_at": self.finished_at, "error": error}
        done = (job or self.new_job()).model_copy(update=outcome)
        durable_records.write_done_job(self.storage, done)
        self.age(keys.done_job(done.job_id), hours)
        self.age(day_index.entry_of(done), hours)
        return done

    def attempt(self, job_id: str, name: str = "1-aaaa", *, hours: float = 0) -> bytes:
        """What one attempt at a job writes; returns its index."""
        prefix = f"results/{job_id}/attempts/{name}/"
        listed: dict[str, Any] = {
            "name": "poster.jpg",
            "key": self.put(f"{prefix}poster.jpg", POSTER, hours=hours),
            "size_bytes": len(POSTER),
            "sha256": hashlib.sha256(POSTER).hexdigest(),
        }
        index = json.dumps({"schema_version": "1.0", "job_id": job_id, "artifacts": [listed]}).encode()
        self.put(f"{prefix}output.json", index, hours=hours)
        return index

    def completed_job(self, *, hours: float = 0, attempt: str = "1-aaaa", job: Job | None = None) -> Job:
        """A job with its result, as it was published."""
        job = job or self.new_job()
        self.put(keys.result_index(job.job_id), self.attempt(job.job_id, attempt, hours=hours), hours=hours)
        return self.done_job(Status.COMPLETED, hours=hours, job=job)

    def finished_jobs(self, count: int, *, days: float) -> list[Job]:
        """Completed jobs that finished so many days ago, also by their records."""
        self.finished_at, hours = datetime.now(UTC) - timedelta(days=days), 24 * days
        return [self.completed_job(job=self.new_job(self.upload(hours=hours)), hours=hours) for _ in range(count)]

    def segments(self, job_id: str, *, hours: float = 0) -> set[str]:
        """What two attempts have kept of the video that the job renders."""
        names = ("0123456789abcdef-00000", "0123456789abcdef-00001")
        return {self.put(keys.segment(job_id, name, hashlib.sha256(b"x").hexdigest()), hours=hours) for name in names}

    def cancellation_request(self, job_id: str, *, hours: float = 0) -> str:
        put_json(self.storage, keys.cancellation_request(job_id), {"schema_version": 1, "job_id": job_id})
        return self.age(keys.cancellation_request(job_id), hours)
