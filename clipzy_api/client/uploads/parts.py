"""The parts of a file on their way to the S3 service, several at a time."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from itertools import islice
from urllib.parse import urlencode

from clipzy_api.client.connections import UploadConnections
from clipzy_api.client.errors import ClipzyError, FrontEndUnreachable, UnexpectedAnswer, UploadFailed
from clipzy_api.client.outages import Outage
from clipzy_api.client.paths import direct_upload_path
from clipzy_api.client.transport import Request, Transport, parsed
from clipzy_api.client.uploads.memory import Unfinished
from clipzy_api.client.uploads.method import STALLED_SECONDS, InProgress, may_pass
from clipzy_api.client.uploads.source import Piece
from clipzy_api.schemas import SignedParts
from clipzy_storage.config.urls import redacted

PARALLEL_PARTS = 8
REFUSALS = frozenset({400, 401, 403})
"""With which services answer a URL that has expired, or whose signature they do not accept."""
SIGNED_AT_ONCE = 100
FIRST_ANSWER_SECONDS = 60.0
"""How long the S3 service is tried before it has answered anything: it may be out of reach for this machine."""
REPORT_SECONDS = 0.2
KEEP_SECONDS = 1.0
"""Between two states on disk; what was sent meanwhile is sent again after a crash."""
_MARGIN = timedelta(seconds=60)


class PartTransfer:
    """All parts of one upload that have not arrived. Sends from threads of its own; all else is done by ``run``."""

    def __init__(self, transport: Transport, upload: InProgress) -> None:
        self._transport, self._upload = transport, upload
        self._source, unfinished = upload.source, upload.unfinished
        self._unfinished = unfinished
        self._urls, self._connections = _PartUrls(transport, unfinished), UploadConnections()
        count = -(-upload.source.size_bytes // unfinished.part_size_bytes)
        self._waiting = deque(number for number in range(1, count + 1) if number not in unfinished.etags)
        self._running: dict[Future[str], int] = {}
        self._sent_bytes: dict[int, int] = {}
        """Of the parts that are being sent."""
        self._refused: set[int] = set()
        self._has_connected = bool(unfinished.etags)
        self._most_bytes, self._kept_at, self._is_stopped = 0, 0.0, False
        self._outage = Outage(transport, seconds=STALLED_SECONDS if unfinished.etags else FIRST_ANSWER_SECONDS)

    def run(self) -> None:
        """Returns when all parts have arrived. Raises ``ClipzyError``."""
        self._report()
        with ThreadPoolExecutor(PARALLEL_PARTS, "clipzy-part") as executor:
            try:
                while self._waiting or self._running:
                    self._step(executor)
            finally:
                self._is_stopped = True
                self._upload.keep(self._unfinished)
        self._connections.close()

    def _step(self, executor: ThreadPoolExecutor) -> None:
        failure = self._start(executor)
        done, _ = wait(self._running, timeout=REPORT_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            failure = self._end(future) or failure
        self._report()
        if time.monotonic() - self._kept_at > KEEP_SECONDS:
            self._upload.keep(self._unfinished)
            self._kept_at = time.monotonic()
        if failure:  # S3 services ask with a 500, too, to try again
            is_theirs = isinstance(failure, UploadFailed)
            self._outage.bridge(failure, may_pass=failure.is_transient if is_theirs else may_pass(failure))

    def _start(self, executor: ThreadPoolExecutor) -> ClipzyError | None:
        """Have as many parts sent as may be at a time; returns why there is no URL for one."""
        try:
            while self._waiting and len(self._running) < PARALLEL_PARTS:
                url = self._urls.of_first(self._waiting)
                number = self._waiting.popleft()
                self._running[executor.submit(self._send, number, url)] = number
        except ClipzyError as error:
            return error
        return None

    def _end(self, future: Future[str]) -> ClipzyError | None:
        """Note what has become of a part; returns why it has to be sent again."""
        number = self._running.pop(future)
        self._sent_bytes.pop(number, None)
        try:
            self._unfinished.etags[number] = future.result()
        except ClipzyError as error:
            self._waiting.appendleft(number)
            return None if self._is_renewed(number, error) else error
        self._outage.seconds = STALLED_SECONDS
        return None

    def _is_renewed(self, number: int, error: ClipzyError) -> bool:
        """Whether the part is to be sent to a new URL, since this one may have expired."""
        if error.status not in REFUSALS or number in self._refused:
            return False
        self._refused.add(number)
        self._urls.forget()
        return True

    def _send(self, number: int, url: str) -> str:
        """The ETag of the part; in a thread of its own."""
        piece = Piece(self._source, **self._bounds(number), on_sent=lambda sent: self._count(number, sent))
        try:
            answer = self._transport.put_link(url, piece, size_bytes=len(piece), pool=self._connections.to(url))
        except FrontEndUnreachable as error:
            self._has_connected |= error.is_connected
            raise UploadFailed(_unsendable(url, error.cause), has_answered=self._has_connected) from error
        etag = answer.headers.get("ETag")
        if answer.status != 200 or not etag:
            self._connections.close()  # it may not have read the body to its end
            cause = f"status {answer.status}" + ("" if etag or answer.status != 200 else " without an ETag")
            raise UploadFailed(
                _unsendable(url, cause), status=answer.status, retry_after_seconds=answer.retry_after_seconds
            )
        return etag

    def _count(self, number: int, sent_bytes: int) -> None:
        if self._is_stopped:
            raise UploadFailed("The upload was stopped.")
        self._has_connected = True
        self._sent_bytes[number] = sent_bytes

    def _report(self) -> None:
        arrived_bytes = sum(map(self._size_of, self._unfinished.etags))
        sent_bytes = arrived_bytes + sum(list(self._sent_bytes.values()))
        if sent_bytes > self._most_bytes:
            self._most_bytes = sent_bytes
            self._outage.has_ended()
        self._upload.on_progress(sent_bytes, self._source.size_bytes)

    def _bounds(self, number: int) -> dict[str, int]:
        start = (number - 1) * self._unfinished.part_size_bytes
        return {"start": start, "stop": min(start + self._unfinished.part_size_bytes, self._source.size_bytes)}

    def _size_of(self, number: int) -> int:
        bounds = self._bounds(number)
        return bounds["stop"] - bounds["start"]


class _PartUrls:
    """Where to send parts; asked for many at a time, and again when they expire."""

    def __init__(self, transport: Transport, unfinished: Unfinished) -> None:
        self._transport = transport
        self._path = direct_upload_path(unfinished.upload_id, "/parts")
        self._urls: dict[int, str] = {}
        self._expires_at = datetime.now(UTC)
        if unfinished.signed:
            self._take(unfinished.signed)

    def of_first(self, waiting: Sequence[int]) -> str:
        """The URL of the first of these parts. Raises ``ClipzyError``."""
        number = waiting[0]
        if number not in self._urls or datetime.now(UTC) > self._expires_at - _MARGIN:
            numbers = ",".join(map(str, islice(waiting, SIGNED_AT_ONCE)))
            request = Request("GET", f"{self._path}?{urlencode({'numbers': numbers})}")
            self._take(parsed(SignedParts, self._transport.send(request)))
        try:
            return self._urls[number]
        except KeyError:
            raise UnexpectedAnswer(f"the answer has no URL for part {number}.") from None

    def forget(self) -> None:
        """As if they had expired."""
        self._urls = {}

    def _take(self, signed: SignedParts) -> None:
        self._urls = {part.number: part.url for part in signed.parts}
        self._expires_at = signed.expires_at


def _unsendable(url: str, cause: str) -> str:
    return f"the file cannot be sent to storage at {redacted(url)}: {cause}."
