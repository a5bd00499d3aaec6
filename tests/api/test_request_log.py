"""Every request is one line of the log, which says who asked for what, how it ended, and how much was sent."""

import json
import re
import secrets
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_storage.models.records import ErrorCode
from tests.support.forms import mp4_bytes
from tests.support.played_worker import complete, fail, submit
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.waiting import eventually
from tests.support.wire import connect, exchange, head

BIG = 32 << 20


@pytest.fixture(scope="module")
def logging_front_end(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, front_end: FrontEnd
) -> Iterator[FrontEnd]:
    """A front end on the same storage that logs everything, as JSON."""
    settings = {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    directory = tmp_path_factory.mktemp("logging-web")
    with running_front_end(directory, redis_server.url, storage_path=front_end.root, **settings) as running:
        yield running


def events_of(front_end: FrontEnd, request_id: str) -> list[Any]:
    """What was logged under one request id; every line must be a JSON object."""
    events = [json.loads(line) for line in front_end.log.read_text().splitlines()]
    return [event for event in events if event.get("request_id") == request_id]


def line_of(front_end: FrontEnd, request_id: str) -> Any:
    """The one line of a request, once its answer has ended."""

    def found() -> list[Any]:
        return [event for event in events_of(front_end, request_id) if event["event"] == "http.request"]

    (line,) = eventually(found, f"the line of {request_id}")
    return line


def new_id() -> str:
    return f"test-{secrets.token_hex(8)}"


def with_id(request_id: str) -> str:
    return f"X-Request-ID: {request_id}\r\n"


def test_a_request_is_one_line_with_all_that_is_asked_of_it(logging_front_end: FrontEnd) -> None:
    # When a job is submitted under a request id of the client's
    request_id, file = new_id(), mp4_bytes(1000)
    answer = logging_front_end.post(
        "/api/v1/jobs", files={"file": ("a.mp4", file)}, headers={"X-Request-ID": request_id}
    )
    # Then its line has method, path, status, time, bytes both ways, client and owner
    line = line_of(logging_front_end, request_id)
    assert (line["method"], line["path"], line["status"], line["level"]) == ("POST", "/api/v1/jobs", 202, "info")
    assert 0 < line["seconds"] < 60
    assert line["bytes"] == len(answer.content)
    assert line["received_bytes"] > len(file)
    assert (line["whole"], line["client"], line["owner"]) == (True, "127.0.0.1", "everyone")
    assert line["front_end"]
    assert line["pid"] == logging_front_end.serving_pid()
    # And the job is found under the same id
    (submitted,) = [event for event in events_of(logging_front_end, request_id) if event["event"] == "job.submitted"]
    assert submitted["job_id"] == answer.json()["job_id"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_health_check_is_logged_for_debugging_only(logging_front_end: FrontEnd, path: str) -> None:
    request_id = new_id()
    logging_front_end.get(path, headers={"X-Request-ID": request_id})

    assert line_of(logging_front_end, request_id)["level"] == "debug"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("HEAD", "/openapi.json", 200), ("GET", "/nothing", 404), ("PUT", "/healthz", 405)]
)
def test_answers_without_a_view_or_a_body_are_logged_too(
    logging_front_end: FrontEnd, method: str, path: str, status: int
) -> None:
    request_id = new_id()
    requests.request(method, logging_front_end.url + path, headers={"X-Request-ID": request_id}, timeout=30)

    line = line_of(logging_front_end, request_id)
    assert (line["method"], line["path"], line["status"], line["whole"]) == (method, path, status, True)


def test_neither_a_query_nor_a_header_is_logged(logging_front_end: FrontEnd) -> None:
    # Given a request with secrets wherever a client may put them
    request_id, secret = new_id(), secrets.token_hex(16)
    headers = {"X-Request-ID": request_id, "Authorization": f"Bearer {secret}", "Cookie": secret, "User-Agent": secret}
    # When it is answered
    logging_front_end.get(f"/storage/x?signature={secret}&token={secret}", headers=headers)
    # Then the log does not have it
    assert line_of(logging_front_end, request_id)["path"] == "/storage/x"
    assert secret not in logging_front_end.log.read_text()


def test_a_path_cannot_forge_a_line(logging_front_end: FrontEnd, front_end: FrontEnd) -> None:
    # When a path has line breaks, escapes and characters that turn text around
    request_id, forged = new_id(), "/a%0a2026-01-01T00:00:00Z [info] job.completed [x]%1b[2J%e2%80%ae%c2%85z"
    for target in (logging_front_end, front_end):
        target.get(forged, headers={"X-Request-ID": request_id})
    # Then they are escaped, in JSON and in text
    escaped = r"\n2026-01-01T00:00:00Z [info] job.completed [x]\x1b[2J\u202e\x85z"
    assert line_of(logging_front_end, request_id)["path"] == f"/a{escaped}"
    lines = eventually(lambda: re.findall(rf".*http\.request.*{request_id}.*", front_end.log.read_text()))
    assert len(lines) == 1
    assert not re.search(r"^2026-01-01", front_end.log.read_text(), re.MULTILINE)
    assert "\x1b" not in front_end.log.read_text()


def test_what_a_client_chooses_is_cut_off(redis_server: RedisServer, front_end: FrontEnd, tmp_path: Path) -> None:
    # Given a front end behind a proxy that passes on the address which a client claims to have
    settings = {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG", "TRUSTED_PROXIES": "1"}
    with running_front_end(tmp_path, redis_server.url, storage_path=front_end.root, **settings) as running:
        # When method, path and address are long
        request_id, long = new_id(), 20_000 * "a"
        more = f"X-Forwarded-For: {long}\r\n{with_id(request_id)}"
        assert exchange(running.port, head(f"/{long}", method=long, more=more)).status == 404
        # Then the lines of the request are short
        line_of(running, request_id)
        lines = [line for line in running.log.read_text().splitlines() if request_id in line]
        assert max(map(len, lines)) < 3000


def test_a_malformed_request_id_is_replaced(logging_front_end: FrontEnd) -> None:
    answer = logging_front_end.get("/nothing", headers={"X-Request-ID": "a b"})

    assert line_of(logging_front_end, answer.headers["X-Request-ID"])["status"] == 404


def test_an_upload_that_breaks_off_is_logged(logging_front_end: FrontEnd) -> None:
    # When a client vanishes in the middle of its upload
    request_id, part = new_id(), b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    form = "multipart/form-data; boundary=b"
    with connect(logging_front_end.port) as connection:
        connection.sendall(
            head("/api/v1/videos", length=BIG, content_type=form, more=with_id(request_id)) + part + mp4_bytes(1000)
        )
    # Then its line says how much had arrived
    line = line_of(logging_front_end, request_id)
    assert (line["path"], line["status"]) == ("/api/v1/videos", 400)
    assert 0 < line["received_bytes"] < BIG


def test_a_download_is_logged_at_its_end_with_what_was_sent(logging_front_end: FrontEnd) -> None:
    # Given a file of a completed job
    job_id = submit(logging_front_end)["job_id"]
    complete(logging_front_end, job_id, artifacts={"clip.mp4": bytes(BIG)})
    path = f"/api/v1/jobs/{job_id}/files/clip.mp4"
    # When one client reads a part of it, and vanishes, and another reads it whole
    broken, whole = new_id(), new_id()
    with connect(logging_front_end.port) as connection:
        connection.sendall(head(path, method="GET", more=with_id(broken)))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert not [event for event in events_of(logging_front_end, broken) if event["event"] == "http.request"]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    logging_front_end.get(path, headers={"X-Request-ID": whole})
    # Then both lines say how much was sent
    lines = [line_of(logging_front_end, request_id) for request_id in (broken, whole)]
    assert [(line["status"], line["whole"]) for line in lines] == [(200, False), (200, True)]
    assert 0 < lines[0]["bytes"] < BIG
    assert lines[1]["bytes"] == BIG


def test_an_event_stream_is_logged_when_it_ends(logging_front_end: FrontEnd) -> None:
    # Given a stream of the events of a job
    request_id, job_id = new_id(), submit(logging_front_end)["job_id"]
    path = f"/api/v1/jobs/{job_id}/events"
    with logging_front_end.get(path, headers={"X-Request-ID": request_id}, stream=True) as stream:
        # When the job ends, and so the stream
        assert not [event for event in events_of(logging_front_end, request_id) if event["event"] == "http.request"]
        fail(logging_front_end, job_id, ErrorCode.INVALID_MEDIA, "not a video")
        sent = b"".join(stream.iter_content(None))
    # Then its line has what was sent in all
    line = line_of(logging_front_end, request_id)
    assert (line["path"], line["status"], line["bytes"], line["whole"]) == (path, 200, len(sent), True)
