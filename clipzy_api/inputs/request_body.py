"""The body of one request, in blocks that are counted as they come."""

import time
from typing import Any, Protocol

from flask import request

BLOCK_BYTES = 256 << 10
ENVIRON_KEY = "clipzy.body"


class Readable(Protocol):
    """What a WSGI server gives as ``wsgi.input``."""

    def read(self, size: int, /) -> bytes:
        """``size`` bytes, fewer only at the end."""


class RequestBody:
    """Reads a request's body and knows how much of it has come.

    Reading waits for the client for as long as it stays connected; see ``connections.py`` for who ends that. It is done
    in the request's own thread on purpose: granian stops answering anybody where a response ends while another thread
    still reads its request.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        length = environ.get("CONTENT_LENGTH") or ""
        self.declared_bytes = int(length) if length.isascii() and length.isdecimal() else None
        self.received_bytes = 0
        self._source: Readable = environ["wsgi.input"]
        self._ours_since: float | None = time.monotonic()
        self._ended = not (self.declared_bytes or environ.get("HTTP_TRANSFER_ENCODING"))
        self._awaits_permission = environ.get("HTTP_EXPECT", "").lower() == "100-continue"

    @property
    def is_unread(self) -> bool:
        """Whether the end of the body has not been seen."""
        return not self._ended

    @property
    def is_being_sent(self) -> bool:
        """Whether it is unread and the client does not wait for our permission to send it."""
        return self.is_unread and not (self._awaits_permission and self.received_bytes == 0)

    @property
    def is_short(self) -> bool:
        """Whether fewer bytes have come than the client declared."""
        return self.declared_bytes is not None and self.received_bytes < self.declared_bytes

    @property
    def kept_waiting_seconds(self) -> float:
        """How long the client has been waiting for us; 0 while we wait for the client."""
        since = self._ours_since
        return 0.0 if since is None else time.monotonic() - since

    def read(self) -> bytes:
        """The next ``BLOCK_BYTES``; fewer, at last none, at the end, be it the true end or a broken connection."""
        if self._ended:
            return b""
        self._ours_since = None
        block = self._source.read(BLOCK_BYTES)
        self._ours_since = time.monotonic()
        self.received_bytes += len(block)
        self._ended = not block or self.received_bytes == self.declared_bytes
        return block

    def drain(self, *, least_bytes: int, least_seconds: float) -> None:
        """Read and drop what still comes, until so much of it has come and so much time has passed."""
        deadline = time.monotonic() + least_seconds
        end = self.received_bytes + least_bytes
        while (self.received_bytes < end or time.monotonic() < deadline) and self.read():
            pass


def current_body() -> RequestBody:
    """The body of the request that is being answered; nothing else may read it."""
    body: RequestBody = request.environ[ENVIRON_KEY]
    return body
