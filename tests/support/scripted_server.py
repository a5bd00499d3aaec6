"""A stand-in for the front end: an HTTP server that gives prepared answers.

A real front end cannot be made to answer late, wrongly or not at all.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

JOB: dict[str, Any] = {
    "job_id": "job_01jd00000000000000000000aa",
    "video_id": "vid_01jd00000000000000000000aa",
    "filename": "holiday.mp4",
    "status": "queued",
    "progress_percent": 0,
    "current_stage": None,
    "attempt": 0,
    "config": {},
    "queue": "interactive",
    "created_at": "2026-11-22T12:00:00.000Z",
    "started_at": None,
    "finished_at": None,
    "result": None,
    "error": None,
}
RUNNING = {**JOB, "status": "processing", "progress_percent": 40, "current_stage": "video_analysis", "attempt": 1}
COMPLETED = {
    **RUNNING,
    "status": "completed",
    "progress_percent": 100,
    "current_stage": None,
    "finished_at": "2026-11-22T12:01:00.000Z",
    "result": {"storage_url": f"/storage/results/{JOB['job_id']}/output.json", "expires_at": None},
}
FAILED = {
    **COMPLETED,
    "status": "failed",
    "progress_percent": 40,
    "result": None,
    "error": {"code": "INVALID_MEDIA", "stage": "video_analysis", "message": "The file has no video frames."},
}

RESULT: dict[str, Any] = {
    "schema_version": "1.0",
    "job_id": JOB["job_id"],
    "video_id": JOB["video_id"],
    "attempt": 1,
    "created_at": JOB["created_at"],
    "source": {
        "filename": "holiday.mp4",
        "container": "mp4",
        "size_bytes": 1,
        "sha256": "0" * 64,
        "duration_seconds": 1.0,
        "width": 640,
        "height": 360,
        "frame_rate": 25.0,
        "video_codec": "h264",
        "audio_codec": None,
    },
    "shots": [],
    "artifacts": [
        {
            "name": "motion.json",
            "key": f"results/{JOB['job_id']}/motion.json",
            "kind": "curves",
            "content_type": "application/json",
            "size_bytes": 1,
            "sha256": "0" * 64,
            "storage_url": f"/storage/results/{JOB['job_id']}/motion.json",
        }
    ],
    "timings": {},
}
"""As short as a result may be."""

Respond = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    server: "StandIn"

    def do_POST(self) -> None:
        if self.path.startswith("/api/v1/uploads"):
            self._answer_as_before_uploads()
        else:
            self.server.on_upload(self)

    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers))
        self.server.polls.pop(0)(self)

    do_DELETE = do_GET

    def _answer_as_before_uploads(self) -> None:
        """As a version that offers forms alone."""
        for _ in self.body():
            pass
        self.answer(404, {"code": "NOT_FOUND", "detail": "There is nothing at this address."})

    def body(self) -> Iterator[bytes]:
        """What the client sends, until it has sent what it declared or has disconnected."""
        left = int(self.headers.get("Content-Length", 0))
        while left and (data := self.rfile.read1(min(left, 1 << 16))):
            left -= len(data)
            yield data

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Logs nothing: tests read the output of the client."""


class StandIn(ThreadingHTTPServer):
    """Answers uploads with ``on_upload``, and other requests with ``polls`` in turn."""

    def __init__(self, on_upload: Respond, polls: list[Respond]) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.on_upload = on_upload
        self.polls = polls
        self.seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def accept(exchange: Exchange) -> None:
    for _ in exchange.body():
        pass
    exchange.answer(202, JOB)


@contextmanager
def front_end(on_upload: Respond = accept, *polls: Respond) -> Iterator[StandIn]:
    with StandIn(on_upload, list(polls)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
