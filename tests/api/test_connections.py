"""What a front end does with connections that bring no request, or take no answer."""

import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from clipzy_api.concurrency_limits import DOWNLOADS
from clipzy_api.server.connection_limits import (
    ARRIVING_CONNECTIONS,
    KEPT_CONNECTIONS,
    OTHER_DESCRIPTORS,
    ConnectionLimits,
)
from clipzy_api.server.run import CONNECTION_BUFFER_BYTES
from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.models.output import attempt_prefix_of
from tests.support.played_worker import complete, submit
from tests.support.requirements import missing
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, exchange, head

HTTP_2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HTTP_2_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
TO_HTTP_2 = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
HALF_A_HEADER = b"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Slow: "
ANSWER_SECONDS = 5
"""Within this others are answered, although the machine is busy; without the limits they wait twice as long."""


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed it, and sent nothing before."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_http_2_with_prior_knowledge_is_refused(front_end: FrontEnd) -> None:
    # When a client begins with HTTP/2, then its connection is closed without a frame
    with connect(front_end.port) as connection:
        connection.sendall(HTTP_2_PREFACE + HTTP_2_SETTINGS)
        assert eventually(lambda: is_closed(connection), seconds=ANSWER_SECONDS)


def test_an_upgrade_to_http_2_is_ignored(front_end: FrontEnd) -> None:
    with connect(front_end.port) as connection:
        # When a client offers to go on in HTTP/2, then it is answered in HTTP/1.1
        connection.sendall(head("/healthz", method="GET", more=TO_HTTP_2))
        answer = answer_on(connection)
        assert (answer.status, answer.json()) == (200, {"status": "ok"})
        assert "upgrade" not in answer.headers
        # And so it is when it asks again
        connection.sendall(head("/healthz", method="GET"))
        assert answer_on(connection).status == 200


def test_a_client_that_does_not_complete_its_header_is_disconnected(own_front_end: FrontEnd) -> None:
    with ExitStack() as stack:
        # Given clients that send nothing, a part of a header, and nothing after a request
        clients = [stack.enter_context(connect(own_front_end.port)) for _ in range(3)]
        clients[1].sendall(HALF_A_HEADER)
        clients[2].sendall(head("/healthz", method="GET"))
        assert answer_on(clients[2]).status == 200
        # Then the server disconnects them, before they would be closed for being idle
        assert eventually(lambda: all(map(is_closed, clients)))
        assert "web.idle_closed" not in own_front_end.process.output()


def test_a_header_that_fills_its_buffer_is_refused(front_end: FrontEnd) -> None:
    more = f"X-Large: {'a' * 2 * CONNECTION_BUFFER_BYTES}\r\n"
    assert exchange(front_end.port, head("/healthz", method="GET", more=more)).status == 431


@contextmanager
def soft_descriptor_limit(count: int) -> Iterator[None]:
    """Processes that are started meanwhile may open so many, unless they ask for more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < KEPT_CONNECTIONS + ARRIVING_CONNECTIONS + OTHER_DESCRIPTORS:
        missing("the system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def many_descriptors() -> Iterator[None]:
    """This process may open as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_burst_of_connections_finds_room(own_front_end: FrontEnd) -> None:
    """With the 1024 places of granian the last clients wait for the kernel to let them try again."""
    # Given a front end that takes no connection for a moment
    serving = own_front_end.serving_pid()
    os.kill(serving, signal.SIGSTOP)
    try:
        # When more clients come than it has threads or granian has places, then each is connected
        with many_descriptors(), ExitStack() as stack:
            for _ in range(1500):
                stack.enter_context(socket.create_connection(("127.0.0.1", own_front_end.port), ANSWER_SECONDS))
    finally:
        os.kill(serving, signal.SIGCONT)


@pytest.fixture
def few_descriptors_front_end(tmp_path: Path, own_redis: RedisServer) -> Iterator[FrontEnd]:
    with ExitStack() as stack:
        with soft_descriptor_limit(1024):
            front_end = stack.enter_context(running_front_end(tmp_path / "web", own_redis.url))
        yield front_end


def test_too_many_incomplete_connections_do_not_keep_others_out(few_descriptors_front_end: FrontEnd) -> None:
    front_end = few_descriptors_front_end
    with many_descriptors(), ExitStack() as stack:
        # When more clients connect than are kept, and send a part of a header
        for _ in range(KEPT_CONNECTIONS + 500):
            stack.enter_context(connect(front_end.port)).sendall(HALF_A_HEADER)
        # Then others are answered all the time
        assert requests.get(front_end.url + "/healthz", timeout=ANSWER_SECONDS).status_code == 200
        # And those are closed that are too many
        assert eventually(lambda: "web.too_many_connections" in front_end.process.output())
    assert "web.few_descriptors" not in front_end.process.output()


def test_a_front_end_takes_as_many_descriptors_as_the_system_allows(few_descriptors_front_end: FrontEnd) -> None:
    pid = few_descriptors_front_end.serving_pid()
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert soft == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_the_limit_of_descriptors_is_raised() -> None:
    """In a process without granian, which raises it too, though it does not say so."""
    script = "import resource; from clipzy_api.server.connection_limits import raise_descriptor_limit as raise_it;"
    script += "raise_it(); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    with soft_descriptor_limit(1024):
        ended = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    soft, hard = ended.stdout.split()
    assert soft == hard


@pytest.mark.parametrize(
    ("descriptors", "limits"),
    [
        (1 << 20, (KEPT_CONNECTIONS, KEPT_CONNECTIONS + ARRIVING_CONNECTIONS)),
        (2100, (1000, 1600)),
        (1300, (500, 800)),
        (100, (1, 2)),
    ],
)
def test_fewer_connections_are_kept_where_descriptors_are_few(descriptors: int, limits: tuple[int, int]) -> None:
    assert ConnectionLimits.within(descriptors) == limits


@pytest.fixture
def large_file(own_front_end: FrontEnd) -> bytes:
    """The request for a file that is larger than what is buffered on its way."""
    job_id = submit(own_front_end)["job_id"]
    complete(own_front_end, job_id, artifacts={"large.mp4": bytes(50 << 20)})
    index = read_bytes(own_front_end.storage, keys.result_index(job_id))
    return head(f"/storage/{attempt_prefix_of(job_id, index)}large.mp4", method="GET")


def begun(stack: ExitStack, front_end: FrontEnd, request: bytes) -> socket.socket:
    """A client that has received the first byte of its answer."""
    reader = stack.enter_context(connect(front_end.port))
    reader.sendall(request)
    assert reader.recv(1)
    return reader


@pytest.mark.long
def test_readers_that_take_nothing_are_disconnected(own_front_end: FrontEnd, large_file: bytes) -> None:
    with ExitStack() as stack:
        # Given as many readers of a large file as are served at a time, that take nothing of it
        for _ in range(DOWNLOADS):
            begun(stack, own_front_end, large_file)
        assert exchange(own_front_end.port, large_file).status == 503
        # Then they are disconnected, and others are served
        assert eventually(lambda: exchange(own_front_end.port, large_file).status == 200)
        assert "web.idle_closed" in own_front_end.process.output()


@pytest.mark.long
def test_a_slow_and_steady_reader_is_not_disconnected(own_front_end: FrontEnd, large_file: bytes) -> None:
    with ExitStack() as stack:
        # Given a reader that takes nothing, and one that takes at most 400 kB in a second
        begun(stack, own_front_end, large_file)
        steady = begun(stack, own_front_end, large_file)
        # When the first is disconnected, while the second reads on
        assert eventually(lambda: steady.recv(8 << 10) and "web.idle_closed" in own_front_end.process.output())
        # Then the second still receives more than what was on its way
        received_bytes = 0
        while received_bytes < 20 << 20:
            block = steady.recv(1 << 20)
            assert block
            received_bytes += len(block)
