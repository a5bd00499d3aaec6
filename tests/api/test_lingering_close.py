"""Answers given before the request body was read: clients can read them, and nothing was stored."""

import http.client
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_api.concurrency_limits import DRAINS, REQUEST_BODIES
from clipzy_api.inputs.multipart import FRAMING_LIMIT_BYTES
from tests.support.forms import CONTENT_TYPE, mp4_bytes, part, video_form
from tests.support.node_upload import uploads_by_node
from tests.support.requirements import missing
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, exchange, head

VIDEOS, JOBS = "/api/v1/videos", "/api/v1/jobs"
CAP_BYTES = 1 << 20
"""The largest file that ``small_front_end`` accepts."""
MULTIPART = {"Content-Type": CONTENT_TYPE}


@pytest.fixture(scope="module", params=[3, 200], ids="{} MiB over".format)
def large_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sparse file that exceeds the limit by ``param`` MiB."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    with path.open("wb") as stream:
        stream.write(mp4_bytes(100))
        stream.truncate(CAP_BYTES + (request.param << 20))
    yield path
    path.unlink()


def test_a_declared_length_over_the_limit_is_refused_before_the_body(small_front_end: FrontEnd) -> None:
    # Given a client that declares one byte more than file and framing may have, and sends no body
    with connect(small_front_end.port) as connection:
        connection.sendall(head(VIDEOS, length=CAP_BYTES + FRAMING_LIMIT_BYTES + 1))

        # When it reads, then it receives the refusal immediately
        received = connection.recv(1 << 16)
        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nconnection: close\r\n" in received.lower()
        while b"FILE_TOO_LARGE" not in received:
            received += connection.recv(1 << 16)
        assert small_front_end.unfinished() == []


def test_silent_clients_do_not_block_other_clients(small_front_end: FrontEnd) -> None:
    # Given more refused clients than can be drained at a time, each silent after its first bytes
    silent = [connect(small_front_end.port) for _ in range(DRAINS + 2)]
    try:
        for connection in silent:
            connection.sendall(head(VIDEOS, length=90 << 20) + b"--")

        # When they read, then each receives the whole refusal
        assert [answer_on(connection).status for connection in silent] == [413] * len(silent)

        # And other clients are answered, while they are connected and afterwards
        assert small_front_end.get("/healthz").status_code == 200
    finally:
        for connection in silent:
            connection.close()
    body = video_form(mp4_bytes(1000))
    assert exchange(small_front_end.port, head(VIDEOS, length=len(body)), body).status == 201


def test_a_client_that_expects_100_continue_is_answered_immediately(small_front_end: FrontEnd) -> None:
    # Given a client that waits for 100 Continue before it sends its body
    request = head(VIDEOS, length=100 << 20, more="Expect: 100-continue\r\n")

    # When it sends the head of its request
    answer = exchange(small_front_end.port, request)

    # Then it receives the final answer instead
    assert (answer.status, answer.json()["code"]) == (413, "FILE_TOO_LARGE")


def test_curl_reads_the_refusal(small_front_end: FrontEnd, large_file: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        missing("curl is not installed")

    for expect in ("Expect:", "Expect: 100-continue"):
        done = subprocess.run(
            [curl, "-sS", "-H", expect, "-F", f"file=@{large_file}", small_front_end.api + "/videos"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert '"code": "FILE_TOO_LARGE"' in done.stdout, done


def test_node_reads_the_refusal(small_front_end: FrontEnd, large_file: Path) -> None:
    answers = uploads_by_node(small_front_end.api + "/videos", large_file)
    assert answers.count('413 {"title"') == 2, answers
    assert answers.count('"code": "FILE_TOO_LARGE"') == 2, answers


def test_requests_reads_the_refusal(small_front_end: FrontEnd, large_file: Path) -> None:
    with large_file.open("rb") as stream:
        answer = requests.post(small_front_end.api + "/videos", files={"file": stream}, timeout=60)
    assert answer.json()["code"] == "FILE_TOO_LARGE"

    with large_file.open("rb") as stream:
        answer = requests.post(small_front_end.api + "/videos", data=stream, headers=MULTIPART, timeout=60)
    assert answer.json()["code"] == "FILE_TOO_LARGE"


def test_http_client_reads_the_refusal(small_front_end: FrontEnd, large_file: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", small_front_end.port, timeout=60)
    try:
        with large_file.open("rb") as stream:
            length = str(large_file.stat().st_size)
            connection.request("POST", VIDEOS, body=stream, headers={**MULTIPART, "Content-Length": length})
        answer = connection.getresponse()
        assert answer.status == 413
        assert b"FILE_TOO_LARGE" in answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "content_type", "status", "code"),
    [
        (VIDEOS, "image/png", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (VIDEOS, "application/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (JOBS, "application/octet-stream", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (JOBS, "application/json", 413, "FILE_TOO_LARGE"),
        ("/api/v1/nothing", CONTENT_TYPE, 404, "NOT_FOUND"),
        ("/healthz", CONTENT_TYPE, 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_every_early_refusal_is_read_whole(
    front_end: FrontEnd, path: str, content_type: str, status: int, code: str
) -> None:
    # Given a client that sends all of a large body before it reads
    body = bytes(20 << 20)

    # When it is refused by the head of its request
    answer = requests.post(front_end.url + path, data=body, headers={"Content-Type": content_type}, timeout=60)

    # Then it receives the whole problem
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Connection"].lower() == "close"


def test_a_connection_stays_open_after_a_refused_body_was_read(front_end: FrontEnd) -> None:
    # Given a connection on which a whole, invalid body was sent
    with connect(front_end.port) as connection:
        connection.sendall(head(JOBS, length=2, content_type="application/json") + b"[]")
        assert answer_on(connection).status == 422

        # When the next request is sent on it, then it is answered
        connection.sendall(head("/healthz", method="GET"))
        assert answer_on(connection).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_compressed_bodies_are_refused(front_end: FrontEnd, encoding: str) -> None:
    answer = requests.post(
        front_end.api + "/videos",
        data=video_form(mp4_bytes(100)),
        headers={**MULTIPART, "Content-Encoding": encoding},
        timeout=30,
    )

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_slow_uploads_leave_threads_for_polling(front_end: FrontEnd) -> None:
    # Given as many stalled uploads as are accepted at a time
    first_bytes = head(VIDEOS, length=10 << 20) + part("file", mp4_bytes(300_000), filename="a.mp4")
    slow = [connect(front_end.port) for _ in range(REQUEST_BODIES)]
    try:
        for connection in slow:
            connection.sendall(first_bytes)
        assert eventually(lambda: len(front_end.unfinished()) == REQUEST_BODIES)

        # When other requests arrive, then polls are answered and another upload is refused with Retry-After
        assert front_end.get("/healthz").status_code == 200
        assert front_end.get("/api/v1/jobs").status_code == 200
        refused: Any = requests.post(
            front_end.api + "/videos", data=video_form(mp4_bytes(1000)), headers=MULTIPART, timeout=30
        )
        assert (refused.status_code, refused.json()["code"]) == (503, "OVERLOADED")
        assert int(refused.headers["Retry-After"]) > 0
    finally:
        for connection in slow:
            connection.close()

    # And once they are disconnected, uploads are accepted again
    assert eventually(lambda: front_end.unfinished() == [])
    again = requests.post(front_end.api + "/videos", data=video_form(mp4_bytes(1000)), headers=MULTIPART, timeout=30)
    assert again.status_code == 201
