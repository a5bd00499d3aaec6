"""A name server for one name, whose address the tests change: what Docker's own does when a container is replaced."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass

NAME = "web.test"
_A = b"\x00\x01"
_QUESTION_AT = 12


@dataclass
class Names:
    """A running name server; ``address`` is what it answers with."""

    address: str
    port: int = 0


@contextlib.contextmanager
def running_names(address: str) -> Iterator[Names]:
    names = Names(address)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, connection = self.request
            connection.sendto(_answer(query, names.address), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        names.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield names
        finally:
            server.shutdown()
            thread.join()


def _answer(query: bytes, address: str) -> bytes:
    """One address for one second; none of the newer kind."""
    end = query.index(b"\0", _QUESTION_AT) + 5
    question, kind = query[_QUESTION_AT:end], query[end - 4 : end - 2]
    head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if kind == _A else b"\0\0") + bytes(4)
    if kind != _A:
        return head + question
    record = b"\xc0\x0c\0\1\0\1" + (1).to_bytes(4) + (4).to_bytes(2) + bytes(map(int, address.split(".")))
    return head + question + record
