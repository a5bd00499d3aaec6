"""Every error a client can get, as ``application/problem+json`` (RFC 9457), from one handler."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from clipzy_storage import errors

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "5"}

log = logging.getLogger(__name__)
_LATER_FIELDS = {"template_video_id", "webhook_url"}
_FRAMEWORK_CODES = {  # where these are silent the code is the status's name, which differs between Python versions
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "FILE_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "RANGE_NOT_SATISFIABLE",
}


class ApiError(Exception):
    """An answer other than the one asked for.

    ``detail`` is for a person: what was found and what to do. ``members`` join the problem's own.
    """

    def __init__(
        self,
        status: int,
        code: str,
        *,
        detail: str,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def response(self) -> Response:
        problem = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }
        text = json.dumps(problem, ensure_ascii=False) + "\n"
        return Response(text, self.status, self.headers, content_type=CONTENT_TYPE)


def missing_field(name: str, *, expects: str) -> ApiError:
    detail = f"The field `{name}` is missing or empty; it should be {expects}."
    return ApiError(422, "MISSING_FIELD", detail=detail, members={"field": name})


def invalid_field(name: str, *, expects: str) -> ApiError:
    detail = f"The field `{name}` is wrong; it should be {expects}."
    return ApiError(422, "INVALID_FIELD", detail=detail, members={"field": name})


def unknown_field(name: str, *, known: str) -> ApiError:
    """A field that is not taken, told apart from one that is taken and wrong."""
    why = "not served by this version yet" if name in _LATER_FIELDS else "unknown"
    detail = f"The field `{name}` is {why}; it should be left out. Taken: {known}."
    return ApiError(422, "INVALID_FIELD", detail=detail, members={"field": name})


def truncated(detail: str) -> ApiError:
    return ApiError(400, "TRUNCATED_UPLOAD", detail=detail)


def file_too_large(detail: str) -> ApiError:
    return ApiError(413, "FILE_TOO_LARGE", detail=detail)


def queue_unavailable(detail: str) -> ApiError:
    return ApiError(503, "QUEUE_UNAVAILABLE", detail=detail, headers=RETRY_AFTER)


def storage_full() -> ApiError:
    return ApiError(507, "STORAGE_FULL", detail="The storage has no room for this. Nothing was kept.")


def video_not_found() -> ApiError:
    return ApiError(404, "VIDEO_NOT_FOUND", detail="There is no such video.")


def result_expired() -> ApiError:
    return ApiError(410, "RESULT_EXPIRED", detail="The job's result was kept for RESULT_TTL_HOURS, and no longer.")


def register(app: Flask) -> None:
    """Answer whatever a view raises with a problem."""
    app.register_error_handler(Exception, _answer)


def _answer(error: Exception) -> WerkzeugResponse:
    if isinstance(error, HTTPException) and error.code is not None and error.code < 400:
        return error.get_response()
    return _as_api_error(error).response()


def _as_api_error(error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case HTTPException():
            return _from_framework(error)
        case errors.StorageError():
            return _from_storage(error)
        case errors.JobNotFound():
            return ApiError(404, "JOB_NOT_FOUND", detail="There is no such job.")
        case errors.VideoGone():
            return video_not_found()
        case errors.IdempotencyMismatch():
            detail = "This Idempotency-Key came with something else before. Nothing was made; use a new key."
            return ApiError(422, "IDEMPOTENCY_MISMATCH", detail=detail)
        case errors.QueueUnavailable():
            log.warning("queue.unavailable: %s", error)
            return queue_unavailable("The job records cannot be reached now. Try again soon.")
    return _unexpected(error)


def _from_storage(error: errors.StorageError) -> ApiError:
    match error:
        case errors.NotFound() | errors.BadKey():
            return ApiError(404, "FILE_NOT_FOUND", detail="There is no such file.")
        case errors.StorageFull():
            log.warning("storage.full: %s", error)
            return storage_full()
        case errors.StorageUnavailable():
            log.warning("storage.unavailable: %s", error)
            return _storage_unavailable("The storage cannot be reached now. Try again soon.")
        case errors.AlreadyExists():
            return _unexpected(error)
    # What lies there cannot be understood, or a later version wrote it. That is no fault of this code and none of the
    # client's: once the operator has set it right, by a backup or an upgrade, the same request succeeds. So it is
    # answered like a storage that is out of reach, but for this one thing.
    log.error("storage.damaged: %s", error)
    return _storage_unavailable("What the storage holds of this cannot be read. The operator's log says which file.")


def _storage_unavailable(detail: str) -> ApiError:
    return ApiError(503, "STORAGE_UNAVAILABLE", detail=detail, headers=RETRY_AFTER)


def _from_framework(error: HTTPException) -> ApiError:
    """What werkzeug and Flask refuse on their own, with its headers (``Allow``, ``Content-Range``)."""
    status = error.code or 500
    code = _FRAMEWORK_CODES.get(status, HTTPStatus(status).name)
    headers = {name: value for name, value in error.get_headers(request.environ) if name.lower() != "content-type"}
    detail = "There is nothing at this address." if status == 404 else error.description
    return ApiError(status, code, detail=detail or HTTPStatus(status).phrase, headers=headers)


def _unexpected(error: Exception) -> ApiError:
    log.error("request.failed: %s %r", request.method, request.path, exc_info=error)
    detail = "Something went wrong on our side. The log says more under this request id."
    return ApiError(500, "INTERNAL", detail=detail, members={"request_id": g.request_id})


@dataclass(frozen=True)
class Code:
    status: int
    when: str


CODES = {
    "TRUNCATED_UPLOAD": Code(400, "Fewer bytes came than were declared, or the form lacks its final boundary."),
    "NOT_FOUND": Code(404, "There is nothing at this address."),
    "VIDEO_NOT_FOUND": Code(404, "There is no such video."),
    "JOB_NOT_FOUND": Code(404, "There is no such job."),
    "FILE_NOT_FOUND": Code(404, "The job's result lists no such file, or it is no longer in storage."),
    "METHOD_NOT_ALLOWED": Code(405, "The address does not know this method; `Allow` names those that it knows."),
    "JOB_NOT_FINISHED": Code(409, "The job is not finished yet; ask again after `Retry-After` seconds."),
    "JOB_ALREADY_FINISHED": Code(409, "The job has its end, or is about to have it; that never changes again."),
    "JOB_CANCELLED": Code(409, "The job was cancelled and has no result."),
    "INVALID_MEDIA": Code(409, "The job failed, and the file is at fault."),
    "JOB_TIMEOUT": Code(409, "The job failed: it took longer than `PROCESSING_TIMEOUT_SECONDS`."),
    "WORKER_LOST": Code(409, "The job failed: it lost its worker several times."),
    "PROCESSING_FAILED": Code(409, "The job failed, and the file is not at fault."),
    "VIDEO_IN_USE": Code(409, "A job that is not finished uses the video."),
    "RESULT_EXPIRED": Code(410, "The result was kept for `RESULT_TTL_HOURS`, and no longer."),
    "LENGTH_REQUIRED": Code(411, "A JSON body needs a `Content-Length`."),
    "FILE_TOO_LARGE": Code(413, "The file is over `MAX_FILE_SIZE_MB`, or a JSON body over 1 MiB. Nothing was kept."),
    "UNSUPPORTED_MEDIA_TYPE": Code(415, "The body is of another type, or compressed; `Accept` names what is taken."),
    "RANGE_NOT_SATISFIABLE": Code(416, "The file has no such part; `Content-Range` tells its size."),
    "MISSING_FIELD": Code(422, "The field that `field` names is missing or empty."),
    "INVALID_FIELD": Code(422, "The field, parameter or header that `field` names is wrong, or not one that is taken."),
    "UNSUPPORTED_FORMAT": Code(422, "The content is not mp4, mov, avi, mkv or webm, whatever its name says."),
    "IDEMPOTENCY_MISMATCH": Code(422, "The `Idempotency-Key` came with something else before. Nothing was made."),
    "INTERNAL": Code(500, "Something went wrong on our side; the log says more under `request_id`."),
    "QUEUE_UNAVAILABLE": Code(503, "Redis is out of reach, or this front end may not take work yet."),
    "STORAGE_UNAVAILABLE": Code(503, "The storage is out of reach, or what it holds of this cannot be read."),
    "TOO_MANY_UPLOADS": Code(503, "As many uploads as are taken at once are under way."),
    "TOO_MANY_DOWNLOADS": Code(503, "As many downloads as are served at once are under way."),
    "TOO_MANY_STREAMS": Code(503, "As many clients as are served at once follow jobs."),
    "STORAGE_FULL": Code(507, "The storage has no room for this. Nothing was kept."),
}
