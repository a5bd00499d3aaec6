"""Receives the file behind a URL. A broken connection is continued where it broke, if the file is still the same."""

import queue
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from types import TracebackType
from typing import Self

from clipzy_storage.errors import ServerUnreachable, UrlRefused
from clipzy_storage.outbound.addresses import AddressPolicy
from clipzy_storage.outbound.request import OutboundRequest
from clipzy_storage.outbound.target_url import TargetUrl
from clipzy_worker.errors import ImportFailed

BLOCK_BYTES = 256 << 10
POLL_SECONDS = 0.25
STALL_BYTES = 128 << 10
"""As slow as to send less than this in ``Patience.stall_seconds`` is a server that counts as silent."""
MAX_FAILURES = 4
"""One after the other, with less than ``STALL_BYTES`` in between."""
MAX_RESTARTS = 2

_PENDING_BLOCKS = 4
_TRY_AGAIN = (408, 425, 429)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

OnWait = Callable[[], object]
"""Called several times a second while the server is waited for, and with each block; may raise to stop."""


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for that is silent or slow, and before the first time that it is asked again."""

    stall_seconds: float = 30.0
    pause_seconds: float = 1.0


class StartedOver(Exception):
    """What was received is not the beginning of what comes next: drop it, and take the blocks from the first one."""


@dataclass(frozen=True)
class _Answer:
    """What came before the body, as it was then: the response counts down what is left of it."""

    status: int
    headers: Message
    body_bytes: int | None
    is_chunked: bool


class Download:
    """One file of at most ``max_bytes``, by as many connections as it takes."""

    def __init__(
        self, url: TargetUrl, policy: AddressPolicy, *, max_bytes: int, patience: Patience | None = None
    ) -> None:
        self._url = url
        self._policy = policy
        self._max_bytes = max_bytes
        self._patience = patience or Patience()
        self._etag = ""
        self._failures = self._restarts = self._continued_at = 0
        self.size_bytes: int | None = None
        """Of the whole file, once the server has said it; None if it does not."""
        self.received_bytes = 0

    @property
    def fraction(self) -> float:
        """How much has been received, from 0 to 1; 0 while the size is not known."""
        return self.received_bytes / self.size_bytes if self.size_bytes else 0.0

    def blocks(self, *, on_wait: OnWait) -> Generator[bytes, None, None]:
        """The whole file. Raises ``StartedOver``, and can be called again then; ``ImportFailed``."""
        while True:
            try:
                yield from self._of_one_connection(on_wait)
                return
            except ServerUnreachable as error:
                self._count_failure(error)
            except UrlRefused as error:
                raise ImportFailed(f"The video was not fetched: {error}.") from None
            self._pause(on_wait)
            if self.received_bytes and not self._etag:
                self._start_over()

    def _of_one_connection(self, on_wait: OnWait) -> Iterator[bytes]:
        headers = {"Range": f"bytes={self.received_bytes}-", "If-Range": self._etag} if self.received_bytes else {}
        stall_seconds = self._patience.stall_seconds
        request = OutboundRequest(self._url, self._policy, headers=headers, read_timeout_seconds=stall_seconds)
        with _Reception(request, on_wait, stall_seconds=stall_seconds) as reception:
            answer = reception.answer()
            self._check_answer(answer)
            ends_at = self.received_bytes + (answer.body_bytes or 0)
            for block in reception.blocks():
                self.received_bytes += len(block)
                self._check_size(self.received_bytes)
                yield block
        if self.received_bytes < max(ends_at, self.size_bytes or 0):
            raise ServerUnreachable("the connection to the server broke")

    def _check_answer(self, answer: _Answer) -> None:
        status = answer.status
        if status >= 500 or status in _TRY_AGAIN:
            raise ServerUnreachable(f"the server answered {_named(status)}")
        if self.received_bytes and status in (200, 206, 416):
            if not self._is_continued(answer):
                self._start_over()
        elif status == 200:
            self._begin(answer)
        else:
            raise ImportFailed(f"The video was not fetched: the server answered {_named(status)}.")

    def _begin(self, answer: _Answer) -> None:
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ImportFailed("The video was not fetched: the server sends it compressed.")
        if answer.body_bytes is None and not answer.is_chunked:
            raise ImportFailed("The video was not fetched: the server does not tell where it ends.")
        self.size_bytes = answer.body_bytes
        self._check_size(self.size_bytes or 0)
        etag = answer.headers.get("ETag", "")
        is_strong = etag.startswith('"') and etag.isascii() and etag.isprintable()
        self._etag = etag if is_strong else ""  # a weak one is of no use for a range

    def _is_continued(self, answer: _Answer) -> bool:
        """Whether the answer is what follows in the same file, and will tell where it ends."""
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if answer.status != 206 or found is None or int(found[1]) != self.received_bytes:
            return False
        if found[2] != "*" and self.size_bytes not in (None, int(found[2])):
            return False
        tells_its_end = answer.body_bytes is not None or answer.is_chunked
        return tells_its_end and answer.headers.get("ETag", self._etag) == self._etag

    def _start_over(self) -> None:
        self._restarts += 1
        if self._restarts > MAX_RESTARTS:
            raise ImportFailed("The video was not fetched: the connection broke too often, and could not be continued.")
        self.received_bytes = self._continued_at = 0
        raise StartedOver

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise ImportFailed(f"The video is larger than the {self._max_bytes >> 20} MiB allowed (MAX_FILE_SIZE_MB).")

    def _count_failure(self, error: ServerUnreachable) -> None:
        if self.received_bytes - self._continued_at >= STALL_BYTES:
            self._failures = 0
        self._continued_at = self.received_bytes
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            raise ImportFailed(f"The video was not fetched in {MAX_FAILURES} attempts: {error}.") from None

    def _pause(self, on_wait: OnWait) -> None:
        ends_at = time.monotonic() + self._patience.pause_seconds * 2 ** (self._failures - 1)
        while time.monotonic() < ends_at:
            on_wait()
            time.sleep(POLL_SECONDS)


class _Reception:
    """What one request is answered, received in a thread of its own so that whoever waits for it can stop at once.

    ``answer`` and ``blocks`` raise ``ServerUnreachable``, ``UrlRefused`` and what ``on_wait`` raises.
    """

    def __init__(self, request: OutboundRequest, on_wait: OnWait, *, stall_seconds: float) -> None:
        self._request = request
        self._stall_seconds = stall_seconds
        self._on_wait = on_wait
        self._received: queue.Queue[_Answer | bytes | Exception] = queue.Queue(_PENDING_BLOCKS)
        self._is_closed = threading.Event()
        self._waited_seconds = 0.0
        self._bytes_meanwhile = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._receive, name="download", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed.set()
        self._request.abort()

    def answer(self) -> _Answer:
        answer = self._next()
        if not isinstance(answer, _Answer):
            raise TypeError("the first item is the answer")
        return answer

    def blocks(self) -> Iterator[bytes]:
        while isinstance(block := self._next(), bytes) and block:
            self._bytes_meanwhile += len(block)
            if self._bytes_meanwhile >= STALL_BYTES:
                self._waited_seconds, self._bytes_meanwhile = 0.0, 0
            yield block

    def _next(self) -> _Answer | bytes:
        while True:
            self._on_wait()
            item = self._next_within_a_poll()
            if isinstance(item, Exception):
                raise item
            if self._waited_seconds > self._stall_seconds:
                raise ServerUnreachable("the server sends nothing, or too slowly")
            if item is not None:
                return item

    def _next_within_a_poll(self) -> _Answer | bytes | Exception | None:
        began_at = time.monotonic()
        try:
            return self._received.get(timeout=POLL_SECONDS)
        except queue.Empty:
            return None
        finally:
            self._waited_seconds += time.monotonic() - began_at

    def _receive(self) -> None:
        try:
            opened = self._request.open()
            self._put(_Answer(opened.status, opened.headers, opened.length, opened.chunked))
            while block := self._request.read1(BLOCK_BYTES):
                self._put(block)
            self._put(b"")
        except (ServerUnreachable, UrlRefused) as error:
            self._put(error)
        finally:
            self._request.close()

    def _put(self, item: _Answer | bytes | Exception) -> None:
        while not self._is_closed.is_set():
            try:
                self._received.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return


def _named(status: int) -> str:
    """In our words: the server's own may be anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
