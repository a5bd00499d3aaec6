"""A file by tus 1.0: continued after what has arrived, over any number of connections and front ends."""

import base64
from collections.abc import Callable

from clipzy_api.client.errors import ClipzyError, UnexpectedAnswer
from clipzy_api.client.outages import Outage
from clipzy_api.client.paths import UPLOADS, upload_path, video_path
from clipzy_api.client.transport import Answer, Request, Transport, parsed
from clipzy_api.client.uploads.memory import Unfinished
from clipzy_api.client.uploads.method import STALLED_SECONDS, InProgress, may_pass
from clipzy_api.client.uploads.source import Piece, Source
from clipzy_api.schemas import Video

VERSION = {"Tus-Resumable": "1.0.0"}
FIRST_BYTES = 256 << 10
"""More than a front end needs to recognise the format."""
CONTINUED_CODES = frozenset({"OFFSET_MISMATCH", "TRUNCATED_UPLOAD"})
"""Of answers after which the upload goes on where the front end says that it is."""


class TusUpload:
    """A ``ResumableMethod``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def begin(self, source: Source, *, idempotency_key: str) -> Unfinished:
        filename = base64.b64encode(source.path.name.encode("utf-8", "replace")).decode()
        headers = VERSION | {
            "Upload-Length": str(source.size_bytes),
            "Upload-Metadata": f"filename {filename}",
            "Idempotency-Key": idempotency_key,
        }
        answer = self._transport.call(Request("POST", UPLOADS, headers))
        upload_id = answer.headers.get("Location", "").rpartition("/")[2]
        return Unfinished.begun("tus", upload_id, source)

    def complete(self, upload: InProgress) -> Video:
        source, upload_id = upload.source, upload.unfinished.upload_id
        outage = Outage(self._transport, seconds=STALLED_SECONDS)
        most_bytes = 0

        def report(arrived_bytes: int) -> None:
            nonlocal most_bytes
            if arrived_bytes > most_bytes:
                most_bytes = arrived_bytes
                outage.has_ended()
            upload.on_progress(arrived_bytes, source.size_bytes)

        while not self._is_whole(upload_path(upload_id), source, report, outage):
            pass
        return parsed(Video, self._transport.call(Request("GET", video_path(upload_id))))

    def remove(self, unfinished: Unfinished) -> None:
        self._transport.call(Request("DELETE", upload_path(unfinished.upload_id), VERSION, done_if_repeated=404))

    def _is_whole(self, path: str, source: Source, report: Callable[[int], None], outage: Outage) -> bool:
        """Send what is missing. False if that failed in a way that may pass."""
        try:
            offset = _offset_in(self._transport.send(Request("HEAD", path, VERSION)))
            report(offset)
            while offset < source.size_bytes:
                stop = self._stop_of(source, offset)
                self._send(path, source, offset, stop, report)
                offset = stop
        except ClipzyError as error:
            outage.bridge(error, may_pass=error.code in CONTINUED_CODES or may_pass(error))
            return False
        return True

    def _stop_of(self, source: Source, offset: int) -> int:
        """Where the request that begins there is to end.

        An encrypted connection is not listened to while a body is sent: a front end that refuses the format, by the
        first bytes, would wait for the rest for a while and then close it, with an answer that nobody has read.
        """
        is_probe = self._transport.is_encrypted and offset < FIRST_BYTES
        return min(FIRST_BYTES, source.size_bytes) if is_probe else source.size_bytes

    def _send(self, path: str, source: Source, offset: int, stop: int, report: Callable[[int], None]) -> None:
        """What is missing up to ``stop``, in one request."""
        piece = Piece(source, start=offset, stop=stop, on_sent=lambda sent: report(offset + sent))
        headers = VERSION | {
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(len(piece)),
            "Upload-Offset": str(offset),
        }
        self._transport.send(Request("PATCH", path, headers, piece))


def _offset_in(answer: Answer) -> int:
    try:
        return int(answer.headers["Upload-Offset"])
    except (KeyError, ValueError) as error:
        raise UnexpectedAnswer("the answer has no Upload-Offset.", status=answer.status) from error
