"""The watch over quiet connections, on real ones of this process."""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from clipzy_api.server.idle_connections import LEAST_BYTES, IdleConnectionReaper
from tests.support.waiting import eventually

QUIET_SECONDS = 0.2


@dataclass
class Server:
    """Accepts connections, and answers nothing by itself."""

    listener: socket.socket
    stack: ExitStack = field(default_factory=ExitStack)
    is_late: bool = False

    def __post_init__(self) -> None:
        self.watch = IdleConnectionReaper(is_late=lambda: self.is_late, quiet_seconds=QUIET_SECONDS)

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """The client's end and ours."""
        client = self.stack.enter_context(socket.create_connection(self.listener.getsockname()))
        ours = self.stack.enter_context(self.listener.accept()[0])
        ours.setblocking(False)
        return client, ours

    def looks(self) -> int:
        return self.watch.look()


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener)
        with server.stack:
            yield server


def has_ended(ours: socket.socket) -> bool:
    """Whether a reader is told that nothing more comes, after what has come."""
    try:
        while ours.recv(1 << 20):
            pass
    except BlockingIOError:
        return False
    return True


def outlives_a_quiet_one(server: Server, move: Callable[[socket.socket, socket.socket], object]) -> bool:
    """Whether a connection is left alone on whose ends ``move`` acts before every look."""
    _, quiet = server.connect()
    client, ours = server.connect()

    def look() -> bool:
        move(client, ours)
        server.looks()
        return has_ended(quiet)

    assert eventually(look), "a quiet connection was not ended"
    return not has_ended(ours)


def test_a_connection_on_which_nothing_comes_is_ended(server: Server) -> None:
    client, ours = server.connect()
    assert server.looks() == 0
    assert eventually(lambda: server.looks() == 1)
    assert has_ended(ours)
    # And not its other end, which is a connection of this process to a port: there it is a client itself
    client.setblocking(False)
    assert not has_ended(client)


def test_a_connection_on_which_too_little_comes_is_ended_and_can_be_answered(server: Server) -> None:
    # Given a client that sends a byte now and then
    client, ours = server.connect()
    assert eventually(lambda: client.send(b"x") and server.looks())
    # Then its sending is ended, and it hears why
    assert has_ended(ours)
    ours.send(b"400")
    assert client.recv(10) == b"400"


def test_a_connection_on_which_enough_comes_is_left_alone(server: Server) -> None:
    def send(client: socket.socket, ours: socket.socket) -> None:
        client.sendall(bytes(LEAST_BYTES))
        left = LEAST_BYTES
        while left and select.select([ours], [], [], 30)[0]:
            left -= len(ours.recv(left))

    assert outlives_a_quiet_one(server, send)


def test_a_connection_on_which_something_is_sent_is_left_alone(server: Server) -> None:
    def answer(client: socket.socket, ours: socket.socket) -> None:
        ours.send(b"x")
        assert client.recv(1) == b"x"

    assert outlives_a_quiet_one(server, answer)


def test_a_reader_that_pauses_is_left_alone(server: Server) -> None:
    def send_all_it_takes(_: socket.socket, ours: socket.socket) -> None:
        with suppress(BlockingIOError):
            while ours.send(bytes(1 << 20)):
                pass

    assert outlives_a_quiet_one(server, send_all_it_takes)


def test_nobody_is_blamed_for_our_own_slowness(server: Server) -> None:
    # Given a client that has been waiting for us, and one that comes later
    _, ours = server.connect()
    server.looks()
    server.is_late = True
    later = Server(server.listener, server.stack)
    later.looks()
    # When it is ended by a watch that does not know, then it was not by the one that does
    assert eventually(lambda: server.looks() or later.looks())
    assert server.looks() == 0
    assert has_ended(ours)
