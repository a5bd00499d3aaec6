"""A server that answers with the request it received, for tests of the proxy in front of it."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Echo:
    """A running echo server. ``send_second`` lets an event stream send its second event."""

    port: int = 0
    send_second: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def running_echo() -> Iterator[Echo]:
    """GET returns the head of the request as JSON; GET /events streams two events, the second after ``send_second``."""
    echo = Echo()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            self.send_response(200)
            if self.path == "/events":
                self._send_events()
                return
            headers = [[name.lower(), value] for name, value in self.headers.items()]
            body = json.dumps({"line": self.requestline, "headers": headers}).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _send_events(self) -> None:
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("X-Accel-Buffering", "no")
            self.end_headers()
            self.wfile.write(b"data: 1\n\n")
            self.wfile.flush()
            echo.send_second.wait(30)
            self.wfile.write(b"data: 2\n\n")

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        echo.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield echo
        finally:
            echo.send_second.set()
            server.shutdown()
            thread.join()
