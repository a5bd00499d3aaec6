"""nginx as compose starts it, in front of a real front end."""

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.forms import CONTENT_TYPE, mp4_bytes, part, video_form
from tests.support.nginx import SCRIPT, Nginx, environment, running_nginx
from tests.support.node_upload import uploads_by_node
from tests.support.processes import free_port
from tests.support.requirements import missing
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, exchange, head

VIDEOS = "/api/v1/videos"
MULTIPART = {"Content-Type": CONTENT_TYPE}
MIB = 1 << 20


@pytest.fixture(scope="module", params=[3, 200], ids="{} MiB over".format)
def large_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sparse file that exceeds the limit by ``param`` MiB."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    with path.open("wb") as stream:
        stream.write(mp4_bytes(100))
        stream.truncate((1 + request.param) * MIB)
    yield path
    path.unlink()


def test_an_upload_arrives_through_nginx(nginx: Nginx) -> None:
    answer = requests.post(nginx.url + VIDEOS, data=video_form(mp4_bytes(MIB)), headers=MULTIPART, timeout=30)
    assert answer.status_code == 201, answer.text
    assert answer.json()["size_bytes"] == MIB


def test_an_upload_is_passed_on_while_it_is_received(nginx: Nginx, front_end: FrontEnd) -> None:
    # Given a client that has sent half of its file
    body = video_form(mp4_bytes(MIB))
    with connect(nginx.port) as connection:
        connection.sendall(head(VIDEOS, length=len(body)) + body[: MIB // 2])

        # Then the front end is writing it already
        assert eventually(lambda: len(front_end.unfinished()) == 1)

        # And the rest completes it
        connection.sendall(body[MIB // 2 :])
        assert answer_on(connection).status == 201


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics?a=b", "/%6detrics", "//metrics", "/docs/../metrics", "/metrics/"]
)
def test_metrics_are_not_for_clients(nginx: Nginx, front_end: FrontEnd, path: str) -> None:
    refused = exchange(nginx.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    assert (refused.status, refused.json()["code"]) == (404, "NOT_FOUND")
    assert front_end.get("/metrics").status_code == 200


def test_nginx_passes_what_the_front_end_accepts(nginx: Nginx) -> None:
    """One MiB over the limit is allowed for the form around the file; one byte more is refused by Content-Length."""
    form = video_form(mp4_bytes(MIB))
    largest = form + bytes(2 * MIB - len(form))

    taken = exchange(nginx.port, head(VIDEOS, length=len(largest)), largest)
    refused = exchange(nginx.port, head(VIDEOS, length=2 * MIB + 1))

    assert taken.status == 201
    assert (refused.status, refused.headers["content-type"]) == (413, "application/problem+json")
    problem = refused.json()
    assert (problem["status"], problem["code"], problem["title"]) == (413, "FILE_TOO_LARGE", "Request Entity Too Large")
    assert "at most 1 MiB" in problem["detail"]
    assert "client intended to send too large body" in nginx.log()


def test_a_client_that_expects_100_continue_is_answered_immediately(nginx: Nginx) -> None:
    answer = exchange(nginx.port, head(VIDEOS, length=100 * MIB, more="Expect: 100-continue\r\n"))
    assert (answer.status, answer.json()["code"]) == (413, "FILE_TOO_LARGE")


@pytest.mark.parametrize("refused_by", ["nginx", "open_nginx"])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
class TestEarlyRefusalsReach:
    """Refused by nginx itself, or by the front end behind an nginx that passes it."""

    def test_curl(self, request: pytest.FixtureRequest, refused_by: str, chunked: bool, large_file: Path) -> None:
        nginx: Nginx = request.getfixturevalue(refused_by)
        curl = shutil.which("curl")
        if curl is None:
            missing("curl is not installed")
        framing = ["-H", "Transfer-Encoding: chunked"] if chunked else []

        for expect in ("Expect:", "Expect: 100-continue"):
            done = subprocess.run(
                [curl, "-sS", "-H", expect, *framing, "-F", f"file=@{large_file}", nginx.url + VIDEOS],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert '"code": "FILE_TOO_LARGE"' in done.stdout, done

    def test_requests(self, request: pytest.FixtureRequest, refused_by: str, chunked: bool, large_file: Path) -> None:
        nginx: Nginx = request.getfixturevalue(refused_by)
        body: Any = _form_around(large_file)
        body = iter(body) if chunked else b"".join(body)

        answer = requests.post(nginx.url + VIDEOS, data=body, headers=MULTIPART, timeout=60)

        assert (answer.status_code, answer.json()["code"]) == (413, "FILE_TOO_LARGE")

    def test_http_client(
        self, request: pytest.FixtureRequest, refused_by: str, chunked: bool, large_file: Path
    ) -> None:
        nginx: Nginx = request.getfixturevalue(refused_by)
        connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=60)
        blocks = _form_around(large_file)
        length = {} if chunked else {"Content-Length": str(sum(map(len, blocks)))}
        try:
            connection.request("POST", VIDEOS, iter(blocks), {**MULTIPART, **length}, encode_chunked=chunked)
            answer = connection.getresponse()
            assert answer.status == 413
            assert b"FILE_TOO_LARGE" in answer.read()
        finally:
            connection.close()


@pytest.mark.parametrize("refused_by", ["nginx", "open_nginx"])
def test_an_early_refusal_reaches_node(request: pytest.FixtureRequest, refused_by: str, large_file: Path) -> None:
    nginx: Nginx = request.getfixturevalue(refused_by)
    assert uploads_by_node(nginx.url + VIDEOS, large_file).count('"code": "FILE_TOO_LARGE"') == 2


def _form_around(file: Path) -> list[bytes]:
    form = part("file", file.read_bytes(), filename=file.name)
    return [form[start : start + 65536] for start in range(0, len(form), 65536)]


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"garbage\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "BAD_REQUEST"),
        (b"G@T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "BAD_REQUEST"),
        (head(VIDEOS, more="Content-Length: x\r\n"), 400, "BAD_REQUEST"),
        (head(VIDEOS, length=5, more="Content-Length: 6\r\n"), 400, "BAD_REQUEST"),
        (head(VIDEOS, length=5, more="Transfer-Encoding: chunked\r\n"), 400, "BAD_REQUEST"),
        (head("/.nginx-problem", method="GET"), 404, "NOT_FOUND"),
        (head("/", method="TRACE"), 405, "METHOD_NOT_ALLOWED"),
        (head("/" + "a" * 9000, method="GET"), 414, "REQUEST_URI_TOO_LONG"),
        (head("/", method="GET", more=f"Cookie: {'a' * 9000}\r\n"), 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
        (head(VIDEOS, more="Transfer-Encoding: gzip\r\n"), 501, "NOT_IMPLEMENTED"),
        (b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505, "HTTP_VERSION_NOT_SUPPORTED"),
    ],
    ids=[
        "garbage",
        "no host",
        "two hosts",
        "a host with a path",
        "method",
        "length",
        "two lengths",
        "length and chunks",
        "inside",
        "trace",
        "path",
        "headers",
        "coding",
        "version",
    ],
)
def test_refusals_of_nginx_are_problems_too(nginx: Nginx, sent: bytes, status: int, code: str) -> None:
    answer = exchange(nginx.port, sent)

    problem = answer.json()
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    assert answer.headers["x-request-id"] == problem["request_id"]
    assert "nginx/" not in answer.headers["server"]


def test_problems_of_the_front_end_are_passed_unchanged(nginx: Nginx, front_end: FrontEnd) -> None:
    path = "/api/v1/jobs/job_none"
    direct, through = front_end.get(path), requests.get(nginx.url + path, timeout=30)
    assert (through.status_code, through.json()) == (direct.status_code, direct.json())


def test_an_unavailable_front_end_is_a_problem_with_retry_after(tmp_path: Path) -> None:
    with running_nginx(tmp_path, upstream_port=free_port(), max_file_size_mb=300) as nginx:
        # When a request is sent, small or large, then the answer has Retry-After
        for answer in (
            requests.get(nginx.url + "/healthz", timeout=30),
            requests.post(nginx.url + VIDEOS, data=bytes(200 * MIB), headers=MULTIPART, timeout=60),
        ):
            assert (answer.status_code, answer.json()["code"]) == (502, "BAD_GATEWAY")
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert int(answer.headers["Retry-After"]) > 0


def test_one_address_has_a_limit_of_uploads_and_none_of_other_requests(tmp_path: Path, front_end: FrontEnd) -> None:
    with running_nginx(
        tmp_path, upstream_port=front_end.port, max_file_size_mb=1, NGINX_BODIES_PER_CLIENT="2"
    ) as nginx:
        # Given as many uploads in progress as one address may have
        first_bytes = head(VIDEOS, length=MIB) + part("file", mp4_bytes(300_000), filename="a.mp4")
        slow = [connect(nginx.port) for _ in range(2)]
        try:
            for connection in slow:
                connection.sendall(first_bytes)
            assert eventually(lambda: len(front_end.unfinished()) == 2)

            # When it sends another, then that is refused with Retry-After
            refused = requests.post(nginx.url + VIDEOS, data=video_form(mp4_bytes(MIB)), headers=MULTIPART, timeout=30)
            assert (refused.status_code, refused.json()["code"]) == (503, "OVERLOADED")
            assert int(refused.headers["Retry-After"]) > 0

            # And its other requests are answered
            assert requests.get(nginx.url + "/api/v1/jobs", timeout=30).status_code == 200
        finally:
            for connection in slow:
                connection.close()
    assert eventually(lambda: front_end.unfinished() == [])


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        ("/storage/results/x?expires=1&signature=SECRET", '"GET /storage/results/x HTTP/1.1" 404'),
        ("/api/v1/jobs?page=1&x=SECRET", '"GET /api/v1/jobs HTTP/1.1" 422'),
        ("/healthz?SECRET?SECRET", '"GET /healthz HTTP/1.1" 200'),
        ("/healthz", '"GET /healthz HTTP/1.1" 200'),
        ("/healthz?SECRET SECRET", '"GET /healthz HTTP/1.1" 400'),
    ],
)
def test_no_query_is_logged(sent: str, logged: str, nginx: Nginx) -> None:
    """It may be the signature of a link."""
    exchange(nginx.port, head(sent, method="GET"))
    eventually(lambda: logged in nginx.access_log(), "the line of the request")
    assert "SECRET" not in nginx.access_log()


def test_the_query_of_a_link_is_in_no_complaint_either(tmp_path: Path) -> None:
    # Given an nginx without a front end
    with running_nginx(tmp_path, upstream_port=free_port(), max_file_size_mb=1) as nginx:
        # When a link is followed, and another address
        for path in ("/storage/results/x?expires=1&signature=SECRET", "/healthz"):
            assert requests.get(nginx.url + path, timeout=30).status_code == 502
        # Then it complains, without the signature
        assert "connect() failed" in nginx.log()
        assert "SECRET" not in nginx.log() + nginx.access_log()


@pytest.mark.long
def test_slow_clients_are_disconnected_within_a_minute(open_nginx: Nginx) -> None:
    # Given clients that send their headers slowly, stop within their body, or send it slowly
    first_bytes = head(VIDEOS, length=300 * MIB) + part("file", mp4_bytes(1000), filename="a.mp4")
    clients = {
        "slow head": (b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"a"),
        "silent body": (head(VIDEOS, length=MIB), b""),
        "slow body": (head(VIDEOS, length=MIB) + part("file", mp4_bytes(1000), filename="a.mp4"), b"aa"),
        "refused slow body": (first_bytes, b"aa"),
    }
    connections = {name: connect(open_nginx.port) for name in clients}
    begun = time.monotonic()
    lives: dict[str, float] = {}
    try:
        for name, connection in connections.items():
            connection.sendall(clients[name][0])
            connection.setblocking(False)

        # When they continue, then each connection is closed in time
        while len(lives) < len(clients) and time.monotonic() < begun + 70:
            for name in clients.keys() - lives.keys():
                if _is_closed(connections[name], clients[name][1]):
                    lives[name] = time.monotonic() - begun
            time.sleep(0.5)
    finally:
        for connection in connections.values():
            connection.close()
    assert lives.keys() == clients.keys(), lives
    assert max(lives.values()) < 60, lives


def _is_closed(connection: socket.socket, more: bytes) -> bool:
    """Whether the server closed it for both directions: it must also refuse ``more``."""
    try:
        if more:
            connection.sendall(more)
            return False
        return connection.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("wrong", ["", "0", "010", "2GB", "-1"])
def test_a_wrong_limit_is_reported_on_one_line(tmp_path: Path, wrong: str) -> None:
    env = environment(tmp_path, port=1, upstream_port=2, max_file_size_mb=1) | {"MAX_FILE_SIZE_MB": wrong}
    done = subprocess.run(["sh", str(SCRIPT), "-t"], env=env, capture_output=True, text=True, check=False)
    if wrong:
        assert done.returncode == 78
        assert done.stderr.splitlines() == [
            f"MAX_FILE_SIZE_MB={wrong} is wrong. Set it to a whole number of MiB from 1 to 1000000."
        ]
    else:  # empty counts as unset, as everywhere
        assert "client_max_body_size 2001m;" in (tmp_path / "state/nginx.conf").read_text()
