"""Jobs that ended with a whole result, as a worker leaves them, for others to be given it."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend, put_bytes, read_bytes
from clipzy_storage.jobs import completion, durable_records
from clipzy_storage.jobs.store import Claim, JobStore, PendingCompletion
from clipzy_storage.models.output import PIPELINE_VERSION, Artifact, Output
from clipzy_storage.models.records import Job, rfc3339
from tests.support.records import new_job

PICTURES = {"poster.jpg": b"poster" * 1000, **{f"shots/{number:04}.jpg": b"%04d" % number * 900 for number in range(5)}}
OTHERS = ("job_id", "video_id", "created_at", "reused_from")  # what two results of the same recipe differ in
FOOTAGE = hashlib.sha256(b"footage").hexdigest()


def accepted(jobs: JobStore, storage: StorageBackend, **changes: Any) -> Job:
    """A job as a front end makes it, always over the same bytes."""
    job = new_job(**{"storage_id": storage.prepare(), "source_sha256": FOOTAGE} | changes)
    durable_records.write_open_job(storage, job)
    return jobs.submit(job)


def completed(
    jobs: JobStore,
    storage: StorageBackend,
    *,
    pictures: Mapping[str, bytes] = PICTURES,
    version: str = PIPELINE_VERSION,
    **changes: Any,
) -> Job:
    """The same, worked on to its end."""
    return complete(jobs, storage, accepted(jobs, storage, **changes), pictures=pictures, version=version)


def complete(
    jobs: JobStore,
    storage: StorageBackend,
    job: Job,
    *,
    pictures: Mapping[str, bytes] = PICTURES,
    version: str = PIPELINE_VERSION,
) -> Job:
    """Play the worker."""
    claim = jobs.claim(job.job_id, nonce=os.urandom(8).hex(), storage_id=job.storage_id)
    assert claim is not None
    folder = keys.attempt_prefix(job.job_id, claim.job.attempt, claim.nonce)
    index = _stored(storage, claim, folder, pictures, version)
    digest = hashlib.sha256(index).hexdigest()
    decided = jobs.commit(claim, attempt_folder=folder, result_sha256=digest, pipeline_version=version)
    assert isinstance(decided, PendingCompletion)
    ended = completion.conclude(jobs, storage, decided, index=index)
    assert ended is not None
    return ended


def result_of(storage: StorageBackend, job_id: str) -> dict[str, Any]:
    """Its ``output.json``, once all that it lists was found to be there as it says."""
    output = Output.model_validate_json(read_bytes(storage, keys.result_index(job_id)))
    folder = f"results/{job_id}/attempts/"
    for artifact in output.artifacts:
        data = read_bytes(storage, artifact.key)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (artifact.size_bytes, artifact.sha256)
        assert artifact.key.startswith(f"{folder}{output.attempt}-")
    shown: dict[str, Any] = json.loads(output.to_json())
    return shown


def found_in(result: dict[str, Any]) -> dict[str, Any]:
    """What a result says of the footage: all but ids, times and keys."""
    artifacts = [artifact | {"key": ""} for artifact in result["artifacts"]]
    source = result["source"] | {"filename": ""}
    style = result["style"] and result["style"] | {"created_at": ""}
    named = {name: value for name, value in result.items() if name not in (*OTHERS, "attempt")}
    return named | {"artifacts": artifacts, "source": source, "style": style}


def files_of(storage: StorageBackend, job_id: str) -> list[str]:
    return [blob.key for top in ("jobs/", "results/") for blob in storage.list(top) if job_id in blob.key]


def _stored(storage: StorageBackend, claim: Claim, folder: str, pictures: Mapping[str, bytes], version: str) -> bytes:
    listed = []
    for name, data in pictures.items():
        put_bytes(storage, folder + name, data, content_type="image/jpeg")
        about = {"name": name, "key": folder + name, "kind": "poster", "content_type": "image/jpeg"}
        digest = hashlib.sha256(data).hexdigest()
        listed.append(Artifact.model_validate(about | {"size_bytes": len(data), "sha256": digest}))
    source = {
        "filename": claim.job.filename,
        "container": "mp4",
        "size_bytes": claim.job.source_size_bytes,
        "sha256": claim.job.source_sha256,
        "duration_seconds": 1.25,
        "width": 16,
        "height": 9,
        "frame_rate": 23.976024,
        "video_codec": "h264",
        "audio_codec": None,
    }
    values: dict[str, Any] = {
        "job_id": claim.job.job_id,
        "video_id": claim.job.video_id,
        "attempt": claim.job.attempt,
        "created_at": rfc3339(claim.job.created_at),
        "pipeline_version": version,
        "source": source,
        "shots": [{"index": 0, "start_seconds": 0.0, "end_seconds": 1.25, "transition": "start"}],
        "artifacts": listed,
        "warnings": ["the file breaks off"],
        "timings": {"video_analysis": 0.1},
    }
    index = Output.model_validate(values).to_json()
    put_bytes(storage, folder + "output.json", index, content_type="application/json")
    return index
