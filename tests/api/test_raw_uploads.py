"""Uploads whose body is the file itself."""

import base64
import hashlib
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.api.conftest import SMALL_CAP_BYTES
from tests.support.forms import mp4_bytes
from tests.support.servers import FrontEnd
from tests.support.wire import VIDEOS, Answer, exchange, head

RAW = "application/octet-stream"
CONTENT = mp4_bytes(300_000)


def digest_of(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def send(
    front_end: FrontEnd, content: bytes | Iterator[bytes] = CONTENT, path: str = VIDEOS, **headers: str
) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(front_end.url + path, data=content, headers={"Content-Type": RAW} | named, timeout=30)


def chunked(*chunks: bytes, more: str = "", end: bytes = b"0\r\n\r\n") -> tuple[bytes, ...]:
    """The pieces of a request with a chunked body."""
    first = head(VIDEOS, content_type=RAW, more=f"Transfer-Encoding: chunked\r\n{more}")
    return (first, *(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks), end)


@pytest.mark.parametrize("media_type", [RAW, "video/mp4", "video/x-unheard-of; codecs=none"])
def test_the_body_becomes_the_video(front_end: FrontEnd, media_type: str) -> None:
    answer = send(front_end, path=f"{VIDEOS}?filename=dir%2Fholiday.mp4", Content_Type=media_type)

    assert answer.status_code == 201, answer.text
    video = answer.json()
    assert answer.headers["Location"] == f"{VIDEOS}/{video['video_id']}"
    assert (video["filename"], video["size_bytes"]) == ("holiday.mp4", len(CONTENT))
    assert video["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (front_end.root / f"uploads/{video['video_id']}/source.mp4").read_bytes() == CONTENT
    assert front_end.get(f"{VIDEOS}/{video['video_id']}").json() == video


@pytest.mark.parametrize(
    ("disposition", "query", "filename"),
    [
        ('attachment; filename="a b.mp4"', "", "a b.mp4"),
        ("attachment; filename*=UTF-8''%E2%82%AC.mp4", "", "€.mp4"),
        ('attachment; filename="a.mp4"', "?filename=b.mp4", "b.mp4"),
        ("", "", "upload"),
    ],
)
def test_its_name_is_that_of_the_query_or_of_the_header(
    front_end: FrontEnd, disposition: str, query: str, filename: str
) -> None:
    headers = {"Content-Disposition": disposition} if disposition else {}
    answer = send(front_end, CONTENT, VIDEOS + query, **headers)
    assert answer.json()["filename"] == filename


def test_a_digest_is_compared(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    # When it is that of another file, then nothing is kept
    refused = send(front_end, Content_Digest=digest_of(b"another"))
    assert (refused.status_code, refused.json()["code"]) == (422, "DIGEST_MISMATCH")
    assert hashlib.sha256(CONTENT).hexdigest() in refused.json()["detail"]
    assert unchanged()
    # When it is its own, beside another kind of digest, then the file is
    kept = send(front_end, Content_Digest=f"sha-512=:AAAA:, {digest_of(CONTENT)};q=1")
    assert kept.status_code == 201


@pytest.mark.parametrize("sent", ["sha-512=:AAAA:", "sha-256=:AAAA:", "sha-256=abc", "sha-256=:!:", ""])
def test_a_digest_that_cannot_be_compared_is_refused(
    front_end: FrontEnd, unchanged: Callable[[], bool], sent: str
) -> None:
    refused = send(front_end, Content_Digest=sent)
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_FIELD")
    assert refused.json()["field"] == "Content-Digest"
    assert unchanged()


def test_a_body_whose_end_cannot_be_known_is_refused(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    answer = exchange(front_end.port, *chunked(CONTENT))
    assert (answer.status, answer.json()["code"]) == (411, "LENGTH_REQUIRED")
    assert "Content-Digest" in answer.json()["detail"]
    assert unchanged()


def test_a_chunked_body_with_a_digest_is_whole_or_refused(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    more = f"Content-Digest: {digest_of(CONTENT)}\r\n"
    # When it is cut between two chunks
    cut = cut_short(front_end.port, *chunked(CONTENT[:200_000], more=more, end=b""))
    assert cut is None or (cut.status, cut.json()["code"]) == (422, "DIGEST_MISMATCH")
    # Then nothing is kept
    assert unchanged()
    # And all of it is a video
    whole = exchange(front_end.port, *chunked(CONTENT[:200_000], CONTENT[200_000:], more=more))
    assert whole.status == 201
    assert whole.json()["size_bytes"] == len(CONTENT)


def cut_short(port: int, *pieces: bytes) -> Answer | None:
    """The answer to a client that stops sending in the middle, if the server still gives one."""
    try:
        return exchange(port, *pieces, end_sending=True)
    except (ConnectionError, ValueError, OSError):
        return None


def test_a_body_that_ends_early_is_refused(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    answer = cut_short(front_end.port, head(VIDEOS, length=len(CONTENT), content_type=RAW), CONTENT[:-1])
    assert answer is None or (answer.status, answer.json()["code"]) == (400, "TRUNCATED_UPLOAD")
    assert unchanged()


def test_one_byte_over_the_cap_is_refused(small_front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    content = mp4_bytes(SMALL_CAP_BYTES + 1)
    declared = send(small_front_end, content)
    counted = send(small_front_end, iter([content]), Content_Digest=digest_of(content))
    for answer in (declared, counted):
        assert (answer.status_code, answer.json()["code"]) == (413, "FILE_TOO_LARGE")
    assert "bytes are declared" in declared.json()["detail"]
    assert unchanged()
    assert send(small_front_end, content[:-1]).status_code == 201


@pytest.mark.parametrize(
    ("content", "path", "code", "field"),
    [
        (b"", VIDEOS, "MISSING_FIELD", "body"),
        (b"no video" * 10_000, VIDEOS, "UNSUPPORTED_FORMAT", None),
        (CONTENT, f"{VIDEOS}?name=a.mp4", "INVALID_FIELD", "name"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(
    front_end: FrontEnd, unchanged: Callable[[], bool], content: bytes, path: str, code: str, field: str | None
) -> None:
    answer = send(front_end, content, path)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json().get("field") == field
    assert unchanged()


def test_a_repetition_under_a_key_is_the_first_video(front_end: FrontEnd) -> None:
    first = send(front_end, Idempotency_Key="raw")
    again = send(front_end, Idempotency_Key="raw")
    other = send(front_end, CONTENT + b"x", Idempotency_Key="raw")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.json()["code"] == "IDEMPOTENCY_MISMATCH"
