"""Requests to servers on loopback: 127.0.0.2 is allowed and plays a public address, 127.0.0.1 plays a private one."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipzy_storage.errors import ServerUnreachable, UrlRefused
from clipzy_storage.outbound.addresses import AddressPolicy, Resolve, system_resolve
from clipzy_storage.outbound.request import MAX_REDIRECTS, OutboundRequest
from clipzy_storage.outbound.target_url import TargetUrl
from tests.support.certificates import make_certificate
from tests.support.dns_server import NAME, running_names
from tests.support.video_server import File, VideoServer, raw, redirect, running_video_server

PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def public() -> Iterator[VideoServer]:
    with running_video_server(PUBLIC) as server:
        server.pages["/v.mp4"] = File(CONTENT)
        yield server


@pytest.fixture
def private() -> Iterator[VideoServer]:
    with running_video_server(PRIVATE) as server:
        server.pages["/v.mp4"] = File(b"of the house")
        yield server


def request(url: str, *, resolve: Resolve = system_resolve, seconds: float = 10) -> OutboundRequest:
    policy = AddressPolicy((ipaddress.ip_network(f"{PUBLIC}/32"),), resolve)
    return OutboundRequest(TargetUrl.parse(url), policy, headers={}, read_timeout_seconds=seconds)


def fetched(made: OutboundRequest) -> bytes:
    made.open()
    blocks = []
    while block := made.read1(1 << 16):
        blocks.append(block)
    made.close()
    return b"".join(blocks)


def test_a_file_is_fetched_by_its_name(public: VideoServer) -> None:
    with running_names(PUBLIC) as names:
        assert fetched(request(public.url("/v.mp4?a=b", host=NAME), resolve=names.resolve)) == CONTENT
    ((path, headers),) = public.requests
    assert path == "/v.mp4?a=b"
    assert headers["Host"] == f"{NAME}:{public.port}"


def test_a_name_is_resolved_once_for_each_hop(public: VideoServer, private: VideoServer) -> None:
    """Whatever it resolves to after it was vetted is not connected to."""
    with running_names(PUBLIC) as names:

        def rebinding(host: str, port: int) -> list[str]:
            found = names.resolve(host, port)
            names.address = PRIVATE
            return found

        made = request(public.url("/v.mp4", host=NAME), resolve=rebinding)
        assert fetched(made) == CONTENT
        assert names.queries == 1
        # And a second request sees that the name leads elsewhere now
        with pytest.raises(UrlRefused):
            request(public.url("/v.mp4", host=NAME), resolve=rebinding).open()
    assert private.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(public: VideoServer, status: int) -> None:
    public.pages["/moved"] = redirect("/v.mp4", status=status)
    assert fetched(request(public.url("/moved"))) == CONTENT


@pytest.mark.parametrize(
    "host", [PRIVATE, "localhost", "2130706433", "0177.0.0.1", "[::1]", f"[::ffff:{PRIVATE}]", "169.254.169.254", "0"]
)
def test_no_redirect_leads_to_a_private_address(public: VideoServer, private: VideoServer, host: str) -> None:
    public.pages["/moved"] = redirect(private.url("/v.mp4", host=host))
    with pytest.raises(UrlRefused):
        request(public.url("/moved")).open()
    assert private.requests == []


def test_redirects_end(public: VideoServer) -> None:
    public.pages["/round"] = redirect("/round")
    with pytest.raises(UrlRefused, match="redirects more than"):
        request(public.url("/round")).open()
    assert len(public.requests) == MAX_REDIRECTS + 1


def test_the_proxies_of_the_environment_are_not_used(public: VideoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetched(request(public.url("/v.mp4"))) == CONTENT


def test_a_certificate_is_checked_against_the_name(
    public: VideoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a server with a certificate for localhost and 127.0.0.1, which is reached under both names
    certificate = make_certificate(tmp_path)
    policy = AddressPolicy((ipaddress.ip_network("127.0.0.0/8"),), lambda _host, _port: ["127.0.0.1"])

    def at(host: str) -> OutboundRequest:
        url = TargetUrl.parse(f"https://{host}:{port}/v.mp4")
        return OutboundRequest(url, policy, headers={}, read_timeout_seconds=10)

    with certificate.in_front_of(PUBLIC, public.port) as port:
        # Then nobody trusts it
        with pytest.raises(UrlRefused, match="certificate"):
            at("localhost").open()
        # Unless the operator does, and only under its names
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
        assert fetched(at("localhost")) == CONTENT
        assert fetched(at("127.0.0.1")) == CONTENT
        with pytest.raises(UrlRefused, match="certificate"):
            at("other.test").open()


def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind((PUBLIC, 0))
        with pytest.raises(ServerUnreachable):
            request(f"http://{PUBLIC}:{unused.getsockname()[1]}/").open()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000])
def test_what_is_no_http(public: VideoServer, answer: bytes) -> None:
    public.pages["/odd"] = raw(answer)
    with pytest.raises(ServerUnreachable) as failure:
        request(public.url("/odd?token=secret")).open()
    assert failure.value.__cause__ is None
    assert "secret" not in str(failure.value)


def test_a_request_that_waits_can_be_given_up(public: VideoServer) -> None:
    # Given a server that begins an answer and goes on never
    over = threading.Event()
    public.pages["/silent"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nvideo", then=lambda: over.wait(60))
    made = request(public.url("/silent"), seconds=60)
    made.open()
    assert made.read1(100) == b"video"
    # When another thread gives it up, then whoever waits comes back at once
    threading.Timer(0.1, made.abort).start()
    assert made.read1(100) == b""
    made.close()
    over.set()


def test_a_silent_server_is_not_waited_for_longer(public: VideoServer) -> None:
    over = threading.Event()
    public.pages["/silent"] = raw(then=lambda: over.wait(60))
    with pytest.raises(ServerUnreachable, match="in time"):
        request(public.url("/silent"), seconds=0.2).open()
    over.set()


def test_a_lookup_that_takes_long_is_not_waited_for() -> None:
    # Given a name server that never answers
    over, asked = threading.Event(), threading.Event()

    def never(_host: str, _port: int) -> list[str]:
        asked.set()
        over.wait(60)
        return [PUBLIC]

    # Then an attempt ends in its time
    policy, url = AddressPolicy(resolve=never), TargetUrl.parse(f"http://{NAME}/")
    timed = OutboundRequest(url, policy, headers={}, read_timeout_seconds=60, total_timeout_seconds=0.2, body=b"")
    with pytest.raises(ServerUnreachable, match="in time"):
        timed.open()
    # And one without such a time when it is given up
    made = OutboundRequest(url, policy, headers={}, read_timeout_seconds=60)
    asked.clear()

    def give_up() -> None:
        asked.wait(60)
        made.abort()

    threading.Thread(target=give_up, daemon=True).start()
    with pytest.raises(ServerUnreachable):
        made.open()
    over.set()


def test_a_request_that_was_given_up_tries_no_further_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a name with thousands of them holds a thread for hours."""
    monkeypatch.setattr("clipzy_storage.outbound.request.CONNECT_TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("0.0.0.0", 0), backlog=0) as full:  # all addresses of loopback
        port, waiting = full.getsockname()[1], []
        for _ in range(2):  # all that it takes; what comes on top is not answered
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex((PUBLIC, port))
        policy = AddressPolicy(
            (ipaddress.ip_network("127.0.0.0/8"),), lambda *_: [f"127.0.1.{n}" for n in range(1, 41)]
        )
        made = OutboundRequest(TargetUrl.parse(f"http://{NAME}:{port}/"), policy, headers={}, read_timeout_seconds=10)

        def open_it() -> None:
            with pytest.raises(ServerUnreachable):
                made.open()

        opening = threading.Thread(target=open_it)
        opening.start()
        made.abort()
        opening.join(5)
        assert not opening.is_alive()
        for one in waiting:
            one.close()
