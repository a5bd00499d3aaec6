"""Plays the worker: takes a job to its end through the records and the storage that a worker would use."""

import hashlib
import json
from typing import Any

import requests

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes, put_json
from clipzy_storage.jobs import completion
from clipzy_storage.jobs.store import Claim, PendingCompletion
from clipzy_storage.models.records import ErrorCode, Job
from tests.support.forms import mp4_bytes
from tests.support.servers import FrontEnd

POSTER = bytes(range(256)) * 40
SECRET = b"written by a worker, never published"


def submit(front_end: FrontEnd, *, filename: str = "holiday.mp4") -> dict[str, Any]:
    """A new job, as the front end answers it."""
    answer = requests.post(front_end.api + "/jobs", files={"file": (filename, mp4_bytes(1000))}, timeout=30)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def claim(front_end: FrontEnd, job_id: str) -> Claim:
    storage_id = front_end.storage.prepare()
    claimed = front_end.jobs.claim(job_id, nonce="abcd", storage_id=storage_id)
    assert claimed is not None
    return claimed


def complete(front_end: FrontEnd, job_id: str, *, artifacts: dict[str, bytes] | None = None) -> Job:
    """Publish a result with these files, by name, and a file that it does not list."""
    claimed = claim(front_end, job_id)
    folder, digest = prepare_result(front_end, claimed, artifacts=artifacts)
    assert isinstance(front_end.jobs.commit(claimed, attempt_folder=folder, result_sha256=digest), PendingCompletion)
    return conclude(front_end, claimed)


def prepare_result(
    front_end: FrontEnd, claimed: Claim, *, artifacts: dict[str, bytes] | None = None
) -> tuple[str, str]:
    """Write all that the attempt has to show; the folder where it lies, and the digest of its index."""
    job_id = claimed.job.job_id
    folder = keys.attempt_prefix(job_id, claimed.job.attempt, claimed.nonce)
    listed = []
    for name, content in (artifacts or {"poster.jpg": POSTER}).items():
        put_bytes(front_end.storage, folder + name, content, content_type="application/octet-stream")
        digest = hashlib.sha256(content).hexdigest()
        listed.append(
            {
                "name": name,
                "key": folder + name,
                "kind": "poster",
                "content_type": "text/html",  # what a worker says of a file is not what a client is told
                "size_bytes": len(content),
                "sha256": digest,
            }
        )
    put_bytes(front_end.storage, folder + "unlisted.txt", SECRET, content_type="text/plain")
    index = json.dumps({"schema_version": "1.0", "job_id": job_id, "artifacts": listed}).encode()
    put_bytes(front_end.storage, folder + "output.json", index, content_type="application/json")
    return folder, hashlib.sha256(index).hexdigest()


def fail(front_end: FrontEnd, job_id: str, code: ErrorCode, message: str) -> None:
    claimed = claim(front_end, job_id)
    assert front_end.jobs.fail(job_id, claimed.token, code, message)
    conclude(front_end, claimed)


def conclude(front_end: FrontEnd, claimed: Claim) -> Job:
    """Carry out what was decided."""
    decided = front_end.jobs.decided(claimed.job.job_id, claimed.token)
    assert decided is not None
    job = completion.conclude(front_end.jobs, front_end.storage, decided)
    assert job is not None
    return job


def expire(front_end: FrontEnd, job_id: str, *, tell_redis: bool = True) -> None:
    """Take a completed job's result away, as the janitor does when it was kept long enough."""
    put_json(front_end.storage, keys.expired_result(job_id), {"job_id": job_id})
    if tell_redis:
        assert front_end.upkeep.expire(job_id)
    for blob in list(front_end.storage.list(keys.result_prefix(job_id))):
        if blob.key != keys.expired_result(job_id):
            front_end.storage.delete(blob.key)
