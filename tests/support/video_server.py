"""A web server on loopback whose files behave as a test wants them to."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Page = Callable[[BaseHTTPRequestHandler], object]


@dataclass
class VideoServer:
    """Its pages by path, and the requests that it got: path and headers."""

    host: str
    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str, *, host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.port}{path}"

    def ranges(self) -> list[str | None]:
        """The ``Range`` of every request."""
        return [headers.get("Range") for _, headers in self.requests]


@contextlib.contextmanager
def running_video_server(host: str = "127.0.0.1") -> Iterator[VideoServer]:
    found = VideoServer(host)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found.requests.append((self.path, dict(self.headers.items())))
            self.close_connection = True
            with contextlib.suppress(OSError):  # the client has what it wanted
                found.pages[self.path.partition("?")[0]](self)

        def log_message(self, *_: Any) -> None:
            """Tests look at ``requests``."""

    with ThreadingHTTPServer((host, 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@dataclass
class File:
    """A file that is served whole or in ranges; each number in ``cuts`` ends one answer after so many bytes.

    ``gate`` is waited for after the first half of the file, every time.
    """

    content: bytes
    etag: str | None = '"1"'
    cuts: list[int] = field(default_factory=list)
    gate: threading.Event | None = None
    is_chunked: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        begin = self._begin(request)
        request.send_response(206 if begin else 200)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag:
            request.send_header("ETag", self.etag)
        framing = ("Transfer-Encoding", "chunked") if self.is_chunked else ("Content-Length", str(self._rest(begin)))
        for name, value in [framing, *self.headers.items()]:
            request.send_header(name, value)
        request.end_headers()
        self._send(request, begin, begin + self.cuts.pop(0) if self.cuts else len(self.content))

    def _begin(self, request: BaseHTTPRequestHandler) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        return int(asked[1]) if asked and request.headers.get("If-Range") == self.etag else 0

    def _rest(self, begin: int) -> int:
        return len(self.content) - begin

    def _send(self, request: BaseHTTPRequestHandler, begin: int, end: int) -> None:
        half = len(self.content) // 2
        if begin < half:
            self._write(request, self.content[begin : min(half, end)])
        if self.gate and begin <= half < end:
            self.gate.wait(60)
        if end > half:
            self._write(request, self.content[max(begin, half) : end])
        if self.is_chunked and end >= len(self.content):
            request.wfile.write(b"0\r\n\r\n")
            request.wfile.flush()

    def _write(self, request: BaseHTTPRequestHandler, part: bytes) -> None:
        request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if self.is_chunked else part)
        request.wfile.flush()


def redirect(location: str, *, status: int = 302) -> Page:
    def page(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Location", location)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return page


def refusal(status: int) -> Page:
    def page(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status, "words of the server's own")
        request.send_header("Content-Length", "0")
        request.end_headers()

    return page


def raw(*parts: bytes, then: Callable[[], object] = lambda: None) -> Page:
    """Exactly these bytes as the answer, and then what ``then`` does before the connection is closed."""

    def page(request: BaseHTTPRequestHandler) -> None:
        for part in parts:
            request.wfile.write(part)
        request.wfile.flush()
        then()

    return page
