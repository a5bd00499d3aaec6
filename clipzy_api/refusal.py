"""Answers that are given before the request's body was read to its end, so that ordinary clients get to read them.

A client that still sends when the connection is closed loses the answer. So the answer goes out at once, whole, for
clients that listen while they send; then the body is read and dropped for a while, and the connection is closed only
when those that listen afterwards had their chance.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from clipzy_api.body import RequestBody
from clipzy_api.limits import DRAINS_AT_ONCE, Share

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DRAIN_LIMIT_BYTES = 64 << 20
DRAIN_LIMIT_SECONDS = 10.0
BODY_KEY = "clipzy.body"


class EarlyRefusals:
    """WSGI middleware: gives each request its ``RequestBody`` and drains what an error answer left unread."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._drains = Share(DRAINS_AT_ONCE)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = environ[BODY_KEY] = RequestBody(environ)
        head = _Head()
        answer = self._app(environ, head)
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
                body.drain(limit_bytes=DRAIN_LIMIT_BYTES, limit_seconds=DRAIN_LIMIT_SECONDS)


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
