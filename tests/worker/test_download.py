"""Downloads from servers that break off, change their file, stall and lie."""

import ipaddress
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from clipzy_storage.outbound.addresses import AddressPolicy
from clipzy_storage.outbound.target_url import TargetUrl
from clipzy_worker.errors import ImportFailed
from clipzy_worker.processing import download
from clipzy_worker.processing.download import MAX_FAILURES, MAX_RESTARTS, STALL_BYTES, Download, Patience, StartedOver
from tests.support.video_server import File, VideoServer, raw, redirect, refusal, running_video_server
from tests.support.waiting import eventually

LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)
CONTENT = bytes(range(256)) * 8000  # 2 MB
SHORT = Patience(stall_seconds=0.5, pause_seconds=0.01)


@pytest.fixture
def server() -> Iterator[VideoServer]:
    with running_video_server() as server:
        yield server


def new_download(
    server: VideoServer, path: str = "/v.mp4", *, max_bytes: int = 10 << 20, patience: Patience = SHORT
) -> Download:
    policy = AddressPolicy(LOOPBACK)
    return Download(TargetUrl.parse(server.url(path)), policy, max_bytes=max_bytes, patience=patience)


def received(found: Download, *, on_wait: Callable[[], object] = lambda: None) -> tuple[bytes, int]:
    """What was received at last, and how often it was begun again."""
    restarts = 0
    while True:
        content = b""
        try:
            for block in found.blocks(on_wait=on_wait):
                content += block
        except StartedOver:
            restarts += 1
            continue
        return content, restarts


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_whole_file(server: VideoServer, is_chunked: bool) -> None:
    server.pages["/v.mp4"] = File(CONTENT, is_chunked=is_chunked)
    found = new_download(server)
    assert received(found) == (CONTENT, 0)
    assert (found.size_bytes, found.received_bytes) == (None if is_chunked else len(CONTENT), len(CONTENT))
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_broken_connection_is_continued_where_it_broke(server: VideoServer, is_chunked: bool) -> None:
    # Given a server that breaks off three times, and redirects to the file
    server.pages["/v.mp4"] = redirect("/file")
    server.pages["/file"] = File(CONTENT, cuts=[400_000, 500_000, 1], is_chunked=is_chunked)
    # Then every byte is received once
    assert received(new_download(server)) == (CONTENT, 0)
    asked = [headers.get("Range") for path, headers in server.requests if path == "/file"]
    assert asked == [None, "bytes=400000-", "bytes=900000-", "bytes=900001-"]
    # And the redirect is followed anew each time: where it leads may have expired
    assert len(server.requests) == 8


def test_a_file_that_is_cut_with_and_without_chunks(server: VideoServer) -> None:
    """The end of the connection is no end of the file, whatever was told of its size at first."""
    in_chunks, whole = File(CONTENT, cuts=[400_000], is_chunked=True), File(CONTENT, cuts=[500_000])

    def page(request: BaseHTTPRequestHandler) -> None:
        (in_chunks if len(server.requests) == 1 else whole)(request)

    server.pages["/v.mp4"] = page
    assert received(new_download(server)) == (CONTENT, 0)
    assert server.ranges() == [None, "bytes=400000-", "bytes=900000-"]


@pytest.mark.parametrize(
    "etag",
    [pytest.param(None, id="without an ETag"), pytest.param('W/"1"', id="with a weak one, which promises nothing")],
)
def test_a_file_that_cannot_be_continued_is_begun_again(server: VideoServer, etag: str | None) -> None:
    server.pages["/v.mp4"] = File(CONTENT, etag=etag, cuts=[400_000])
    assert received(new_download(server)) == (CONTENT, 1)
    assert server.ranges() == [None, None]


def test_a_file_that_has_changed_is_begun_again(server: VideoServer) -> None:
    # Given a file that another one replaces while it is fetched
    first, second = File(CONTENT, cuts=[400_000]), File(CONTENT[::-1], etag='"2"')

    def page(request: BaseHTTPRequestHandler) -> None:
        (first if len(server.requests) == 1 else second)(request)

    server.pages["/v.mp4"] = page
    # Then no byte of the first is in the second
    assert received(new_download(server)) == (CONTENT[::-1], 1)
    assert server.ranges() == [None, "bytes=400000-", None]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param('Content-Range: bytes 0-{last}/{size}\r\nETag: "1"', id="another range"),
        pytest.param('Content-Range: bytes 400000-{last}/{more}\r\nETag: "1"', id="another size"),
        pytest.param('Content-Range: bytes 400000-{last}/{size}\r\nETag: "2"', id="another file"),
        pytest.param("X: y", id="no range"),
        pytest.param("Content-Range: bytes 400000-{last}/*\r\nConnection: close", id="no end"),
    ],
)
def test_a_range_that_was_not_asked_for_is_not_taken(server: VideoServer, answer: str) -> None:
    # Given a server that answers a range with something else, once
    size = len(CONTENT)
    length = "" if "close" in answer else "Content-Length: 5\r\n"
    head = f"HTTP/1.1 206 Partial Content\r\n{length}" + answer.format(last=size - 1, size=size, more=size + 1)
    lie = raw(f"{head}\r\n\r\nwrong".encode())
    file = File(CONTENT, cuts=[400_000])

    def page(request: BaseHTTPRequestHandler) -> None:
        (lie if len(server.requests) == 2 else file)(request)

    server.pages["/v.mp4"] = page
    assert received(new_download(server)) == (CONTENT, 1)


def test_a_server_that_never_sends_a_whole_file(server: VideoServer) -> None:
    server.pages["/v.mp4"] = File(CONTENT, etag=None, cuts=[400_000] * 100)
    with pytest.raises(ImportFailed, match="could not be continued"):
        received(new_download(server))
    assert len(server.requests) == MAX_RESTARTS + 1


def test_a_server_that_sends_almost_nothing_each_time(server: VideoServer) -> None:
    server.pages["/v.mp4"] = File(CONTENT, cuts=[1] * 100)
    with pytest.raises(ImportFailed, match=f"in {MAX_FAILURES} attempts"):
        received(new_download(server))
    assert len(server.requests) == MAX_FAILURES


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429])
def test_a_server_that_is_out_of_order_for_a_moment(server: VideoServer, status: int) -> None:
    file = File(CONTENT)

    def page(request: BaseHTTPRequestHandler) -> None:
        (refusal(status) if len(server.requests) < MAX_FAILURES else file)(request)

    server.pages["/v.mp4"] = page
    assert received(new_download(server)) == (CONTENT, 0)


@pytest.mark.parametrize(
    ("status", "words"),
    [(503, "503 Service Unavailable"), (404, "404 Not Found"), (403, "403 Forbidden"), (799, "799")],
)
def test_a_refusal_is_told_in_our_words(server: VideoServer, status: int, words: str) -> None:
    server.pages["/v.mp4"] = refusal(status)
    with pytest.raises(ImportFailed) as failure:
        received(new_download(server, "/v.mp4?token=secret"))
    assert str(failure.value).endswith(f"the server answered {words}.")
    assert len(server.requests) == (MAX_FAILURES if status >= 500 else 1)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 416])
def test_an_answer_that_is_no_file(server: VideoServer, status: int) -> None:
    server.pages["/v.mp4"] = refusal(status)
    with pytest.raises(ImportFailed, match=f"answered {status}"):
        received(new_download(server))


@pytest.mark.parametrize(
    ("head", "match"),
    [
        ("", "where it ends"),
        ("Content-Length: 5\r\nContent-Encoding: gzip\r\n", "compressed"),
    ],
)
def test_a_file_of_which_not_enough_is_known(server: VideoServer, head: str, match: str) -> None:
    server.pages["/v.mp4"] = raw(f"HTTP/1.1 200 OK\r\n{head}\r\nvideo".encode())
    with pytest.raises(ImportFailed, match=match):
        received(new_download(server))


def test_a_file_that_is_declared_too_large_is_not_read(server: VideoServer) -> None:
    server.pages["/v.mp4"] = File(CONTENT)
    found = new_download(server, max_bytes=len(CONTENT) - 1)
    with pytest.raises(ImportFailed, match="MAX_FILE_SIZE_MB"):
        received(found)
    assert found.received_bytes == 0


def test_an_endless_file_is_cut_at_the_cap(server: VideoServer) -> None:
    # Given a server that does not say how much it sends, and never stops
    def page(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            request.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    server.pages["/v.mp4"] = page
    found = new_download(server, max_bytes=1 << 20)
    with pytest.raises(ImportFailed, match="larger than the 1 MiB allowed"):
        received(found)
    assert found.received_bytes <= (1 << 20) + download.BLOCK_BYTES


def test_a_server_that_declares_too_much(server: VideoServer) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "1"\r\n\r\nvideo'
    rest = b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n"

    def page(request: BaseHTTPRequestHandler) -> None:
        raw(rest if "Range" in request.headers else answer)(request)

    server.pages["/v.mp4"] = page
    with pytest.raises(ImportFailed):
        received(new_download(server))


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"", id="no answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", id="half a head"),
        pytest.param(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 1000000\r\n\r\n', id="no body"),
    ],
)
def test_silent_and_trickling_servers_are_given_up(server: VideoServer, begin: bytes) -> None:
    """A byte now and then is as good as none: a worker's slot is held for it."""
    over = threading.Event()

    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(begin)
        while begin and not over.wait(0.05):
            request.wfile.write(b"x")
            request.wfile.flush()
        over.wait(60)

    server.pages["/v.mp4"] = trickle
    with pytest.raises(ImportFailed, match=r"too slowly|in time|too often"):
        received(new_download(server))
    assert len(server.requests) <= MAX_FAILURES + MAX_RESTARTS
    over.set()


def test_a_slow_server_is_waited_for(server: VideoServer) -> None:
    """As long as it sends enough in time."""

    def page(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT))
        for begin in range(0, len(CONTENT), STALL_BYTES):
            threading.Event().wait(0.1)
            request.wfile.write(CONTENT[begin : begin + STALL_BYTES])
            request.wfile.flush()

    server.pages["/v.mp4"] = page
    assert received(new_download(server, patience=Patience(stall_seconds=1, pause_seconds=0.01))) == (CONTENT, 0)


class Stop(Exception):
    """What whoever waits may raise."""


@pytest.mark.parametrize("waits_for", ["the answer", "the body", "the next attempt"])
def test_whoever_waits_can_stop_at_any_time(server: VideoServer, waits_for: str) -> None:
    # Given a server that keeps its client waiting for a minute
    over, asked = threading.Event(), threading.Event()
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nvideo" if waits_for == "the body" else b""
    server.pages["/v.mp4"] = refusal(503) if waits_for == "the next attempt" else raw(body, then=lambda: over.wait(60))

    def stop() -> None:
        if server.requests and asked.wait(0.5):
            raise Stop

    threading.Timer(0.3, asked.set).start()
    # When the job is cancelled, say, then it ends
    with pytest.raises(Stop):
        received(new_download(server, patience=Patience(60, 60)), on_wait=stop)
    # And so does the thread that was waiting for the server
    eventually(lambda: "download" not in [thread.name for thread in threading.enumerate()], "its end", seconds=20)
    over.set()
