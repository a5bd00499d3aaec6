"""A name server for one name, whose address tests change, as Docker's does when a container is replaced."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass

NAME = "web.test"
_TYPE_A = b"\x00\x01"
_HEADER_BYTES = 12


@dataclass
class Names:
    """A running name server, which answers with ``address``."""

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
    """An A record with a TTL of one second; no records of other types."""
    end = query.index(b"\0", _HEADER_BYTES) + 5
    question, record_type = query[_HEADER_BYTES:end], query[end - 4 : end - 2]
    head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if record_type == _TYPE_A else b"\0\0") + bytes(4)
    if record_type != _TYPE_A:
        return head + question
    record = b"\xc0\x0c\0\1\0\1" + (1).to_bytes(4) + (4).to_bytes(2) + bytes(map(int, address.split(".")))
    return head + question + record
