"""Loaded by schemathesis: what it cannot know of our files."""

import os
import uuid
from typing import Any

import requests
import schemathesis
from hypothesis import strategies
from schemathesis.transport.serialization import Binary

from tests.support.forms import MP4_HEAD, mp4_bytes

# A schema cannot say that a file has to be a video, so that anything else would be refused although it fits.
schemathesis.openapi.format("binary", strategies.binary(max_size=2000).map(lambda tail: Binary(MP4_HEAD + tail)))


def _something_to_delete() -> dict[str, str]:
    """A cancelled job, and its video."""
    jobs = os.environ["TARGET_URL"] + "/api/v1/jobs"
    job = requests.post(jobs, files={"file": ("a.mp4", mp4_bytes(1000))}, timeout=30).json()
    requests.post(f"{jobs}/{job['job_id']}/cancel", timeout=30)
    return {"job_id": job["job_id"], "video_id": job["video_id"]}


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if case.operation.path == "/storage/{key}" and is_positive:  # no dictionary may hold a slash
        case.path_parameters["key"] = os.environ["STORED_KEY"]
    if is_positive and "Idempotency-Key" in case.headers:  # none fits a second request
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    if is_positive and case.method == "DELETE" and case.path_parameters:  # or the other calls would find nothing more
        made = _something_to_delete()
        case.path_parameters.update({name: made[name] for name in case.path_parameters})
    if case.operation.path.endswith("/events") and str(case.path_parameters.get("job_id")).startswith("job_"):
        case.path_parameters["job_id"] = os.environ["FINISHED_JOB"]  # the stream of one that waits has no end
    if any(str(value).endswith(".json") for value in case.path_parameters.values()):
        # A part of a JSON file is called JSON, as it has to be (RFC 9110, 15.3.7), and cannot be read as such.
        for name in [name for name in case.headers if name.lower() == "range"]:
            del case.headers[name]
