"""Hostile requests, directly and through nginx: refused at little cost, and nothing of them is stored."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.forms import CLOSING, form, mp4_bytes, part, video_form
from tests.support.nginx import running_nginx
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, exchange, head

VIDEOS = "/api/v1/videos"
CAP_MB = 32
CHUNKED = "Transfer-Encoding: chunked\r\n"
# As `struct linger`: on, 0 s.
RST_ON_CLOSE = b"\1\0\0\0\0\0\0\0"


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory, own_redis: RedisServer) -> Iterator[FrontEnd]:
    with running_front_end(tmp_path_factory.mktemp("web"), own_redis.url, MAX_FILE_SIZE_MB=str(CAP_MB)) as running:
        yield running


@pytest.fixture(scope="module", params=["direct", "nginx"])
def port(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, front_end: FrontEnd
) -> Iterator[int]:
    if request.param == "direct":
        yield front_end.port
        return
    directory = tmp_path_factory.mktemp("nginx")
    with running_nginx(directory, upstream_port=front_end.port, max_file_size_mb=CAP_MB) as nginx:
        yield nginx.port


@pytest.fixture
def unchanged(front_end: FrontEnd) -> Callable[[], bool]:
    before = front_end.stored()
    return lambda: eventually(lambda: front_end.stored() == before and front_end.unfinished() == [])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


WHOLE = video_form(mp4_bytes(400_000))
BADLY_FRAMED = {
    "two lengths": head(VIDEOS, length=len(WHOLE), more=f"Content-Length: {len(WHOLE) - 1}\r\n") + WHOLE,
    "a length that is no number": head(VIDEOS, more="Content-Length: 12x\r\n") + WHOLE,
    "a negative length": head(VIDEOS, more="Content-Length: -1\r\n") + WHOLE,
    "a huge length": head(VIDEOS, more="Content-Length: 99999999999999999999999\r\n") + WHOLE,
    "a chunk without a size": head(VIDEOS, more=CHUNKED) + b"zz\r\n" + WHOLE,
    "an unknown coding": head(VIDEOS, more="Transfer-Encoding: gzip, chunked\r\n") + chunk(WHOLE) + b"0\r\n\r\n",
}


def test_a_request_with_length_and_chunks_cannot_smuggle_another(port: int) -> None:
    # Given a request with a length and with chunks, which contains another request if read by its length
    hidden = head("/healthz", method="GET")
    request = head(VIDEOS, length=len(chunk(WHOLE)) + 5, more=CHUNKED) + chunk(WHOLE) + b"0\r\n\r\n" + hidden
    # When it is sent, then it is refused or read by its chunks, and the connection is closed after it
    with connect(port) as connection:
        connection.sendall(request)
        received = b"".join(iter(lambda: _received(connection), b""))
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 201 "))
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in received.lower()


@pytest.mark.parametrize("case", BADLY_FRAMED)
def test_a_badly_framed_request_is_refused(port: int, unchanged: Callable[[], bool], case: str) -> None:
    with connect(port) as connection:
        connection.sendall(BADLY_FRAMED[case])
        # It is neither accepted nor read as two requests
        received = b"".join(iter(lambda: _received(connection), b""))
    assert received.startswith(
        (b"HTTP/1.1 400 ", b"HTTP/1.1 411 ", b"HTTP/1.1 413 ", b"HTTP/1.1 415 ", b"HTTP/1.1 501 ")
    )
    assert received.count(b"HTTP/1.1 ") == 1
    assert unchanged()


def _received(connection: socket.socket) -> bytes:
    connection.settimeout(5)
    try:
        return connection.recv(1 << 16)
    except (TimeoutError, ConnectionResetError):
        return b""


@pytest.mark.parametrize("chunked", [False, True])
def test_a_connection_reset_within_a_body_leaves_nothing(
    port: int, front_end: FrontEnd, unchanged: Callable[[], bool], chunked: bool
) -> None:
    begun = part("file", mp4_bytes(2 << 20), filename="a.mp4")
    request = head(VIDEOS, more=CHUNKED) + chunk(begun) if chunked else head(VIDEOS, length=20 << 20) + begun
    with connect(port) as connection:
        connection.sendall(request)
        assert eventually(lambda: front_end.unfinished() != [])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
    assert unchanged()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_ends_early_is_refused_and_leaves_nothing(
    port: int, unchanged: Callable[[], bool], chunked: bool
) -> None:
    begun = WHOLE[:-100]
    request = head(VIDEOS, more=CHUNKED) + chunk(begun) if chunked else head(VIDEOS, length=len(WHOLE)) + begun
    with connect(port) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        # nginx disconnects a client that has closed its side; an answer, if there is one, is 400
        received = _received(connection)
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    assert unchanged()


NESTED = part("file", b"--inner\r\nContent-Disposition: form-data\r\n\r\n" * 1000, filename="a.mp4").replace(
    b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n", 1
)
BOMBS = {
    "1500 parts": form(*(part(f"field{number}", b"x") for number in range(1500))),
    "10000 files": form(*(part("file", b"x", filename=f"{number}.mp4") for number in range(10_000))),
    "a header of 700 kB": form(part("file", b"x", filename="a" * 700_000)),
    "a header of 300 kB": form(part("file", b"x", filename="a" * 300_000)),
    "10000 headers": form(b"\r\n--front-end-tests-7f3a\r\n" + b"X-Header: y\r\n" * 10_000 + b"\r\nx"),
    "a text field of 10 MB": form(part("note", bytes(10_000_000))),
    "line ends before a part": form(b"\r\n" * 4_000_000 + part("note", b"x")),
    "line ends and no boundary": b"\r\n" * 10_000_000,
    "almost boundaries": b"\r\n--front-end-tests-7f3" * 1_000_000,
    "a form within a form": form(NESTED),
    "nothing after the boundary": CLOSING + b"\r\n" * 2_000_000,
}
GROWTH_LIMIT_KIB = 50 << 10
CPU_LIMIT_SECONDS = 1.0


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_multipart_bomb_costs_little(port: int, front_end: FrontEnd, bomb: str) -> None:
    # Given a front end that has received an upload before
    body = BOMBS[bomb]
    exchange(front_end.port, head(VIDEOS, length=len(WHOLE)), WHOLE)
    before, pid = front_end.stored(), front_end.serving_pid()
    memory_kib, cpu_seconds = _peak_memory_kib(pid), _cpu_seconds(pid)
    # When the bomb is sent
    with connect(port) as connection:
        connection.sendall(head(VIDEOS, length=len(body)) + body)
        answer = answer_on(connection)
    # Then it is refused, and has cost little memory and CPU time
    assert answer.status in (400, 413, 422), answer
    assert answer.json()["code"] in ("INVALID_FIELD", "MISSING_FIELD", "UNSUPPORTED_FORMAT", "FILE_TOO_LARGE")
    assert _peak_memory_kib(pid) - memory_kib < GROWTH_LIMIT_KIB
    assert _cpu_seconds(pid) - cpu_seconds < CPU_LIMIT_SECONDS
    assert eventually(lambda: front_end.stored() == before and front_end.unfinished() == [])


def _peak_memory_kib(pid: int) -> int:
    """The peak since the process started, so that none is missed."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def _cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
