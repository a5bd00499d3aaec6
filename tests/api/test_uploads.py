"""Uploads through a real front end: what is accepted, what is refused, and that refusals leave nothing."""

import hashlib
import re
import socket
from collections.abc import Callable
from itertools import accumulate

import pytest
import requests

from clipzy_api.inputs.request_body import BLOCK_BYTES
from clipzy_storage import keys
from tests.support.forms import CLOSING, CONTENT_TYPE, MP4_HEAD, form, mp4_bytes, part, video_form
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import Answer, connect, exchange, head

VIDEOS = "/api/v1/videos"
CAP_BYTES = 1 << 20  # of `small_front_end`


def upload(front_end: FrontEnd, body: bytes, *, path: str = VIDEOS) -> Answer:
    return exchange(front_end.port, head(path, length=len(body)), body)


@pytest.fixture
def unchanged(front_end: FrontEnd) -> Callable[[], bool]:
    """Whether storage holds what it held when the test began, and nothing unfinished."""
    before = front_end.stored()
    return lambda: eventually(lambda: front_end.stored() == before and front_end.unfinished() == [])


def test_a_video_arrives_whole(front_end: FrontEnd) -> None:
    # Given 50 MiB
    content = mp4_bytes(50 << 20)

    # When an ordinary client uploads them
    answer = requests.post(
        front_end.api + "/videos", files={"file": ("my holiday.mp4", content, "video/mp4")}, timeout=60
    )

    # Then the answer describes them, and storage holds the same bytes
    video = answer.json()
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/api/v1/videos/{video['video_id']}"
    assert list(video) == ["video_id", "filename", "size_bytes", "sha256", "uploaded_at"]
    assert video["filename"] == "my holiday.mp4"
    assert video["size_bytes"] == len(content)
    assert video["sha256"] == hashlib.sha256(content).hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", video["uploaded_at"])
    with front_end.storage.open(keys.upload(video["video_id"], "mp4")) as stored:
        assert hashlib.sha256(stored.read()).hexdigest() == video["sha256"]
    assert front_end.unfinished() == []

    # And it can be looked up
    assert front_end.get(answer.headers["Location"]).json() == video


@pytest.mark.parametrize("ending", [b"", b"\r", b"\n", b"\r\n", b"\r\n--", b"\r\n--front-end-tests", b"\n\r\n-"])
def test_content_that_looks_like_framing_arrives_whole(front_end: FrontEnd, ending: bytes) -> None:
    # Given a file in which line ends and pieces of the boundary fall on every place of a block's end
    content = MP4_HEAD + (b"\r\n--front-end-tests-7f3 " * 40_000) + ending

    # When it is uploaded
    answer = upload(front_end, video_form(content))

    # Then not a byte is lost
    assert answer.status == 201, answer.body
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("block_number", [1, 2])
@pytest.mark.parametrize("shift_bytes", range(80))
def test_a_boundary_cut_by_the_end_of_a_block_is_found(
    front_end: FrontEnd, shift_bytes: int, block_number: int
) -> None:
    # Given a file whose end, and the boundary after it, lie around the end of a block
    framing = len(part("file", b"", filename="holiday.mp4"))
    content = mp4_bytes(block_number * BLOCK_BYTES - framing - shift_bytes)

    # When it is uploaded
    answer = upload(front_end, video_form(content))

    # Then it arrives whole
    assert answer.status == 201, answer.body
    assert answer.json()["size_bytes"] == len(content)
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_file_in_a_form_of_either_line_end_arrives_whole(front_end: FrontEnd, line_end: bytes) -> None:
    # Given a file that ends in both line ends
    content = mp4_bytes(1000) + b"\n\r\n\r"
    frame = video_form(b"<file>").replace(b"\r\n", line_end)

    # When it is uploaded in a form of a script that knows only one of them
    answer = upload(front_end, frame.replace(b"<file>", content))

    # Then it arrives whole
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_file_with_the_boundary_in_it_is_refused(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    content = mp4_bytes(1000) + CLOSING[:-4] + b"x"

    answer = upload(front_end, video_form(content))

    assert (answer.status, answer.json()["code"], answer.json()["field"]) == (422, "INVALID_FIELD", "body")
    assert "a boundary that occurs in none of its parts" in answer.json()["detail"]
    assert unchanged()


@pytest.mark.parametrize("chunk_bytes", [1000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1])
def test_a_chunked_form_needs_no_length(front_end: FrontEnd, chunk_bytes: int) -> None:
    # Given a file whose framing begins and ends in the middle of a chunk
    content = mp4_bytes(700_000)
    body = video_form(content)
    pieces = (body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes))

    # When it is sent in chunks
    answer = requests.post(front_end.api + "/videos", data=pieces, headers={"Content-Type": CONTENT_TYPE}, timeout=30)

    # Then it arrives whole
    assert answer.status_code == 201, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_boundary_may_come_in_chunks_of_one_byte(front_end: FrontEnd) -> None:
    content = mp4_bytes(100_000) + b"\r\n-"
    body = video_form(content)
    sizes = [1] * 200 + [len(body) - 400] + [1] * 200
    ends = list(accumulate(sizes))
    pieces = (body[end - size : end] for size, end in zip(sizes, ends, strict=True))

    answer = requests.post(front_end.api + "/videos", data=pieces, headers={"Content-Type": CONTENT_TYPE}, timeout=30)

    assert answer.status_code == 201, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\clip.mp4", "clip.mp4"),
        ("/abs/olute.mov", "olute.mov"),
        ("a/b\\c.mp4", "c.mp4"),
        ("tab\there\x7f.mp4", "tabhere.mp4"),
        ("naïve ☃.mp4", "naïve ☃.mp4"),
        ("clip\u202e4pm.exe", "clip4pm.exe"),
        ("\u2067a\u2069\u2066b\u2068c\u202a\u202b\u202c\u202d.mp4", "abc.mp4"),
        ("\u200ea\u200fb\u061cc\u206ad\u206f\ufff9e\ufffb.mp4", "abcde.mp4"),
        ("\u202e", "upload"),
        ("می\u200cخواهم \U0001f469\u200d\U0001f680.mp4", "می\u200cخواهم \U0001f469\u200d\U0001f680.mp4"),
        ("", "upload"),
        ("directory/", "upload"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_file_name_is_data(front_end: FrontEnd, sent: str, kept: str) -> None:
    answer = upload(front_end, video_form(mp4_bytes(100), filename=sent))

    assert answer.status == 201, answer.body
    assert answer.json()["filename"] == kept


@pytest.mark.parametrize("size_bytes", [CAP_BYTES - 1, CAP_BYTES])
def test_a_file_up_to_the_cap_is_accepted(small_front_end: FrontEnd, size_bytes: int) -> None:
    answer = upload(small_front_end, video_form(mp4_bytes(size_bytes)))

    assert answer.status == 201, answer.body
    assert answer.json()["size_bytes"] == size_bytes


@pytest.mark.parametrize("chunked", [False, True])
def test_one_byte_over_the_cap_is_refused(
    small_front_end: FrontEnd, unchanged: Callable[[], bool], chunked: bool
) -> None:
    # Given a file that is one byte too large, in a form that may be of any length
    body = video_form(mp4_bytes(CAP_BYTES + 1))

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
    answer = upload(front_end, body, path=path)

    # Then the answer names what is wrong, and nothing is left
    problem = answer.json()
    assert (answer.status, problem["code"], problem["field"]) == (status, code, field), problem
    assert f"`{field}`" in problem["detail"]
    assert "should be" in problem["detail"]
    assert unchanged()


@pytest.mark.parametrize("content", [b"ffconcat version 1.0\nfile x.mp4\n", b"x", b"RIFF0000WAVE" + bytes(500_000)])
def test_what_is_no_video_is_refused(front_end: FrontEnd, unchanged: Callable[[], bool], content: bytes) -> None:
    answer = upload(front_end, video_form(content, filename="holiday.mp4"))

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
    declared = upload(front_end, body)
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


def test_each_container_keeps_its_own_extension(front_end: FrontEnd) -> None:
    answer = upload(front_end, video_form(b"RIFF\x24\0\0\0AVI LIST" + bytes(100), filename="lies.mp4"))

    assert front_end.storage.exists(keys.upload(answer.json()["video_id"], "avi"))
