"""Every error that a client can receive, as ``application/problem+json`` (RFC 9457), from one handler."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from clipzy_api.retry_after import POLL_SECONDS, QUEUE_FULL_SECONDS, QUOTA_SECONDS, UNAVAILABLE_SECONDS
from clipzy_storage import errors
from clipzy_storage.log_events import STORAGE_DAMAGED

CONTENT_TYPE = "application/problem+json"
MAX_SHOWN_LENGTH = 80

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Code:
    """One row of the table: the HTTP status of a code, when it is answered, and when to try again, if ever."""

    status: int
    when: str
    retry_after_seconds: int | None = None


CODES = {
    "BAD_REQUEST": Code(400, "The request is not well-formed, such as one without a `Host`, or with two."),
    "TRUNCATED_UPLOAD": Code(400, "Fewer bytes arrived than were declared, or the form lacks its final boundary."),
    "UNAUTHORIZED": Code(401, "There is no API key, or it is unknown, expired or revoked."),
    "FORBIDDEN": Code(403, "The API key lacks the scope that the call needs, or the link has expired."),
    "CROSS_SITE": Code(403, "A page of an origin that is not in `CORS_ORIGINS` sent a call that changes something."),
    "NOT_FOUND": Code(404, "There is nothing at this address."),
    "VIDEO_NOT_FOUND": Code(404, "There is no such video."),
    "JOB_NOT_FOUND": Code(404, "There is no such job."),
    "FILE_NOT_FOUND": Code(404, "The job's result lists no such file, or it is no longer in storage."),
    "UPLOAD_NOT_FOUND": Code(404, "There is no such upload: it was given up, or nothing has come for too long."),
    "DELIVERY_NOT_FOUND": Code(404, "The job has no such delivery to a webhook."),
    "METHOD_NOT_ALLOWED": Code(405, "The address does not support this method; `Allow` names those that it supports."),
    "JOB_NOT_FINISHED": Code(409, "The job is not finished yet; ask again after `Retry-After` seconds.", POLL_SECONDS),
    "JOB_ALREADY_FINISHED": Code(409, "The outcome of the job is fixed; it never changes again."),
    "JOB_CANCELLED": Code(409, "The job was cancelled and has no result."),
    "INVALID_MEDIA": Code(409, "The job failed, and the file is at fault."),
    "JOB_TIMEOUT": Code(409, "The job failed: it took longer than `PROCESSING_TIMEOUT_SECONDS`."),
    "WORKER_LOST": Code(409, "The job failed: it lost its worker several times."),
    "RESULT_TOO_LARGE": Code(409, "The job failed: its result would be over `MAX_RESULT_MB`. Nothing was kept."),
    "IMPORT_FAILED": Code(409, "The job failed: its video could not be fetched from `source_url`, or not be kept."),
    "PROCESSING_FAILED": Code(409, "The job failed, and the file is not at fault."),
    "NOT_OFFERED": Code(409, "The storage takes no files from clients directly; `detail` names the calls that do."),
    "OFFSET_MISMATCH": Code(409, "The upload has another number of bytes; `Upload-Offset` has it. Nothing was kept."),
    "DELIVERY_IN_PROGRESS": Code(409, "An attempt at this delivery is being made.", POLL_SECONDS),
    "VIDEO_IN_USE": Code(409, "A job that is not finished uses the video.", UNAVAILABLE_SECONDS),
    "RESULT_EXPIRED": Code(410, "The result was kept for `RESULT_TTL_HOURS`, and no longer."),
    "LENGTH_REQUIRED": Code(
        411, "A JSON body needs a `Content-Length`; a file as the body that, or a `Content-Digest`."
    ),
    "TUS_VERSION_MISMATCH": Code(412, "`Tus-Resumable` is missing, or names a version other than 1.0.0."),
    "FILE_TOO_LARGE": Code(413, "The file is over `MAX_FILE_SIZE_MB`, or a JSON body over 1 MiB. Nothing was kept."),
    "UNSUPPORTED_MEDIA_TYPE": Code(
        415, "The body is of another type, or compressed; `Accept` names what is supported."
    ),
    "RANGE_NOT_SATISFIABLE": Code(416, "The file has no such range; `Content-Range` has its size."),
    "WRONG_HOST": Code(421, "The `Host` is not a name of this server; `ALLOWED_HOSTS` has them."),
    "MISSING_FIELD": Code(422, "The field that `field` names is missing or empty."),
    "INVALID_FIELD": Code(422, "The field, parameter or header that `field` names is wrong or unknown."),
    "URL_REFUSED": Code(422, "`source_url` or `webhook_url` is not one that this service opens, if it opens any."),
    "UNSUPPORTED_FORMAT": Code(422, "The content is not mp4, mov, avi, mkv or webm, whatever its name says."),
    "DIGEST_MISMATCH": Code(422, "The bytes that arrived have another digest than was sent. Nothing was kept."),
    "IDEMPOTENCY_MISMATCH": Code(
        422, "The `Idempotency-Key` was used before, for another request. Nothing was created."
    ),
    "UPLOAD_LOCKED": Code(423, "Another request writes this upload.", POLL_SECONDS),
    "QUOTA_EXCEEDED": Code(
        429, "The owner has as many jobs, uploads or stored bytes as allowed. Nothing was kept.", QUOTA_SECONDS
    ),
    "CHECKSUM_MISMATCH": Code(
        460, "The body has another digest than `Upload-Checksum`; its bytes were not kept. Send them again."
    ),
    "INTERNAL": Code(500, "An internal error; the operator finds it in the log under `request_id`."),
    "QUEUE_UNAVAILABLE": Code(
        503, "Redis is unavailable, or this front end may not accept work yet.", UNAVAILABLE_SECONDS
    ),
    "QUEUE_FULL": Code(
        503, "`MAX_UNFINISHED_JOBS` jobs wait or are processed already. Nothing was kept.", QUEUE_FULL_SECONDS
    ),
    "STORAGE_UNAVAILABLE": Code(503, "The storage is unavailable, or a record in it is damaged.", UNAVAILABLE_SECONDS),
    "OVERLOADED": Code(
        503, "Too many uploads, downloads, large answers or event streams are in progress.", UNAVAILABLE_SECONDS
    ),
    "STORAGE_FULL": Code(507, "The storage has no room for this. Nothing was kept."),
}

_PHRASES = {460: "Checksum Mismatch"}
"""Of a status that is defined by tus alone."""

# For errors of the framework; the names in HTTPStatus differ between Python versions.
_FRAMEWORK_CODES = {
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "FILE_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "RANGE_NOT_SATISFIABLE",
}


class ApiError(Exception):
    """An error answer, with the status and ``Retry-After`` of its ``code``.

    ``detail`` is for people: what was found and what to do. ``members`` are added to those of every problem.
    """

    def __init__(
        self,
        code: str,
        *,
        detail: str,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """``status`` is for the framework's codes, which are not in the table."""
        super().__init__(detail)
        self.code = code
        self.status = CODES[code].status if status is None else status
        self.detail = detail
        self.headers = _retry_header(code) | dict(headers or {})
        self.members = dict(members or {})

    def response(self) -> Response:
        problem = {
            "title": _PHRASES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }
        text = json.dumps(problem, ensure_ascii=False) + "\n"
        return Response(text, self.status, self.headers, content_type=CONTENT_TYPE)


def missing_field(name: str, *, expects: str) -> ApiError:
    detail = f"The field `{name}` is missing or empty; it should be {expects}."
    return ApiError("MISSING_FIELD", detail=detail, members={"field": name})


def invalid_field(name: str, *, expects: str) -> ApiError:
    detail = f"The field `{name}` is wrong; it should be {expects}."
    return ApiError("INVALID_FIELD", detail=detail, members={"field": name})


def unknown_field(name: str, *, known: str) -> ApiError:
    detail = f"The field `{shown(name)}` is unknown; it should be left out. Known: {known}."
    return ApiError("INVALID_FIELD", detail=detail, members={"field": shown(name)})


def shown(text: str) -> str:
    """The beginning of what a client sent, which may be as long as a request."""
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[:MAX_SHOWN_LENGTH]}…"


def truncated(detail: str) -> ApiError:
    return ApiError("TRUNCATED_UPLOAD", detail=detail)


def file_too_large(detail: str) -> ApiError:
    return ApiError("FILE_TOO_LARGE", detail=detail)


def overloaded(kind: str) -> ApiError:
    """``kind`` of requests in the plural: uploads, downloads, large answers, event streams."""
    return ApiError("OVERLOADED", detail=f"Too many {kind} are in progress at this front end. Try again soon.")


def queue_unavailable(detail: str) -> ApiError:
    return ApiError("QUEUE_UNAVAILABLE", detail=detail)


def storage_full() -> ApiError:
    return ApiError("STORAGE_FULL", detail="The storage has no room for this. Nothing was kept.")


def unauthorized(detail: str, *, challenge: str = "Bearer") -> ApiError:
    """The refusal of RFC 6750, without a reason where no key was sent."""
    return ApiError("UNAUTHORIZED", detail=detail, headers={"WWW-Authenticate": challenge})


def key_needed() -> ApiError:
    return unauthorized("This call needs an API key: the header `Authorization` with `Bearer` and the key.")


def checksum_mismatch(algorithm: str, *, sent: str, found: str) -> ApiError:
    detail = (
        f"The bytes that arrived have the {algorithm} {found}, and {sent} was sent. They are not kept; send them again."
    )
    return ApiError("CHECKSUM_MISMATCH", detail=detail)


def video_not_found() -> ApiError:
    return ApiError("VIDEO_NOT_FOUND", detail="There is no such video.")


def result_expired() -> ApiError:
    return ApiError("RESULT_EXPIRED", detail="The job's result was kept for RESULT_TTL_HOURS, and no longer.")


def register(app: Flask) -> None:
    """Answer every exception of a view with a problem."""
    app.register_error_handler(Exception, _answer)


def _retry_header(code: str) -> dict[str, str]:
    seconds = CODES[code].retry_after_seconds if code in CODES else None
    return {} if seconds is None else {"Retry-After": str(seconds)}


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
        case errors.PartsMismatch():
            return invalid_field("parts", expects=f"all parts as they have arrived: {error}")
        case errors.OffsetMismatch():
            detail = f"The upload has {error.size_bytes} bytes. Continue it after them."
            return ApiError("OFFSET_MISMATCH", detail=detail, headers={"Upload-Offset": str(error.size_bytes)})
        case errors.JobAlreadyFinished():
            return ApiError("JOB_ALREADY_FINISHED", detail=f"The job is already {error}; that never changes again.")
        case errors.QueueFull() | errors.QuotaExceeded() | errors.QueueUnavailable():
            return _from_queue(error)
    refusal = _REFUSALS.get(type(error))
    return refusal() if refusal else _unexpected(error)


_REFUSALS: Mapping[type[Exception], Callable[[], ApiError]] = {
    errors.JobNotFound: lambda: ApiError("JOB_NOT_FOUND", detail="There is no such job."),
    errors.UploadNotFound: lambda: ApiError("UPLOAD_NOT_FOUND", detail="There is no such upload. Begin it again."),
    errors.UploadLocked: lambda: ApiError(
        "UPLOAD_LOCKED", detail="Another request writes this upload. Try again, or wait until that one has ended."
    ),
    errors.DeliveryInProgress: lambda: ApiError(
        "DELIVERY_IN_PROGRESS", detail="An attempt at this delivery is being made. Ask again in some seconds."
    ),
    errors.VideoGone: video_not_found,
    errors.VideoInUse: lambda: ApiError(
        "VIDEO_IN_USE", detail="An unfinished job uses the video. Wait until it finishes, or cancel it."
    ),
    errors.IdempotencyMismatch: lambda: ApiError(
        "IDEMPOTENCY_MISMATCH",
        detail="This Idempotency-Key was used before, for another request. Nothing was created; use a new key.",
    ),
}


def _from_queue(error: errors.QueueFull | errors.QuotaExceeded | errors.QueueUnavailable) -> ApiError:
    if isinstance(error, errors.QuotaExceeded):
        return ApiError("QUOTA_EXCEEDED", detail=f"{error} Nothing was kept.", members={"limit": error.limit})
    if isinstance(error, errors.QueueFull):
        log.warning("queue.full", reason="MAX_UNFINISHED_JOBS is reached; new jobs are refused")
        detail = "Too many jobs wait or are processed. Nothing was kept; try again when some have finished."
        return ApiError("QUEUE_FULL", detail=detail)
    log.warning("queue.unavailable", reason=str(error))
    return queue_unavailable("The job records are unavailable now. Try again soon.")


def _from_storage(error: errors.StorageError) -> ApiError:
    match error:
        case errors.NotFound() | errors.BadKey():
            return ApiError("FILE_NOT_FOUND", detail="There is no such file.")
        case errors.StorageFull():
            log.warning("storage.full", reason=str(error))
            return storage_full()
        case errors.CredentialsRefused():
            log.error("storage.credentials_refused", reason=str(error))
            return _storage_unavailable(
                f"The storage refuses the credentials of this service: {error.finding}. Its operator must renew them."
            )
        case errors.StorageUnavailable():
            log.warning("storage.unavailable", reason=str(error))
            return _storage_unavailable("The storage is unavailable now. Try again soon.")
        case errors.AlreadyExists():
            return _unexpected(error)
    # A record is damaged, or was written by a later version. Once the operator has restored a backup or upgraded, the
    # same request succeeds, so it is answered like an outage of the storage.
    log.error(STORAGE_DAMAGED, reason=str(error))
    return _storage_unavailable("A record in the storage is damaged. The operator's log names the file.")


def _storage_unavailable(detail: str) -> ApiError:
    return ApiError("STORAGE_UNAVAILABLE", detail=detail)


def _from_framework(error: HTTPException) -> ApiError:
    """What werkzeug and Flask refuse, with its headers (``Allow``, ``Content-Range``)."""
    status = error.code or 500
    code = _FRAMEWORK_CODES.get(status, HTTPStatus(status).name)
    headers = {name: value for name, value in error.get_headers(request.environ) if name.lower() != "content-type"}
    detail = "There is nothing at this address." if status == 404 else error.description
    return ApiError(code, status=status, detail=detail or HTTPStatus(status).phrase, headers=headers)


def _unexpected(error: Exception) -> ApiError:
    log.error("http.failed", method=shown(request.method), path=shown(request.path), exc_info=error)
    detail = "An internal error. The operator finds it in the log under this request id."
    return ApiError("INTERNAL", detail=detail, members={"request_id": g.request_id})
