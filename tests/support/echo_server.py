"""A front end that only returns what reached it, for tests of what stands in front of it."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Echo:
    """A running echo. ``go_on`` lets an event stream send its second event."""

    port: int = 0
    go_on: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def running_echo() -> Iterator[Echo]:
    """GET answers with the request's head as JSON; GET /events with two events, the second when it may go on."""
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
            echo.go_on.wait(30)
            self.wfile.write(b"data: 2\n\n")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is logged."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        echo.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield echo
        finally:
            echo.go_on.set()
            server.shutdown()
            thread.join()
