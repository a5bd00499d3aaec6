"""The reaper of idle connections, on real connections of this process."""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from clipzy_api.server.idle_connections import MIN_RECEIVED_BYTES_PER_TIMEOUT, IdleConnectionReaper
from tests.support.waiting import eventually

IDLE_TIMEOUT_SECONDS = 0.2


@dataclass
class Server:
    """Accepts connections and answers nothing by itself."""

    listener: socket.socket
    stack: ExitStack = field(default_factory=ExitStack)
    is_overdue: bool = False

    def __post_init__(self) -> None:
        self._reaper = IdleConnectionReaper(
            is_overdue=lambda: self.is_overdue, idle_timeout_seconds=IDLE_TIMEOUT_SECONDS
        )

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """The client's end of a new connection, and the server's."""
        client = self.stack.enter_context(socket.create_connection(self.listener.getsockname()))
        accepted = self.stack.enter_context(self.listener.accept()[0])
        accepted.setblocking(False)
        return client, accepted

    def reap(self) -> int:
        return self._reaper.run_once()


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener)
        with server.stack:
            yield server


def is_closed(accepted: socket.socket) -> bool:
    """Whether a reader finds the end of the stream after what was received."""
    try:
        while accepted.recv(1 << 20):
            pass
    except BlockingIOError:
        return False
    return True


def outlives_an_idle_one(server: Server, act: Callable[[socket.socket, socket.socket], object]) -> bool:
    """Whether a connection on whose ends ``act`` acts before every check stays open while an idle one is closed."""
    _, idle = server.connect()
    client, accepted = server.connect()

    def reap() -> bool:
        act(client, accepted)
        server.reap()
        return is_closed(idle)

    assert eventually(reap), "an idle connection was not closed"
    return not is_closed(accepted)


def test_a_connection_on_which_nothing_is_received_is_closed(server: Server) -> None:
    client, accepted = server.connect()
    assert server.reap() == 0
    assert eventually(lambda: server.reap() == 1)
    assert is_closed(accepted)
    # And not its other end, on which this process is the client
    client.setblocking(False)
    assert not is_closed(client)


def test_a_connection_on_which_too_little_is_received_is_closed_and_can_be_answered(server: Server) -> None:
    # Given a client that sends a byte now and then
    client, accepted = server.connect()
    assert eventually(lambda: client.send(b"x") and server.reap())
    # Then nothing more is received from it, and it can still read an answer
    assert is_closed(accepted)
    accepted.send(b"400")
    assert client.recv(10) == b"400"


def test_an_answered_connection_on_which_nothing_follows_is_closed_both_ways(server: Server) -> None:
    # Given a client that has an answer and keeps its connection for the next request
    client, accepted = server.connect()
    server.reap()
    accepted.send(b"200")
    assert client.recv(10) == b"200"
    # When the connection is idle, then the client finds it closed before it sends that request
    assert eventually(lambda: server.reap() == 1)
    client.setblocking(False)
    assert is_closed(client)
    assert is_closed(accepted)


def test_a_connection_on_which_enough_is_received_stays_open(server: Server) -> None:
    def send(client: socket.socket, accepted: socket.socket) -> None:
        client.sendall(bytes(MIN_RECEIVED_BYTES_PER_TIMEOUT))
        left = MIN_RECEIVED_BYTES_PER_TIMEOUT
        while left and select.select([accepted], [], [], 30)[0]:
            left -= len(accepted.recv(left))

    assert outlives_an_idle_one(server, send)


def test_a_connection_on_which_something_is_sent_stays_open(server: Server) -> None:
    def answer(client: socket.socket, accepted: socket.socket) -> None:
        accepted.send(b"x")
        assert client.recv(1) == b"x"

    assert outlives_an_idle_one(server, answer)


def test_a_reader_that_pauses_stays_connected(server: Server) -> None:
    def send_until_full(_: socket.socket, accepted: socket.socket) -> None:
        with suppress(BlockingIOError):
            while accepted.send(bytes(1 << 20)):
                pass

    assert outlives_an_idle_one(server, send_until_full)


def test_no_connection_is_closed_while_the_server_is_overdue(server: Server) -> None:
    # Given a server that keeps a client waiting, and a second reaper that does not know of it
    _, accepted = server.connect()
    server.reap()
    server.is_overdue = True
    unaware = Server(server.listener, server.stack)
    unaware.reap()
    closed: list[int] = []

    def reap() -> int:
        closed.append(server.reap())
        return unaware.reap()

    # When the connection is closed, then it was the second that closed it
    assert eventually(reap) == 1
    assert not any(closed)
    assert is_closed(accepted)
