"""Answers that are given before the request's body was read to its end, so that ordinary clients get to read them.

A client that still sends when the connection is closed loses the answer. So the answer goes out at once, whole, for
clients that listen while they send; then the body is read and dropped for a while, and the connection is closed only
when those that listen afterwards had their chance.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from clipzy_api.concurrency_limits import DRAINS, ConcurrencyLimit
from clipzy_api.inputs.request_body import ENVIRON_KEY, RequestBody

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DRAIN_BYTES = 64 << 20  # whichever of these two lets a client send more
DRAIN_SECONDS = 10.0
LATE_SECONDS = 10.0


class LingeringClose:
    """WSGI middleware: gives each request its ``RequestBody`` and drains what an error answer left unread."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._drains = ConcurrencyLimit(DRAINS)
        self._under_way: set[RequestBody] = set()

    def is_late(self) -> bool:
        """Whether a client has been waiting for our answer for long."""
        return any(body.kept_waiting_seconds >= LATE_SECONDS for body in self._under_way.copy())

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = environ[ENVIRON_KEY] = RequestBody(environ)
        head = _Head()
        self._under_way.add(body)
        try:
            answer = self._app(environ, head)
        finally:
            self._under_way.discard(body)
        if body.is_unread and head.is_error:
            head.headers.append(("Connection", "close"))
        start_response(head.status, head.headers, head.exc_info)
        if body.is_being_sent and head.is_error:
            answer = self._then_drain(_joined(answer), body)
        return answer

    def _then_drain(self, payload: bytes, body: RequestBody) -> Iterator[bytes]:
        yield payload
        with self._drains.held() as held:
            if held:
                body.drain(least_bytes=DRAIN_BYTES, least_seconds=DRAIN_SECONDS)


class _Head:
    """Takes the place of ``start_response`` until it is known how the answer will be given."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.exc_info: Any = None

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[..., object]:
        self.status, self.headers, self.exc_info = status, list(headers), exc_info
        return _unsupported_write

    @property
    def is_error(self) -> bool:
        return self.status[:1] in ("4", "5")


def _unsupported_write(data: bytes, /) -> object:
    raise NotImplementedError("answers are returned, not written")


def _joined(parts: Iterable[bytes]) -> bytes:
    try:
        return b"".join(parts)
    finally:
        getattr(parts, "close", lambda: None)()
