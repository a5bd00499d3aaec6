"""Clients that send a byte now and then and never finish."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

EVERY_SECONDS = 0.5


class Dribblers:
    """Many connections that send the same beginning, and then a byte every half second."""

    def __init__(self, port: int, beginning: bytes, *, count: int) -> None:
        self._beginning = beginning
        self._open = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._dribble, name="dribblers", daemon=True)

    @property
    def open(self) -> int:
        """How many have not been closed by the server yet."""
        return len(self._open)

    def start(self) -> None:
        for connection in self._open:
            connection.sendall(self._beginning)
            connection.setblocking(False)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)
        for connection in self._open:
            connection.close()

    def _dribble(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
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
def dribbling(port: int, beginning: bytes, *, count: int) -> Iterator[Dribblers]:
    dribblers = Dribblers(port, beginning, count=count)
    dribblers.start()
    try:
        yield dribblers
    finally:
        dribblers.stop()
