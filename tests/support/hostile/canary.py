"""Detects that something was reached which must not be: a server that must get no request, a file with a secret."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

SECRET = b"canary-7c0ffee-this-is-another-job"  # must appear in no result and no log


@dataclass
class Canary:
    """A server on ``port`` of 127.0.0.1, and the first bytes of every connection to it."""

    port: int
    requests: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def running_canary() -> Iterator[Canary]:
    """Accepts and records every connection; answers like a web server that has the requested file."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        canary, is_closed = Canary(server.getsockname()[1]), threading.Event()
        thread = threading.Thread(target=_accept, args=(server, canary, is_closed))
        thread.start()
        try:
            yield canary
        finally:
            is_closed.set()
            thread.join()


def _accept(server: socket.socket, canary: Canary, is_closed: threading.Event) -> None:
    while not is_closed.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _address = server.accept()
            with connection:
                connection.settimeout(1)
                canary.requests.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\n\r\n")
