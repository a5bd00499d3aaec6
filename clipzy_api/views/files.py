"""Files of completed jobs, with byte ranges and conditional requests."""

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.wsgi import FileWrapper

from clipzy_api.callers import UNKNOWN
from clipzy_api.links import check_signature, why_missing
from clipzy_api.openapi.operations import FILE_ANSWERS, FILE_REQUEST_HEADERS, described
from clipzy_api.problems import ApiError, overloaded, result_expired
from clipzy_api.result_indexes import PublishedFile
from clipzy_api.services import caller, owner, services
from clipzy_storage import keys
from clipzy_storage.backends.content_types import content_disposition_of, content_type_of
from clipzy_storage.errors import JobNotFound, NotFound
from clipzy_storage.models.records import Job, Status

BLOCK_BYTES = 256 << 10

_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(?:\d{1,18}-\d{0,18}|-(?P<last>\d{1,18}))\s*", re.ASCII)

files = Blueprint("files", __name__)


@files.get("/storage/<path:key>")
@described(
    "Fetch a file by its link",
    FILE_ANSWERS,
    problems=["RESULT_EXPIRED", "RANGE_NOT_SATISFIABLE", "STORAGE_UNAVAILABLE", "OVERLOADED"],
    headers=FILE_REQUEST_HEADERS,
)
def show_stored(key: str) -> Response:
    """The target of a `storage_url` on local storage: a file of a completed job. On S3 the S3 service has it."""
    if services().storage.kind != "local":
        raise NotFound(key)  # the S3 service has the files, at pre-signed URLs
    if caller() is UNKNOWN:
        check_signature(key, request.args)
    top, _, rest = keys.checked(key).partition("/")
    job_id = rest.partition("/")[0]
    if top != "results" or not keys.is_job_id(job_id) or not _is_completed(job_id):
        raise NotFound(key)
    try:
        file = services().result_indexes.of(job_id).by_key(key)
    except NotFound:
        raise why_missing(job_id) from None
    if file is None:
        raise NotFound(key)
    return send_file(file, why_missing=partial(why_missing, job_id))


def _is_completed(job_id: str) -> bool:
    """Whether the job's record is completed. Raises ``ApiError`` 410 if its result has expired."""
    try:
        job = _find(job_id)
    except JobNotFound:
        return False
    if job.expired:
        raise result_expired()
    return job.status is Status.COMPLETED


def _find(job_id: str) -> Job:
    lookup = services().lookup
    return lookup.find_for_link(job_id) if caller() is UNKNOWN else lookup.find_for_file(job_id, owner=owner())


def send_file(file: PublishedFile, *, why_missing: Callable[[], ApiError], filename: str | None = None) -> Response:
    """A stored file, or the requested range of it; shown under ``filename``, or else the one in its key.

    Raises ``ApiError`` 416 or 503, and ``why_missing`` if it is not in storage any more.
    """
    answer = Response()  # no direct_passthrough: werkzeug does not close what it passes through
    answer.headers.update(_headers(file))
    if filename is not None:
        answer.headers.set("Content-Disposition", "inline", **_named(filename))
    answer.content_length = file.size_bytes
    answer.set_etag(file.sha256)
    if request.method == "GET":
        _attach(answer, file, why_missing)
    environ = dict(request.environ)
    if not _is_one_range(environ.get("HTTP_RANGE", ""), file.size_bytes):
        environ.pop("HTTP_RANGE", None)
    try:
        answer.make_conditional(environ, accept_ranges=True, complete_length=file.size_bytes)
    except BaseException:
        answer.close()
        raise
    return answer


def _named(filename: str) -> dict[str, str]:
    """The name as a parameter of ``Content-Disposition`` (RFC 6266)."""
    return {"filename": filename} if filename.isascii() else {"filename*": f"UTF-8''{quote(filename, safe='')}"}


def _is_one_range(text: str, size_bytes: int) -> bool:
    """Whether it is one range within the file; several ranges or another unit are answered with the whole file."""
    match = _ONE_RANGE.fullmatch(text)
    return match is not None and not (match["last"] and int(match["last"]) >= size_bytes)


def _attach(answer: Response, file: PublishedFile, why_missing: Callable[[], ApiError]) -> None:
    """Let the answer stream the file; its slot is released when it is closed."""
    downloads = services().downloads
    if not downloads.acquire():
        raise overloaded("downloads")
    answer.call_on_close(downloads.release)
    try:
        answer.response = FileWrapper(services().storage.open(file.key), BLOCK_BYTES)
    except NotFound:
        answer.close()
        raise why_missing() from None
    except BaseException:
        answer.close()
        raise


def _headers(file: PublishedFile) -> dict[str, str]:
    return {
        "Content-Type": content_type_of(file.key),
        "Content-Disposition": content_disposition_of(file.key),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, max-age=3600",
    }
