"""Plays the worker: completes jobs through the records and the storage that a worker uses."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import requests

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes, put_json
from clipzy_storage.jobs.attempt import AttemptResult, JobAttempt
from clipzy_storage.models.records import ErrorCode, Job
from tests.support.forms import mp4_bytes
from tests.support.jobs import attempt_at
from tests.support.servers import FrontEnd

POSTER = bytes(range(256)) * 40
SECRET = b"written by a worker, never published"


def submit(front_end: FrontEnd, *, filename: str = "holiday.mp4") -> dict[str, Any]:
    """A new job, as the front end answers it."""
    answer = requests.post(front_end.api + "/jobs", files={"file": (filename, mp4_bytes(1000))}, timeout=30)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def claim(front_end: FrontEnd, job_id: str) -> JobAttempt:
    return attempt_at(front_end.store, front_end.storage, job_id)


def complete(front_end: FrontEnd, job_id: str, *, artifacts: dict[str, bytes] | None = None) -> Job:
    """Publish a result with these files, by name, and a file that it does not list."""
    attempt = claim(front_end, job_id)
    finished = attempt.commit(write_result(front_end, attempt, artifacts=artifacts))
    assert finished is not None
    return finished


def write_result(
    front_end: FrontEnd, attempt: JobAttempt, *, artifacts: dict[str, bytes] | None = None
) -> AttemptResult:
    """Write everything that the attempt has to show."""
    job_id, prefix = attempt.job.job_id, attempt.prefix
    listed = []
    for name, content in (artifacts or {"poster.jpg": POSTER}).items():
        put_bytes(front_end.storage, prefix + name, content, content_type="application/octet-stream")
        digest = hashlib.sha256(content).hexdigest()
        listed.append(
            {
                "name": name,
                "key": prefix + name,
                "kind": "poster",
                "content_type": "text/html",  # the content type of a worker is not the one of the answer
                "size_bytes": len(content),
                "sha256": digest,
            }
        )
    put_bytes(front_end.storage, prefix + "unlisted.txt", SECRET, content_type="text/plain")
    index = json.dumps({"schema_version": "1.0", "job_id": job_id, "artifacts": listed}).encode()
    put_bytes(front_end.storage, prefix + "output.json", index, content_type="application/json")
    return AttemptResult(attempt.job.attempt, prefix, index)


def publish(front_end: FrontEnd, result: Mapping[str, Any]) -> str:
    """A new job, completed with this ``output.json``, which lists no files."""
    job_id = str(submit(front_end)["job_id"])
    attempt = claim(front_end, job_id)
    index = json.dumps({"artifacts": [], **result, "job_id": job_id}).encode()
    put_bytes(front_end.storage, attempt.prefix + "output.json", index, content_type="application/json")
    assert attempt.commit(AttemptResult(attempt.job.attempt, attempt.prefix, index)) is not None
    return job_id


def fail(front_end: FrontEnd, job_id: str, code: ErrorCode, message: str) -> None:
    assert claim(front_end, job_id).fail(code, message) is not None


def expire(front_end: FrontEnd, job_id: str, *, tell_redis: bool = True) -> None:
    """Delete a completed job's result, as the garbage collector does when it has expired."""
    put_json(front_end.storage, keys.expired_result(job_id), {"job_id": job_id})
    if tell_redis:
        assert front_end.admin.expire(job_id)
    for blob in list(front_end.storage.list(keys.result_prefix(job_id))):
        if blob.key != keys.expired_result(job_id):
            front_end.storage.delete(blob.key)
