"""Uploads through a real front end: what is accepted arrives whole, whatever it looks like."""

import hashlib
import re
from itertools import accumulate

import pytest
import requests

from clipzy_api.inputs.request_body import BLOCK_BYTES
from clipzy_storage import keys
from tests.api.conftest import SMALL_CAP_BYTES
from tests.support.forms import CONTENT_TYPE, MP4_HEAD, mp4_bytes, part, video_form
from tests.support.servers import FrontEnd
from tests.support.wire import upload


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
    answer = upload(front_end.port, video_form(content))

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
    answer = upload(front_end.port, video_form(content))

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
    answer = upload(front_end.port, frame.replace(b"<file>", content))

    # Then it arrives whole
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()


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
    answer = upload(front_end.port, video_form(mp4_bytes(100), filename=sent))

    assert answer.status == 201, answer.body
    assert answer.json()["filename"] == kept


@pytest.mark.parametrize("size_bytes", [SMALL_CAP_BYTES - 1, SMALL_CAP_BYTES])
def test_a_file_up_to_the_cap_is_accepted(small_front_end: FrontEnd, size_bytes: int) -> None:
    answer = upload(small_front_end.port, video_form(mp4_bytes(size_bytes)))

    assert answer.status == 201, answer.body
    assert answer.json()["size_bytes"] == size_bytes


def test_each_container_keeps_its_own_extension(front_end: FrontEnd) -> None:
    answer = upload(front_end.port, video_form(b"RIFF\x24\0\0\0AVI LIST" + bytes(100), filename="lies.mp4"))

    assert front_end.storage.exists(keys.upload(answer.json()["video_id"], "avi"))
