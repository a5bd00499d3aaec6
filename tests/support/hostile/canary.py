"""Who notices that something was reached which must not be: a server nobody may call, a file nobody may read."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

SECRET = b"canary-7c0ffee-this-is-another-job"  # must appear in no result and no log


@dataclass
class MonoAnalyser:
    """``port`` of 127.0.0.1, and the first bytes that each caller has sent."""

    port: int
    calls: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def listener() -> Iterator[MonoAnalyser]:
    """Takes every connection and notes it; answers like a web server that has what is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        noted, is_over = MonoAnalyser(server.getsockname()[1]), threading.Event()
        thread = threading.Thread(target=_take_calls, args=(server, noted, is_over))
        thread.start()
        try:
            yield noted
        finally:
            is_over.set()
            thread.join()


def _take_calls(server: socket.socket, noted: MonoAnalyser, is_over: threading.Event) -> None:
    while not is_over.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _address = server.accept()
            with connection:
                connection.settimeout(1)
                noted.calls.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\n\r\n")
