"""Request checks before the first byte of a body is read, cheapest first, so that a refusal costs nothing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import structlog
from flask import g, request

from clipzy_api.inputs import strict_json
from clipzy_api.inputs.idempotency import sent_key
from clipzy_api.inputs.multipart import FRAMING_LIMIT_BYTES
from clipzy_api.inputs.request_body import RequestBody, current_body
from clipzy_api.problems import (
    ApiError,
    file_too_large,
    invalid_field,
    missing_field,
    overloaded,
    queue_unavailable,
    storage_full,
    unknown_field,
)
from clipzy_api.services import owner, services
from clipzy_storage.guard.refusals import Refused

JSON_LIMIT_BYTES = 1 << 20
MULTIPART = "multipart/form-data"
RAW = ("application/octet-stream", "video/*")
"""The types of a body that is the file itself."""
JSON = "application/json"

log = structlog.stdlib.get_logger(__name__)


def require_media_type(*allowed: str) -> str:
    """The body's media type. Raises ``ApiError`` 415 if it is none of ``allowed`` or the body is compressed."""
    coding = _coding()
    kind = request.mimetype.partition("/")[0]
    if not {request.mimetype, f"{kind}/*"} & set(allowed) or coding:
        found = f"encoded as {coding}" if coding else request.mimetype or "of no type"
        detail = f"The body is {found[:100]}; it should be plain {' or '.join(allowed)}."
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", detail=detail, headers={"Accept": ", ".join(allowed)})
    return request.mimetype


def _coding() -> str:
    """The content or transfer coding of the body (compression, say) other than chunking; empty if there is none."""
    if (content := request.headers.get("Content-Encoding", "identity").lower()) != "identity":
        return content
    transfer = request.headers.get("Transfer-Encoding", "chunked").lower()
    return "" if transfer == "chunked" else transfer


def refuse_parameters() -> None:
    """Raise ``ApiError`` 422 for a query: a field that belongs into the body would be ignored there."""
    for name in request.args:
        raise unknown_field(name, known="none in the query; fields belong into the body")


def admit() -> None:
    """Check that this process may accept work now.

    Raises ``StorageUnavailable``, ``QueueUnavailable`` or ``ApiError`` 503.
    """
    try:
        services().membership.guard().admit()
    except Refused as refusal:
        log.warning("guard.refused", reason=str(refusal))
        raise queue_unavailable(
            "This front end may not accept work yet; its log says why. Try again soon."
        ) from refusal


def admit_job() -> None:
    """The same for a call that creates a job, unless it repeats one that has: the queue must have room.

    Also raises ``QueueFull``, and ``ApiError`` 422 if the Idempotency-Key is malformed.
    """
    admit()
    storage_id = services().membership.guard().storage_id
    services().submission.check_room(owner=owner(), key_text=sent_key() or "", storage_id=storage_id)


def form_body(*, admit: Callable[[], None] = admit) -> AbstractContextManager[RequestBody]:
    """A multipart body, once it may be read.

    Raises ``ApiError`` 413, 503 or 507, ``QuotaExceeded``, and what ``admit`` raises.
    """
    return _file_body("form", framing_bytes=FRAMING_LIMIT_BYTES, admit=admit)


def raw_body() -> AbstractContextManager[RequestBody]:
    """The same for a body that is the file itself."""
    return _file_body("raw", framing_bytes=0, admit=admit)


@contextmanager
def _file_body(method: str, *, framing_bytes: int, admit: Callable[[], None]) -> Iterator[RequestBody]:
    """``framing_bytes``: how much of the body may not be of the file."""
    body = current_body()
    body.upload_method = method
    cap_bytes = services().settings.max_file_size_bytes
    if body.declared_bytes is not None and body.declared_bytes > cap_bytes + framing_bytes:
        raise file_too_large(
            f"{body.declared_bytes} bytes are declared; a file may have at most {cap_bytes >> 20} MiB."
        )
    admit()
    _check_stored(max((body.declared_bytes or 0) - framing_bytes, 1))
    _check_free(body.declared_bytes)
    # Until the request has its answer: if Redis fails meanwhile, the job must be the first to ask it, and not this.
    g.at_end.enter_context(services().uploads.held(owner()))
    with _body_slot():
        yield body


@contextmanager
def chunk_body(missing_bytes: int) -> Iterator[RequestBody]:
    """A body that is the next piece of an upload, once it may be read. Raises ``ApiError`` 413, 503 or 507."""
    body = current_body()
    body.upload_method = "tus"
    if (body.declared_bytes or 0) > max(missing_bytes, 0):
        raise file_too_large(f"{body.declared_bytes} bytes are declared, and the upload lacks {missing_bytes}.")
    admit()
    _check_free(body.declared_bytes)
    body.begin_small()
    with _body_slot():
        yield body


def require_room(size_bytes: int) -> None:
    """For an upload of this size. Raises ``ApiError`` 413, 422, 503 or 507."""
    cap_bytes = services().settings.max_file_size_bytes
    if size_bytes > cap_bytes:
        raise file_too_large(f"{size_bytes} bytes are declared; a file may have at most {cap_bytes >> 20} MiB.")
    if size_bytes == 0:
        raise missing_field("Upload-Length", expects="the size of a video, and so at least 1")
    admit()
    _check_free(size_bytes)


def _check_free(size_bytes: int | None) -> None:
    free_bytes = services().storage.free_space().size_bytes
    if free_bytes is not None and size_bytes is not None and size_bytes > free_bytes:
        raise storage_full()


def _check_stored(size_bytes: int) -> None:
    """Whether the owner may store so much more."""
    services().store.accounts.check_stored(owner(), key_text=sent_key() or "", size_bytes=size_bytes)


def json_body(*, admit: Callable[[], None] = admit_job) -> dict[str, Any]:
    """The object that the body holds. Raises ``ApiError`` 400, 411, 413, 422 or 503, and what ``admit`` raises."""
    body = current_body()
    if body.declared_bytes is None:
        raise ApiError("LENGTH_REQUIRED", detail="A JSON body needs a Content-Length.")
    if body.declared_bytes > JSON_LIMIT_BYTES:
        raise _json_too_large()
    admit()
    return _object_in(_all_of(body))


def refuse_fields() -> None:
    """Read the body of a call that takes no fields: none at all, an empty one, or an empty JSON object.

    Raises ``ApiError`` 400, 413, 415, 422 or 503: a field would be ignored.
    """
    body = current_body()
    text = _all_of(body) if body.is_unread else b""
    if not text.strip():
        return
    require_media_type(JSON)
    for name in _object_in(text):
        raise unknown_field(name, known="none")


def _object_in(text: bytes) -> dict[str, Any]:
    try:
        value = strict_json.parse(text)
    except ValueError as error:
        raise invalid_field("body", expects=f"well-formed JSON ({error})") from error
    if not isinstance(value, dict):
        raise invalid_field("body", expects="a JSON object")
    return value


def _all_of(body: RequestBody) -> bytes:
    with _body_slot():
        blocks = list(_blocks_of(body))
    body.check_whole()
    return b"".join(blocks)


def _blocks_of(body: RequestBody) -> Iterator[bytes]:
    while block := body.read():
        if max(body.received_bytes, body.declared_bytes or 0) > JSON_LIMIT_BYTES:
            raise _json_too_large()
        yield block


def _json_too_large() -> ApiError:
    return file_too_large(f"A JSON body may have at most {JSON_LIMIT_BYTES >> 20} MiB.")


@contextmanager
def _body_slot() -> Iterator[None]:
    with services().request_bodies.held() as held:
        if not held:
            raise overloaded("uploads")
        yield
