"""Lets ordinary clients read an error answer that is given before their request body was read (lingering close).

A client that still sends when its connection is closed loses the answer. So the whole answer is sent immediately, for
clients that listen while they send; then the rest of the body is read and dropped for a while, and the connection is
closed only when clients that listen afterwards had time to read the answer.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from clipzy_api.concurrency_limits import DRAINS, ConcurrencyLimit
from clipzy_api.inputs.request_body import ENVIRON_KEY, RequestBody

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Draining goes on until both have passed.
DRAIN_BYTES = 64 << 20
DRAIN_SECONDS = 10.0
OVERDUE_SECONDS = 10.0


class LingeringClose:
    """WSGI middleware: gives each request its ``RequestBody``, and drains what an error answer left unread."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._drains = ConcurrencyLimit(DRAINS)
        self._in_progress: set[RequestBody] = set()

    def is_overdue(self) -> bool:
        """Whether a client has been waiting for this server for long."""
        return any(body.kept_waiting_seconds >= OVERDUE_SECONDS for body in self._in_progress.copy())

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = environ[ENVIRON_KEY] = RequestBody(environ)
        head = _ResponseHead()
        self._in_progress.add(body)
        try:
            answer = self._app(environ, head)
        finally:
            self._in_progress.discard(body)
        if body.is_unread and head.is_error:
            head.headers.append(("Connection", "close"))
        start_response(head.status, head.headers, head.exc_info)
        if body.is_being_sent and head.is_error:
            return self._sent_and_drained(_joined(answer), body)
        return answer

    def _sent_and_drained(self, answer: bytes, body: RequestBody) -> Iterator[bytes]:
        yield answer
        with self._drains.held() as is_held:
            if is_held:
                body.drain(least_bytes=DRAIN_BYTES, least_seconds=DRAIN_SECONDS)


class _ResponseHead:
    """Stands in for ``start_response``: keeps status and headers, so that a header can still be added."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.exc_info: Any = None

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[..., object]:
        self.status, self.headers, self.exc_info = status, list(headers), exc_info
        return _write

    @property
    def is_error(self) -> bool:
        return self.status[:1] in ("4", "5")


def _write(data: bytes, /) -> object:
    """The ``write`` callable of WSGI, which exists for applications older than this protocol."""
    raise NotImplementedError("return the response body instead of writing it")


def _joined(parts: Iterable[bytes]) -> bytes:
    try:
        return b"".join(parts)
    finally:
        getattr(parts, "close", lambda: None)()
