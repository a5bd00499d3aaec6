"""The connection reaper, on real connections of this process."""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from clipzy_api.server.connection_reaper import MIN_BYTES_PER_TIMEOUT, ConnectionReaper
from tests.support.waiting import eventually

IDLE_TIMEOUT_SECONDS = 0.2


@dataclass
class Server:
    """Accepts connections and answers nothing by itself."""

    listener: socket.socket
    stack: ExitStack = field(default_factory=ExitStack)
    is_overdue: bool = False
    kept_connections: int = 1000
    idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        self._reaper = ConnectionReaper(
            is_overdue=lambda: self.is_overdue,
            kept_connections=self.kept_connections,
            idle_timeout_seconds=self.idle_timeout_seconds,
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
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def server(listener: socket.socket) -> Iterator[Server]:
    server = Server(listener)
    with server.stack:
        yield server


@pytest.fixture
def small_server(listener: socket.socket) -> Iterator[Server]:
    """One that keeps three connections, however idle they are."""
    server = Server(listener, kept_connections=3, idle_timeout_seconds=3600)
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


def send_enough(client: socket.socket, accepted: socket.socket) -> None:
    client.sendall(bytes(MIN_BYTES_PER_TIMEOUT))
    left = MIN_BYTES_PER_TIMEOUT
    while left and select.select([accepted], [], [], 30)[0]:
        left -= len(accepted.recv(left))


def test_a_connection_on_which_enough_is_received_stays_open(server: Server) -> None:
    assert outlives_an_idle_one(server, send_enough)


def test_a_connection_on_which_something_is_sent_stays_open(server: Server) -> None:
    def answer(client: socket.socket, accepted: socket.socket) -> None:
        accepted.send(b"x")
        assert client.recv(1) == b"x"

    assert outlives_an_idle_one(server, answer)


def receive_all(client: socket.socket) -> None:
    while client.recv(1 << 20):
        pass


def fill(accepted: socket.socket) -> None:
    """Send until the client has to read before more can be sent."""
    with suppress(BlockingIOError):
        while accepted.send(bytes(1 << 20)):
            pass


def test_a_connection_that_was_answered_is_closed_both_ways(server: Server) -> None:
    # Given a client that has read its answer
    client, accepted = server.connect()
    accepted.send(b"x")
    assert client.recv(1) == b"x"
    # When it has been idle for too long
    assert eventually(server.reap)
    # Then it sees that before it sends its next request
    assert client.recv(1) == b""
    assert is_closed(accepted)


def test_a_reader_that_takes_enough_stays_connected(server: Server) -> None:
    def take(client: socket.socket, accepted: socket.socket) -> None:
        fill(accepted)
        left = 2 * MIN_BYTES_PER_TIMEOUT
        while left > 0:
            left -= len(client.recv(left))

    assert outlives_an_idle_one(server, take)


def test_a_reader_that_takes_too_little_is_closed_and_what_it_did_not_take_is_dropped(server: Server) -> None:
    # Given a client that reads a byte now and then
    client, accepted = server.connect()
    fill(accepted)
    # When that has gone on for too long, also while the server keeps others waiting
    server.is_overdue = True
    assert eventually(lambda: client.recv(1) and server.reap())
    # Then the server can send no more
    assert is_closed(accepted)
    with pytest.raises(BrokenPipeError):
        accepted.send(b"x")
    # And what was sent is not kept for the client
    accepted.close()
    with pytest.raises(ConnectionResetError):
        receive_all(client)


def test_no_idle_connection_is_closed_while_the_server_is_overdue(server: Server) -> None:
    # Given a server that keeps a client waiting, and a second reaper that does not know of it
    _, accepted = server.connect()
    server.reap()
    server.is_overdue = True
    unaware = Server(server.listener, server.stack)
    unaware.reap()
    # When the second closes the connection, then the first has not done so before
    closed_by = {"first": 0, "second": 0}

    def reap() -> int:
        closed_by["first"] += server.reap()
        closed_by["second"] += unaware.reap()
        return sum(closed_by.values())

    assert eventually(reap)
    assert closed_by == {"first": 0, "second": 1}
    assert is_closed(accepted)


def test_of_too_many_connections_the_longest_incomplete_are_closed_first(small_server: Server) -> None:
    # Given a client that was answered, one that has sent a part of its request, and one that has sent nothing
    client, answered = small_server.connect()
    answered.send(b"x")
    assert client.recv(1) == b"x"
    partial_client, partial = small_server.connect()
    partial_client.send(b"GET")
    assert small_server.reap() == 0
    _, silent = small_server.connect()
    assert small_server.reap() == 0
    # When two more come, then those two are closed that have been waited for longest, and no other
    others = [small_server.connect()[1] for _ in range(2)]
    assert small_server.reap() == 2
    assert [is_closed(accepted) for accepted in (answered, partial, silent, *others)] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_an_upload_is_kept_longer_than_connections_that_wait_for_a_request(small_server: Server) -> None:
    # Given a client that uploads, and others that were answered and keep their connections
    client, upload = small_server.connect()
    answered = []
    for _ in range(3):
        other, accepted = small_server.connect()
        accepted.send(b"x")
        assert other.recv(1) == b"x"
        answered.append(accepted)
    # When these are too many, and the upload goes on
    send_enough(client, upload)
    assert small_server.reap() == 1
    # Then one of the others is closed
    assert not is_closed(upload)
    assert [is_closed(accepted) for accepted in answered].count(True) == 1


def test_an_upload_is_kept_longer_than_an_incomplete_header(small_server: Server) -> None:
    # Given a client that has begun to upload, and others that came after it and sent a part of a header
    client, upload = small_server.connect()
    others = []
    for _ in range(2):
        other, accepted = small_server.connect()
        other.send(b"GET")
        others.append(accepted)
    assert small_server.reap() == 0
    # When the upload goes on, and one more comes
    send_enough(client, upload)
    assert small_server.reap() == 0
    small_server.connect()
    assert small_server.reap() == 1
    # Then the upload is not the one that is closed
    assert not is_closed(upload)
    assert [is_closed(accepted) for accepted in others].count(True) == 1
