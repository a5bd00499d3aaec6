"""Loaded by schemathesis: what a schema cannot express."""

import json
import os
import uuid
from typing import Any

import requests
import schemathesis
from hypothesis import strategies
from schemathesis.transport.serialization import Binary

from tests.support.forms import MP4_HEAD, mp4_bytes

# Any other bytes are valid by the schema, but are refused.
schemathesis.openapi.format("binary", strategies.binary(max_size=2000).map(lambda tail: Binary(MP4_HEAD + tail)))
# Any other URI is valid by the schema, but most have a scheme that is refused.
schemathesis.openapi.format("uri", strategies.just("https://videos.example.com/holiday.mp4"))


schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


def _new_upload() -> str:
    uploads, headers = os.environ["TARGET_URL"] + "/api/v1/uploads", json.loads(os.environ["HEADERS"])
    begun = requests.post(uploads, headers=headers | {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}, timeout=30)
    return begun.headers["Location"].rpartition("/")[2]


def _new_cancelled_job() -> dict[str, str]:
    """A cancelled job, its video, and the delivery of its end."""
    jobs, headers = os.environ["TARGET_URL"] + "/api/v1/jobs", json.loads(os.environ["HEADERS"])
    files, fields = {"file": ("a.mp4", mp4_bytes(1000))}, {"webhook_url": "https://hooks.example.com/"}
    job = requests.post(jobs, files=files, data=fields, headers=headers, timeout=30).json()
    requests.post(f"{jobs}/{job['job_id']}/cancel", headers=headers, timeout=30)
    answer = requests.get(f"{jobs}/{job['job_id']}/deliveries", headers=headers, timeout=30).json()
    delivery_id = answer["deliveries"][0]["delivery_id"]
    return {"job_id": job["job_id"], "video_id": job["video_id"], "delivery_id": delivery_id}


def _coherent(config: Any) -> None:
    """Fields that exclude each other, or must follow each other."""
    clips = config.get("clips") if isinstance(config, dict) else None
    if not isinstance(clips, dict):
        return
    if clips.get("ranges"):
        clips["ranges"] = [{"start_seconds": 0, "end_seconds": 1} for _ in clips["ranges"]]
        for name in ("count", "min_seconds", "max_seconds", "profile"):
            clips.pop(name, None)
    if clips.get("min_seconds", 10) > clips.get("max_seconds", 60):
        clips["min_seconds"], clips["max_seconds"] = 1, 600
    if clips.get("within"):
        clips["within"] = {"start_seconds": 0, "end_seconds": 1}


def _replace_ids(case: Any) -> None:
    made = {"upload_id": _new_upload()} if "upload_id" in case.path_parameters else _new_cancelled_job()
    case.path_parameters.update({name: one for name, one in made.items() if name in case.path_parameters})


def _is_of_others(case: Any) -> bool:
    """Whether a deletion is of what the other calls need."""
    return case.method == "DELETE" and any(f'"{one}"' in os.environ["KEPT"] for one in case.path_parameters.values())


def _make_acceptable(case: Any) -> None:
    """A request that is valid by the schema is to be accepted."""
    if case.operation.path == "/storage/{key}":  # a dictionary cannot hold a slash
        case.path_parameters["key"] = os.environ["STORED_KEY"]
    if "Idempotency-Key" in case.headers:  # no key is valid for a second request
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    if "delivery_id" in case.path_parameters:  # the two ids must belong together
        _replace_ids(case)
    if "Last-Event-ID" in case.headers:  # it also sends `0`, which does not match the pattern
        case.headers["Last-Event-ID"] = "0-0"
    if "Upload-Length" in case.headers:  # the cap is a setting
        case.headers["Upload-Length"] = "5000000"
    for name in ("Content-Digest", "Upload-Checksum"):  # they depend on the body
        case.headers.pop(name, None)
    case.query.pop("cursor", None)  # only one that an earlier page had is valid, and none beside a page number
    if isinstance(case.body, dict):
        _coherent(case.body.get("config"))
        case._record_starting_state()  # it would take a form that was changed for an invalid one
    if case.media_type == "multipart/form-data":  # a form has the name of its file itself
        case.query.pop("filename", None)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    if case.meta is not None and case.meta.generation.mode.is_positive:
        _make_acceptable(case)
    if _is_of_others(case):
        _replace_ids(case)
    if case.operation.path.endswith("/events") and str(case.path_parameters.get("job_id")).startswith("job_"):
        case.path_parameters["job_id"] = os.environ["FINISHED_JOB"]  # the stream of a queued job does not end
    if any(str(value).endswith(".json") for value in case.path_parameters.values()):
        # A range of a JSON file has the type JSON (RFC 9110, 15.3.7), but cannot be parsed.
        for name in [name for name in case.headers if name.lower() == "range"]:
            del case.headers[name]
