"""Completed jobs with a whole result, as a worker leaves them, to be found in the result cache."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend, put_bytes, read_bytes
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.attempt import AttemptResult, JobAttempt
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.output import PIPELINE_VERSION, Artifact, Output
from clipzy_storage.models.records import Job, rfc3339
from tests.support.jobs import attempt_at, created, new_job

ARTIFACTS = {
    "poster.jpg": b"poster" * 1000,
    **{f"shots/{number:04}.jpg": b"%04d" % number * 900 for number in range(5)},
}
OTHERS = ("job_id", "video_id", "created_at", "reused_from")  # what two results with the same cache key differ in
SOURCE_SHA256 = hashlib.sha256(b"footage").hexdigest()


def accepted(store: JobStore, storage: StorageBackend, **changes: Any) -> Job:
    """A job as a front end creates it, always over the same bytes."""
    job = new_job(**{"storage_id": storage.prepare(), "source_sha256": SOURCE_SHA256} | changes)
    durable_records.write_open_job(storage, job)
    return created(store, job)


def completed(
    store: JobStore,
    storage: StorageBackend,
    *,
    pictures: Mapping[str, bytes] = ARTIFACTS,
    version: str = PIPELINE_VERSION,
    **changes: Any,
) -> Job:
    """The same, processed to its completion."""
    return complete(store, storage, accepted(store, storage, **changes), pictures=pictures, version=version)


def complete(
    store: JobStore,
    storage: StorageBackend,
    job: Job,
    *,
    pictures: Mapping[str, bytes] = ARTIFACTS,
    version: str = PIPELINE_VERSION,
) -> Job:
    """Play the worker."""
    attempt = attempt_at(store, storage, job.job_id, storage_id=job.storage_id)
    index = _stored(storage, attempt, pictures, version)
    finished = attempt.commit(AttemptResult(attempt.job.attempt, attempt.prefix, index, version))
    assert finished is not None
    return finished


def result_of(storage: StorageBackend, job_id: str) -> dict[str, Any]:
    """Its ``output.json``, once all that it lists was found to be there as it says."""
    output = Output.model_validate_json(read_bytes(storage, keys.result_index(job_id)))
    prefix = f"results/{job_id}/attempts/"
    for artifact in output.artifacts:
        data = read_bytes(storage, artifact.key)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (artifact.size_bytes, artifact.sha256)
        assert artifact.key.startswith(f"{prefix}{output.attempt}-")
    shown: dict[str, Any] = json.loads(output.to_json())
    return shown


def found_in(result: dict[str, Any]) -> dict[str, Any]:
    """What a result contains about the video: all but ids, times and keys."""
    artifacts = [artifact | {"key": ""} for artifact in result["artifacts"]]
    source = result["source"] | {"filename": ""}
    style = result["style"] and result["style"] | {"created_at": ""}
    named = {name: value for name, value in result.items() if name not in (*OTHERS, "attempt")}
    return named | {"artifacts": artifacts, "source": source, "style": style}


def files_of(storage: StorageBackend, job_id: str) -> list[str]:
    return [blob.key for top in ("jobs/", "results/") for blob in storage.list(top) if job_id in blob.key]


def _stored(storage: StorageBackend, attempt: JobAttempt, pictures: Mapping[str, bytes], version: str) -> bytes:
    job, prefix = attempt.job, attempt.prefix
    listed = []
    for name, data in pictures.items():
        put_bytes(storage, prefix + name, data, content_type="image/jpeg")
        about = {"name": name, "key": prefix + name, "kind": "poster", "content_type": "image/jpeg"}
        digest = hashlib.sha256(data).hexdigest()
        listed.append(Artifact.model_validate(about | {"size_bytes": len(data), "sha256": digest}))
    source = {
        "filename": job.filename,
        "container": "mp4",
        "size_bytes": job.source_size_bytes,
        "sha256": job.source_sha256,
        "duration_seconds": 1.25,
        "width": 16,
        "height": 9,
        "frame_rate": 23.976024,
        "video_codec": "h264",
        "audio_codec": None,
    }
    values: dict[str, Any] = {
        "job_id": job.job_id,
        "video_id": job.video_id,
        "attempt": job.attempt,
        "created_at": rfc3339(job.created_at),
        "pipeline_version": version,
        "source": source,
        "shots": [{"index": 0, "start_seconds": 0.0, "end_seconds": 1.25, "transition": "start"}],
        "artifacts": listed,
        "warnings": ["the file breaks off"],
        "timings": {"video_analysis": 0.1},
    }
    index = Output.model_validate(values).to_json()
    put_bytes(storage, prefix + "output.json", index, content_type="application/json")
    return index
