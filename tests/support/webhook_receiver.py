"""A receiver of webhooks on loopback, which answers as a test wants it to."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from tests.support.waiting import eventually

SECRET, OTHER_SECRET = (f"whsec_{letter * 42}A=" for letter in ("A", "B"))
"""Of 32 bytes each."""
Answer = Callable[[BaseHTTPRequestHandler], object]


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    def event(self, *, secret: str = SECRET) -> dict[str, Any]:
        """What it announces, once a receiver with this secret has verified it."""
        verified: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        assert verified == json.loads(self.body)
        return verified


@dataclass
class Receiver:
    """What it has received; ``answers`` are used up one by one, and after them ``otherwise`` is the answer."""

    host: str
    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    otherwise: Answer = field(default_factory=lambda: status(204))

    def url(self, path: str = "/hook", *, host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.port}{path}"

    def next(self, count: int = 1) -> list[Received]:
        """All that was received, at least so many."""
        return eventually(
            lambda: self.received if len(self.received) >= count else [], f"{count} deliveries: {self.received}"
        )

    def of(self, job_id: str) -> list[Received]:
        return [one for one in self.received if json.loads(one.body)["data"]["job_id"] == job_id]


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 100


@contextlib.contextmanager
def running_receiver(host: str = "127.0.0.1") -> Iterator[Receiver]:
    found = Receiver(host)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.close_connection = True
            answer = found.answers.pop(0) if found.answers else found.otherwise
            with contextlib.suppress(OSError):  # the sender has given up
                answer(self)

        def log_message(self, *_: Any) -> None:
            """Tests look at ``received``."""

    with _Server((host, 0), Handler) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """An answer; of names in ``headers`` an underscore stands for a hyphen."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        if code != 204:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def silence(over: threading.Event) -> Answer:
    """No answer until the test is over."""
    return lambda _request: over.wait(60)


def drip(over: threading.Event, *, after: bytes = b"HTTP/1.1 200 OK\r\n") -> Answer:
    """These bytes, and then one every moment without an end."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(after)
        while not over.wait(0.05):
            request.wfile.write(b"X")
            request.wfile.flush()

    return answer
