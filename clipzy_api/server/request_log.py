"""Gives every request an id, and logs and counts it once its answer has been sent, or could not be.

The line has no query and no header values, since both may hold secrets.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import structlog

from clipzy_api.inputs.request_body import ENVIRON_KEY as BODY_KEY
from clipzy_api.problems import shown
from clipzy_api.services import ENDPOINT_KEY, OWNER_KEY, REQUEST_ID_KEY
from clipzy_storage import metrics
from clipzy_storage.log_events import HTTP_REQUEST

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_ID_HEADER = "X-Request-ID"
QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""They are asked all the time."""
MAX_LOGGED_PATH = 500
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ENDPOINT = "none"
"""Stands for an address that is none, or was not looked at."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")

log = structlog.stdlib.get_logger(__name__)


class RequestLog:
    """WSGI middleware, outside of all others."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = environ[REQUEST_ID_KEY] = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        answer = _LoggedAnswer(environ, start_response)
        try:
            answer.body = self._app(environ, answer.start)
        except BaseException:
            answer.close()
            raise
        return answer


class _LoggedAnswer:
    """The answer to one request. The server closes it at its end, or as soon as the client has gone."""

    def __init__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> None:
        self.body: Iterable[bytes] = ()
        self._environ = environ
        self._start_response = start_response
        self._blocks: Iterator[bytes] | None = None
        self._began_at = time.monotonic()
        self._status = 500
        self._sent_bytes = 0
        self._is_whole = False
        self._is_closed = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        self._status = int(status.split(" ", 1)[0])
        headers = [*headers, (REQUEST_ID_HEADER, self._environ[REQUEST_ID_KEY])]
        return self._start_response(status, headers, exc_info)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._blocks = self._blocks or iter(self.body)
        try:
            block = next(self._blocks)
        except StopIteration:
            self._is_whole = True
            raise
        self._sent_bytes += len(block)
        return block

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            getattr(self.body, "close", lambda: None)()
        finally:
            seconds = time.monotonic() - self._began_at
            self._count(seconds)
            self._log(seconds)

    def _count(self, seconds: float) -> None:
        endpoint = self._environ.get(ENDPOINT_KEY) or NO_ENDPOINT
        method = self._environ["REQUEST_METHOD"]
        method = method if method in METHODS else "other"
        metrics.count("clipzy_http_requests_total", method=method, endpoint=endpoint, status=str(self._status))
        metrics.observe("clipzy_http_request_seconds", seconds, endpoint=endpoint)

    def _log(self, seconds: float) -> None:
        path = self._environ.get("PATH_INFO", "").encode("latin-1", "replace").decode(errors="replace")
        body = self._environ.get(BODY_KEY)
        (log.debug if path in QUIET_PATHS else log.info)(
            HTTP_REQUEST,
            method=shown(self._environ["REQUEST_METHOD"]),
            path=path[:MAX_LOGGED_PATH],
            status=self._status,
            seconds=round(seconds, 3),
            bytes=self._sent_bytes,
            received_bytes=body.received_bytes if body else 0,
            whole=self._is_whole,
            request_id=self._environ[REQUEST_ID_KEY],
            owner=self._environ.get(OWNER_KEY),
            client=shown(self._environ.get("REMOTE_ADDR", "")),
        )
