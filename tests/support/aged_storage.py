"""Puts records and files of any age into a storage, as services, crashes and deletions leave them there."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage, put_bytes, put_json
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.records import ErrorCode, Job, JobError, Status, Video

CONTENT = b"footage"
PICTURE = b"picture"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class AgingBucket(S3Storage):
    """A bucket whose listings say that files are older than they are: no service lets anybody else date them."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self.hours: dict[str, float] = {}

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        for blob in super().list(prefix):
            yield replace(blob, age_seconds=blob.age_seconds + 3600 * self.hours.get(blob.key, 0))


class Shelf:
    """One storage, and what stands in it. What is put there is ``hours`` old."""

    def __init__(self, storage: LocalStorage | AgingBucket) -> None:
        self.storage: Storage = storage
        self.storage_id = storage.prepare()
        self._bucket = storage if isinstance(storage, AgingBucket) else None

    def age(self, key: str, hours: float) -> str:
        if self._bucket:
            self._bucket.hours[key] = hours
        else:
            path = Path(self.storage.place) / key
            written_at = path.stat().st_mtime - 3600 * hours
            os.utime(path, (written_at, written_at))
        return key

    def put(self, key: str, data: bytes = b"x", *, hours: float = 0) -> str:
        put_bytes(self.storage, key, data, content_type="application/octet-stream")
        return self.age(key, hours)

    def stored(self) -> list[str]:
        return [blob.key for top in ("jobs/", "results/", "uploads/") for blob in self.storage.list(top)]

    def upload(self, *, hours: float = 0) -> Video:
        """A whole upload."""
        video_id = keys.new_id("vid")
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
        """An ended job's durable record."""
        error = JobError(code=ErrorCode.WORKER_LOST, stage=None, message="three times") if status == "failed" else None
        ended = (job or self.new_job()).model_copy(update={"status": status, "finished_at": NOW, "error": error})
        durable_records.write_done_job(self.storage, ended)
        self.age(keys.done_job(ended.job_id), hours)
        return ended

    def attempt(self, job_id: str, folder: str = "1-aaaa", *, hours: float = 0) -> bytes:
        """What one try at a job writes; returns its index."""
        prefix = f"results/{job_id}/attempts/{folder}/"
        listed: dict[str, Any] = {
            "name": "poster.jpg",
            "key": self.put(f"{prefix}poster.jpg", PICTURE, hours=hours),
            "size_bytes": len(PICTURE),
            "sha256": hashlib.sha256(PICTURE).hexdigest(),
        }
        index = json.dumps({"schema_version": "1.0", "job_id": job_id, "artifacts": [listed]}).encode()
        self.put(f"{prefix}output.json", index, hours=hours)
        return index

    def completed_job(self, *, hours: float = 0, folder: str = "1-aaaa", job: Job | None = None) -> Job:
        """A job with its result, as it was published."""
        job = job or self.new_job()
        self.put(keys.result_index(job.job_id), self.attempt(job.job_id, folder, hours=hours), hours=hours)
        return self.done_job(Status.COMPLETED, hours=hours, job=job)

    def wish(self, job_id: str, *, hours: float = 0) -> str:
        put_json(self.storage, keys.cancellation_request(job_id), {"schema_version": 1, "job_id": job_id})
        return self.age(keys.cancellation_request(job_id), hours)
