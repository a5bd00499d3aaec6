"""Clients that send a byte now and then and never complete their request."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BYTE_EVERY_SECONDS = 0.5


class SlowClients:
    """Connections that send the same first bytes, and then a byte every half second."""

    def __init__(self, port: int, first_bytes: bytes, *, count: int) -> None:
        self._first_bytes = first_bytes
        self._open = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_slowly, name="slow-clients", daemon=True)

    @property
    def open(self) -> int:
        """The number of connections that the server has not closed."""
        return len(self._open)

    def start(self) -> None:
        for connection in self._open:
            connection.sendall(self._first_bytes)
            connection.setblocking(False)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)
        for connection in self._open:
            connection.close()

    def _send_slowly(self) -> None:
        while not self._stopping.wait(BYTE_EVERY_SECONDS):
            self._open = [connection for connection in self._open if _is_open(connection)]


def _is_open(connection: socket.socket) -> bool:
    try:
        with suppress(BlockingIOError):
            connection.send(b"x")
        with suppress(BlockingIOError):
            while connection.recv(1 << 16):
                pass
            connection.close()
            return False
    except OSError:
        connection.close()
        return False
    return True


@contextmanager
def slow_clients(port: int, first_bytes: bytes, *, count: int) -> Iterator[SlowClients]:
    clients = SlowClients(port, first_bytes, count=count)
    clients.start()
    try:
        yield clients
    finally:
        clients.stop()
