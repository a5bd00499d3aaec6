"""A name server for one name, whose address tests change, as Docker's does when a container is replaced."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass

NAME = "web.test"
_TYPE_A = b"\x00\x01"
_HEADER_BYTES = 12


@dataclass
class Names:
    """A running name server, which answers with ``address``, and counts the queries."""

    address: str
    port: int = 0
    queries: int = 0

    def resolve(self, _host: str, _port: int) -> list[str]:
        """Ask this server, where the system's resolver cannot be pointed at it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(_question(NAME), ("127.0.0.1", self.port))
            answer = client.recv(512)
        return [socket.inet_ntoa(answer[-4:])]


@contextlib.contextmanager
def running_names(address: str) -> Iterator[Names]:
    names = Names(address)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, connection = self.request
            names.queries += 1
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


def _question(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return bytes(2) + b"\1\0\0\1" + bytes(6) + labels + b"\0" + _TYPE_A + b"\0\1"


def _answer(query: bytes, address: str) -> bytes:
    """An A record with a TTL of one second; no records of other types."""
    end = query.index(b"\0", _HEADER_BYTES) + 5
    question, record_type = query[_HEADER_BYTES:end], query[end - 4 : end - 2]
    head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if record_type == _TYPE_A else b"\0\0") + bytes(4)
    if record_type != _TYPE_A:
        return head + question
    record = b"\xc0\x0c\0\1\0\1" + (1).to_bytes(4) + (4).to_bytes(2) + bytes(map(int, address.split(".")))
    return head + question + record
