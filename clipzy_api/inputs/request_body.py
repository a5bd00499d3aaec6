"""The body of one request, read in blocks that are counted as they arrive."""

import time
from typing import Any, BinaryIO

from flask import request

from clipzy_api.problems import truncated
from clipzy_storage import metrics

BLOCK_BYTES = 256 << 10
FIRST_BLOCK_BYTES, LEAST_BLOCK_BYTES = 64 << 10, 4 << 10
BLOCK_SECONDS = 1.0
"""From a slow client less is read at a time, which arrives in about so long and shows that the client is there."""
ENVIRON_KEY = "clipzy.body"


class RequestBody:
    """Reads a request's body and counts what has arrived.

    Reading waits for the client as long as it stays connected; ``server/connection_reaper.py`` closes slow connections.
    It is done in the request's thread on purpose: granian stops answering all clients if a response ends while another
    thread still reads its request.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        length = environ.get("CONTENT_LENGTH") or ""
        self.declared_bytes = int(length) if length.isascii() and length.isdecimal() else None
        self.received_bytes = 0
        self.upload_method: str | None = None
        """If the body brings a file: how, for the metrics."""
        self._source: BinaryIO = environ["wsgi.input"]
        self._block_bytes = BLOCK_BYTES
        self._waiting_since: float | None = time.monotonic()
        self._reading_since: float | None = None
        self._finished = not (self.declared_bytes or environ.get("HTTP_TRANSFER_ENCODING"))
        self._awaits_permission = environ.get("HTTP_EXPECT", "").lower() == "100-continue"

    @property
    def is_unread(self) -> bool:
        """Whether the end of the body has not been reached."""
        return not self._finished

    @property
    def is_being_sent(self) -> bool:
        """Whether it is unread and the client does not wait for ``100 Continue`` before it sends it."""
        return self.is_unread and not (self._awaits_permission and self.received_bytes == 0)

    @property
    def is_short(self) -> bool:
        """Whether fewer bytes have arrived than the client declared."""
        return self.declared_bytes is not None and self.received_bytes < self.declared_bytes

    def check_whole(self) -> None:
        """Raises ``ApiError`` 400 if fewer bytes have arrived than the client declared. For a body that has ended."""
        if self.is_short:
            raise truncated(
                f"{self.received_bytes} of the {self.declared_bytes} bytes declared in Content-Length arrived."
                " Nothing was kept; send it again."
            )

    @property
    def kept_waiting_seconds(self) -> float:
        """How long the client has been waiting for the server; 0 while the server waits for the client."""
        since = self._waiting_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def silent_seconds(self) -> float:
        """How long the server has been waiting for the next block; 0 while the client waits for the server."""
        since = self._reading_since
        return 0.0 if since is None else time.monotonic() - since

    def begin_small(self) -> None:
        """Read ``FIRST_BLOCK_BYTES`` first, which come sooner from a slow client."""
        self._block_bytes = FIRST_BLOCK_BYTES

    def read(self) -> bytes:
        """The next ``BLOCK_BYTES``. Fewer from a slow client and, before none, at the end of the body or connection."""
        if self._finished:
            return b""
        block = self._read_block()
        self.received_bytes += len(block)
        if self.upload_method is not None:
            metrics.count("clipzy_upload_bytes_total", len(block), method=self.upload_method)
        self._finished = not block or self.received_bytes == self.declared_bytes
        return block

    def _read_block(self) -> bytes:
        self._waiting_since, self._reading_since = None, time.monotonic()
        try:
            return self._source.read(self._block_bytes)
        finally:
            self._adapt(self.silent_seconds)
            self._waiting_since, self._reading_since = time.monotonic(), None

    def _adapt(self, seconds: float) -> None:
        """Read more or less the next time, after a block that has taken so long to arrive."""
        if seconds > BLOCK_SECONDS:
            self._block_bytes = max(LEAST_BLOCK_BYTES, self._block_bytes // 2)
        elif seconds < BLOCK_SECONDS / 4:
            self._block_bytes = min(BLOCK_BYTES, self._block_bytes * 2)

    def drain(self, *, least_bytes: int, least_seconds: float) -> None:
        """Read and drop what still arrives, until both that many bytes have arrived and that much time has passed."""
        deadline = time.monotonic() + least_seconds
        end = self.received_bytes + least_bytes
        while (self.received_bytes < end or time.monotonic() < deadline) and self.read():
            pass


def current_body() -> RequestBody:
    """The body of the current request; nothing else may read ``wsgi.input``."""
    body: RequestBody = request.environ[ENVIRON_KEY]
    return body
