"""HTTP below the level of a client, for requests that no client would send."""

import http.client
import json
import socket
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tests.support.forms import CONTENT_TYPE

VIDEOS = "/api/v1/videos"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def head(
    path: str, *, length: int | None = None, method: str = "POST", content_type: str = CONTENT_TYPE, more: str = ""
) -> bytes:
    declared = "" if length is None else f"Content-Length: {length}\r\n"
    first = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    return f"{first}Content-Type: {content_type}\r\n{declared}{more}\r\n".encode()


def connect(port: int, *, host: str = "127.0.0.1") -> socket.socket:
    """A connection from the address ``host`` of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(host, 0))


def answer_on(connection: socket.socket) -> Answer:
    """The whole answer to what was sent on it."""
    with closing(http.client.HTTPResponse(connection)) as response:
        response.begin()
        body = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def exchange(port: int, *pieces: bytes, end_sending: bool = False, host: str = "127.0.0.1") -> Answer:
    with connect(port, host=host) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if end_sending:
            connection.shutdown(socket.SHUT_WR)
        return answer_on(connection)


def upload(port: int, body: bytes, *, path: str = VIDEOS) -> Answer:
    """Send a form as it is, with its length."""
    return exchange(port, head(path, length=len(body)), body)
