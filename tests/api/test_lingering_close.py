"""Answers given before the body was read: clients get to read them, and nothing was written for them."""

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
CAP_BYTES = 1 << 20  # of `small_front_end`
MULTIPART = {"Content-Type": CONTENT_TYPE}


@pytest.fixture(scope="module", params=[3, 200], ids="{} MiB over".format)
def large_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file over the cap by so many MiB, a hole for the most part."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    with path.open("wb") as stream:
        stream.write(mp4_bytes(100))
        stream.truncate(CAP_BYTES + (request.param << 20))
    yield path
    path.unlink()


def test_too_large_by_declaration_is_refused_before_a_byte_comes(small_front_end: FrontEnd) -> None:
    # Given a client that declares one byte more than file and framing may have together, and sends nothing
    with connect(small_front_end.port) as connection:
        connection.sendall(head(VIDEOS, length=CAP_BYTES + FRAMING_LIMIT_BYTES + 1))

        # When it listens, then it hears the refusal at once
        received = connection.recv(1 << 16)
        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nconnection: close\r\n" in received.lower()
        while b"FILE_TOO_LARGE" not in received:
            received += connection.recv(1 << 16)
        assert small_front_end.unfinished() == []


def test_silent_clients_hold_up_nobody(small_front_end: FrontEnd) -> None:
    # Given more refused clients than are drained at once, who have begun to send and then wait
    silent = [connect(small_front_end.port) for _ in range(DRAINS + 2)]
    try:
        for connection in silent:
            connection.sendall(head(VIDEOS, length=90 << 20) + b"--")

        # When they listen, then each reads the whole refusal
        assert [answer_on(connection).status for connection in silent] == [413] * len(silent)

        # And everybody else is served, while they stay and after they have gone
        assert small_front_end.get("/healthz").status_code == 200
    finally:
        for connection in silent:
            connection.close()
    body = video_form(mp4_bytes(1000))
    assert exchange(small_front_end.port, head(VIDEOS, length=len(body)), body).status == 201


def test_a_client_that_asks_first_is_answered_at_once(small_front_end: FrontEnd) -> None:
    # Given a client that waits for permission to send its body
    request = head(VIDEOS, length=100 << 20, more="Expect: 100-continue\r\n")

    # When it asks
    answer = exchange(small_front_end.port, request)

    # Then it gets a whole answer instead of permission
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
        (VIDEOS, "video/mp4", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (VIDEOS, "application/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (JOBS, "application/octet-stream", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (JOBS, "application/json", 413, "FILE_TOO_LARGE"),
        ("/api/v1/nothing", CONTENT_TYPE, 404, "NOT_FOUND"),
        ("/healthz", CONTENT_TYPE, 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_every_early_refusal_is_read_to_its_end(
    front_end: FrontEnd, path: str, content_type: str, status: int, code: str
) -> None:
    # Given a client that sends all of a large body before it listens
    body = bytes(20 << 20)

    # When it is refused by its head alone
    answer = requests.post(front_end.url + path, data=body, headers={"Content-Type": content_type}, timeout=60)

    # Then it reads why
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Connection"].lower() == "close"


def test_a_connection_is_kept_after_a_refusal_of_a_body_that_was_read(front_end: FrontEnd) -> None:
    # Given a connection on which a whole, wrong body was sent
    with connect(front_end.port) as connection:
        connection.sendall(head(JOBS, length=2, content_type="application/json") + b"[]")
        assert answer_on(connection).status == 422

        # When the next request comes on it, then it is answered
        connection.sendall(head("/healthz", method="GET"))
        assert answer_on(connection).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_compressed_bodies_are_not_taken(front_end: FrontEnd, encoding: str) -> None:
    answer = requests.post(
        front_end.api + "/videos",
        data=video_form(mp4_bytes(100)),
        headers={**MULTIPART, "Content-Encoding": encoding},
        timeout=30,
    )

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_slow_uploads_leave_room_for_those_who_poll(front_end: FrontEnd) -> None:
    # Given as many uploads under way as are taken at once, none of which moves
    beginning = head(VIDEOS, length=10 << 20) + part("file", mp4_bytes(300_000), filename="a.mp4")
    slow = [connect(front_end.port) for _ in range(REQUEST_BODIES)]
    try:
        for connection in slow:
            connection.sendall(beginning)
        assert eventually(lambda: len(front_end.unfinished()) == REQUEST_BODIES)

        # When others come, then polling is answered and one more upload is told to come later
        assert front_end.get("/healthz").status_code == 200
        assert front_end.get("/api/v1/jobs").status_code == 200
        refused: Any = requests.post(
            front_end.api + "/videos", data=video_form(mp4_bytes(1000)), headers=MULTIPART, timeout=30
        )
        assert (refused.status_code, refused.json()["code"]) == (503, "TOO_MANY_UPLOADS")
        assert int(refused.headers["Retry-After"]) > 0
    finally:
        for connection in slow:
            connection.close()

    # And when they have gone, uploads are taken again
    assert eventually(lambda: front_end.unfinished() == [])
    again = requests.post(front_end.api + "/videos", data=video_form(mp4_bytes(1000)), headers=MULTIPART, timeout=30)
    assert again.status_code == 201
