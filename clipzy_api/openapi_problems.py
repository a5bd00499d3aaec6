"""Every code that a problem can carry: its status, when it comes, and what comes with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from clipzy_api.openapi_parts import SECONDS, Fragment, Header


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

PROBLEM_HEADERS: Mapping[int, tuple[Header, ...]] = {
    405: (Header("Allow", "The methods that are known here."),),
    409: (
        Header(
            "Retry-After",
            "With `JOB_NOT_FINISHED` and `VIDEO_IN_USE`: when to ask again.",
            always=False,
            schema=SECONDS,
        ),
    ),
    415: (Header("Accept", "The media types that are taken."),),
    416: (Header("Content-Range", "`bytes */` and the size of the file."),),
    503: (Header("Retry-After", "Seconds to wait before trying again.", schema=SECONDS),),
}


def examples_of(codes: Sequence[str]) -> Fragment:
    return {code: {"value": _example(code)} for code in codes}


def _example(code: str) -> Fragment:
    status, when = CODES[code].status, CODES[code].when
    return {"title": HTTPStatus(status).phrase, "status": status, "detail": when, "code": code}
