"""Uploads that are refused: each is told what is wrong with it, and leaves nothing."""

import socket
from collections.abc import Callable

import pytest
import requests

from tests.api.conftest import SMALL_CAP_BYTES
from tests.support.forms import CLOSING, CONTENT_TYPE, form, mp4_bytes, part, video_form
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import VIDEOS, connect, exchange, head, upload


def test_a_file_with_the_boundary_in_it_is_refused(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    content = mp4_bytes(1000) + CLOSING[:-4] + b"x"

    answer = upload(front_end.port, video_form(content))

    assert (answer.status, answer.json()["code"], answer.json()["field"]) == (422, "INVALID_FIELD", "body")
    assert "a boundary that occurs in none of its parts" in answer.json()["detail"]
    assert unchanged()


@pytest.mark.parametrize("chunked", [False, True])
def test_one_byte_over_the_cap_is_refused(
    small_front_end: FrontEnd, unchanged: Callable[[], bool], chunked: bool
) -> None:
    # Given a file that is one byte too large, in a form that may be of any length
    body = video_form(mp4_bytes(SMALL_CAP_BYTES + 1))

    # When it is sent, its length declared or not
    answer = requests.post(
        small_front_end.api + "/videos",
        data=iter([body]) if chunked else body,
        headers={"Content-Type": CONTENT_TYPE},
        timeout=30,
    )

    # Then it is refused and gone
    assert answer.status_code == 413, answer.text
    assert answer.json()["code"] == "FILE_TOO_LARGE"
    assert unchanged()


def problem_cases() -> dict[str, tuple[bytes, int, str, str]]:
    file = part("file", mp4_bytes(1000), filename="a.mp4")
    cases = {
        "no part at all": (CLOSING, 422, "MISSING_FIELD", "file"),
        "empty file": (form(part("file", b"", filename="a.mp4")), 422, "MISSING_FIELD", "file"),
        "no file chosen in a browser": (form(part("file", b"", filename="")), 422, "MISSING_FIELD", "file"),
        "file as text": (form(part("file", b"text")), 422, "INVALID_FIELD", "file"),
        "two files": (form(file, file), 422, "INVALID_FIELD", "file"),
        "file of another name": (form(part("video", b"x", filename="a")), 422, "INVALID_FIELD", "video"),
        "another file after it": (form(file, part("extra", b"x", filename="b")), 422, "INVALID_FIELD", "extra"),
        "part without a name": (form(part(None, b"x")), 422, "INVALID_FIELD", ""),
        "unknown field": (form(file, part("colour", b"red")), 422, "INVALID_FIELD", "colour"),
        "unknown field first": (form(part("colour", b"red"), file), 422, "INVALID_FIELD", "colour"),
        "header that is no text": (
            form(part("file", b"x", filename="a").replace(b'"a"', b'"\xff"')),
            422,
            "INVALID_FIELD",
            "body",
        ),
        "part without a disposition": (
            form(part("file", b"x").replace(b"Content-Disposition", b"Disposition")),
            422,
            "INVALID_FIELD",
            "body",
        ),
        "header without end": (
            form(part("file", b"x", filename="a" * 1_000_000)),
            422,
            "INVALID_FIELD",
            "body",
        ),
        "much after the last boundary": (form(file) + bytes(1_500_000), 422, "INVALID_FIELD", "body"),
        "much before the first boundary": (bytes(1_500_000) + form(file), 422, "INVALID_FIELD", "body"),
    }
    for name in ("config", "template_video_id", "webhook_url"):
        cases[f"{name} is of a later version"] = (form(file, part(name, b"")), 422, "INVALID_FIELD", name)
    return cases


CASES = problem_cases()


@pytest.mark.parametrize("path", [VIDEOS, "/api/v1/jobs"])
@pytest.mark.parametrize("case", CASES)
def test_a_wrong_form_is_refused_by_name(
    front_end: FrontEnd, unchanged: Callable[[], bool], path: str, case: str
) -> None:
    # Given a form that is wrong in one way
    body, status, code, field = CASES[case]

    # When it is sent
    answer = upload(front_end.port, body, path=path)

    # Then the answer names what is wrong, and nothing is left
    problem = answer.json()
    assert (answer.status, problem["code"], problem["field"]) == (status, code, field), problem
    assert f"`{field}`" in problem["detail"]
    assert "should be" in problem["detail"]
    assert unchanged()


@pytest.mark.parametrize("content", [b"ffconcat version 1.0\nfile x.mp4\n", b"x", b"RIFF0000WAVE" + bytes(500_000)])
def test_what_is_no_video_is_refused(front_end: FrontEnd, unchanged: Callable[[], bool], content: bytes) -> None:
    answer = upload(front_end.port, video_form(content, filename="holiday.mp4"))

    assert (answer.status, answer.json()["code"]) == (422, "UNSUPPORTED_FORMAT")
    assert unchanged()


def test_what_is_no_video_is_refused_before_all_of_it_arrives(
    front_end: FrontEnd, unchanged: Callable[[], bool]
) -> None:
    # Given a client that has sent the first block of 60 MiB and then pauses
    size_bytes = 60 << 20
    first = part("file", bytes(300_000), filename="a.mp4")
    with connect(front_end.port) as connection:
        connection.sendall(head(VIDEOS, length=size_bytes) + first)

        # Then the answer begins before the rest arrives
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 422 ")
        assert unchanged()


def test_fewer_bytes_than_declared_are_refused(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    # Given a whole form whose declared length is greater, and a client that then stops sending
    body = video_form(mp4_bytes(400_000))

    # When it is sent, whole or cut anywhere
    for cut in (len(body), len(body) - 2, len(body) - 30, 300_000, 50, 1):
        answer = exchange(front_end.port, head(VIDEOS, length=len(body) + 10) + body[:cut], end_sending=True)

        # Then it is truncated, and the answer says what is missing
        assert (answer.status, answer.json()["code"]) == (400, "TRUNCATED_UPLOAD"), cut
        counts = f"{cut} of the {len(body) + 10} bytes declared"
        assert counts in answer.json()["detail"]
    assert unchanged()


@pytest.mark.parametrize("kept_bytes", [-1, -2, -5, -len(CLOSING), 500])
def test_a_form_without_its_final_boundary_is_refused(
    front_end: FrontEnd, unchanged: Callable[[], bool], kept_bytes: int
) -> None:
    # Given a form that is cut, and declared with its cut length
    body = form(part("file", mp4_bytes(100_000), filename="a.mp4")).rstrip(b"\r\n")[:kept_bytes]

    # When it is sent with its length, or chunked with a final chunk
    declared = upload(front_end.port, body)
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    chunked = exchange(front_end.port, head(VIDEOS, more="Transfer-Encoding: chunked\r\n") + chunks)

    # Then both are truncated
    for answer in (declared, chunked):
        assert (answer.status, answer.json()["code"]) == (400, "TRUNCATED_UPLOAD")
    assert unchanged()


def test_a_cut_chunked_body_is_refused(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    body = video_form(mp4_bytes(400_000))[:-40]
    chunk = b"%x\r\n%s\r\n" % (len(body), body)

    answer = exchange(front_end.port, head(VIDEOS, more="Transfer-Encoding: chunked\r\n") + chunk, end_sending=True)

    assert (answer.status, answer.json()["code"]) == (400, "TRUNCATED_UPLOAD")
    assert unchanged()


def test_a_form_without_length_or_chunks_is_refused(front_end: FrontEnd) -> None:
    answer = exchange(front_end.port, head(VIDEOS))

    assert (answer.status, answer.json()["code"]) == (400, "TRUNCATED_UPLOAD")


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 300])
def test_a_form_whose_boundary_is_not_named_is_refused(front_end: FrontEnd, boundary: str) -> None:
    content_type = f"multipart/form-data{boundary}"

    answer = exchange(front_end.port, head(VIDEOS, length=3, content_type=content_type), b"abc")

    assert (answer.status, answer.json()["code"]) == (422, "INVALID_FIELD")


def test_a_client_that_leaves_leaves_nothing(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    # Given an upload that is under way
    connection = connect(front_end.port)
    connection.sendall(head(VIDEOS, length=60 << 20) + part("file", mp4_bytes(2 << 20), filename="a.mp4"))
    assert eventually(lambda: front_end.unfinished() != [])

    # When its client disappears
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()

    # Then the unfinished file does too
    assert unchanged()
