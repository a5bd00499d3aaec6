"""Which hosts a request may name, and from where a change may come."""

import http.client
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client, TestResponse

from clipzy_api.request_origin import is_foreign
from clipzy_api.server.request_log import RequestLog
from clipzy_storage.config.urls import parse_host
from tests.support.forms import CONTENT_TYPE, mp4_bytes, video_form
from tests.support.openapi import unconnected_app
from tests.support.servers import FrontEnd
from tests.support.wire import Answer, answer_on, connect, exchange, head

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
PROBLEM = "application/problem+json"
MIB = 1 << 20
NAMES = {"ALLOWED_HOSTS": "clips.example.com, Other.Example.com.", "PUBLIC_URL": "https://Public.example.com/clipzy"}
FOREIGN = {"Origin": "http://evil.test"}


def answer_to(
    directory: Path, host: str, path: str = "/openapi.json", *, method: str = "GET", sent: Any = None, **settings: str
) -> TestResponse:
    """The application's answer, which needs no other server; ``sent`` are further headers."""
    client = Client(RequestLog(unconnected_app(directory, **settings)))
    return client.open(path, method=method, headers={"Host": host, **(sent or {})})


def code_of(answer: TestResponse) -> tuple[int, str | None]:
    assert answer.status_code < 400 or answer.content_type == PROBLEM
    return answer.status_code, (answer.json or {}).get("code")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8000",
        "localhost.",
        "127.0.0.1:8000",
        "10.1.2.3",
        "[::1]:8000",
        "[2001:DB8::1]",
        "clips.example.com",
        "Clips.Example.com.:443",
        "other.example.com",
        "public.example.com",
    ],
)
def test_a_name_of_this_server_is_served(tmp_path: Path, host: str) -> None:
    assert answer_to(tmp_path, host, **NAMES).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test.:8000",
        "localhost.evil.test",
        "evil-localhost",
        "clips.example.com.evil.test",
        "sub.clips.example.com",
        "example.com",
        "127.0.0.1.evil.test",
        "2130706433",
        "127.1",
    ],
)
@pytest.mark.parametrize("path", ["/openapi.json", JOBS, "/docs/page.css", "/storage/results/x", "/nothing"])
def test_any_other_name_is_refused(tmp_path: Path, host: str, path: str) -> None:
    for method in ("GET", "OPTIONS", "POST", "DELETE"):
        answer = answer_to(tmp_path, host, path, method=method, **NAMES)
        assert code_of(answer) == (421, "WRONG_HOST")
    assert f"`{host.lower().partition(':')[0].removesuffix('.')}`" in answer.get_json()["detail"]


def test_every_name_is_served_where_the_operator_wants_it(tmp_path: Path) -> None:
    assert answer_to(tmp_path, "evil.test", ALLOWED_HOSTS="*").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_may_use_any_name(tmp_path: Path, path: str) -> None:
    assert answer_to(tmp_path, "web-7f9c.pods.internal:8000", path).status_code != 421


@pytest.mark.parametrize(
    ("sent", "forwarded", "proxies", "status"),
    [
        ("web:8000", "clips.example.com", 1, 200),
        ("web:8000", "evil.test", 1, 421),
        ("localhost", "evil.test", 1, 421),
        ("evil.test", None, 1, 421),
        ("clips.example.com", None, 1, 200),
        ("localhost", "clips.example.com, evil.test", 1, 421),  # a client can write anything further left
        ("localhost", "evil.test, clips.example.com", 1, 200),
        ("localhost", "evil.test, clips.example.com, web", 2, 200),
        ("localhost", "clips.example.com, evil.test, web", 2, 421),
        ("evil.test", "localhost", 0, 421),
        ("localhost", "evil.test", 0, 200),
    ],
)
def test_the_host_that_trusted_proxies_forward_counts(
    tmp_path: Path, sent: str, forwarded: str | None, proxies: int, status: int
) -> None:
    headers = {"X-Forwarded-Host": forwarded} if forwarded else {}
    assert answer_to(tmp_path, sent, sent=headers, TRUSTED_PROXIES=str(proxies), **NAMES).status_code == status


HOSTS = {
    "none": "",
    "an empty one": "Host:\r\n",
    "two": "Host: localhost\r\nHost: evil.test\r\n",
    "the same twice": "Host: localhost\r\nHost: localhost\r\n",
    "a space": "Host: localhost evil.test\r\n",
    "a user": "Host: evil@localhost\r\n",
    "a path": "Host: localhost/x\r\n",
    "no port": "Host: localhost:x\r\n",
    "an address without brackets": "Host: ::1\r\n",
    "an empty label": "Host: a..b\r\n",
    "letters of no host": "Host: caf\xe9\r\n",
}


def raw(front_end: FrontEnd, request: str) -> Answer:
    return exchange(front_end.port, request.encode("latin1"))


@pytest.mark.parametrize("path", [JOBS, "/nothing", "/healthz"])
@pytest.mark.parametrize("case", HOSTS)
def test_a_request_needs_one_well_formed_host(front_end: FrontEnd, path: str, case: str) -> None:
    answer = raw(front_end, f"GET {path} HTTP/1.1\r\n{HOSTS[case]}\r\n")
    assert (answer.status, answer.headers["content-type"], answer.json()["code"]) == (400, PROBLEM, "BAD_REQUEST")


def test_two_hosts_are_refused_whatever_a_proxy_forwards(tmp_path: Path) -> None:
    headers = {"X-Forwarded-Host": "localhost"}
    assert answer_to(tmp_path, "a,b", sent=headers, TRUSTED_PROXIES="1").status_code == 400
    assert answer_to(tmp_path, "localhost", sent={"X-Forwarded-Host": "a b"}, TRUSTED_PROXIES="1").status_code == 400


def test_http_1_0_has_no_host_and_may_still_ask_for_health(front_end: FrontEnd) -> None:
    assert raw(front_end, "GET /healthz HTTP/1.0\r\n\r\n").status == 200
    assert raw(front_end, f"GET {JOBS} HTTP/1.0\r\n\r\n").status == 400


@pytest.mark.parametrize(
    ("origin", "fetch_site", "host", "foreign"),
    [
        # Not a browser
        (None, None, "clips.test", False),
        # The browser knows whose page it is
        ("http://clips.test", "same-origin", "clips.test", False),
        ("https://clips.test", "same-origin", "web:8000", False),
        (None, "same-origin", "clips.test", False),
        (None, "none", "clips.test", False),
        ("http://evil.test", "cross-site", "clips.test", True),
        ("http://clips.test:3000", "same-site", "clips.test", True),
        (None, "cross-site", "clips.test", True),
        ("http://clips.test", "cross-site", "clips.test", True),  # sent on by another site
        ("http://clips.test", "", "clips.test", True),
        ("http://clips.test", "same-origin,cross-site", "clips.test", True),
        # Otherwise its origin tells
        ("http://clips.test", None, "clips.test", False),
        ("http://Clips.Test", None, "CLIPS.test.", False),
        ("http://clips.test:8000", None, "clips.test:8000", False),
        ("http://clips.test", None, "clips.test:80", False),
        ("https://clips.test", None, "clips.test:443", False),
        ("https://clips.test", None, "clips.test", False),  # behind a proxy that terminates TLS
        ("http://[::1]:8000", None, "[::1]:8000", False),
        ("http://evil.test", None, "clips.test", True),
        ("http://clips.test:8001", None, "clips.test:8000", True),
        ("http://clips.test", None, "clips.test:8000", True),
        ("http://clips.test:8000", None, "clips.test", True),
        ("http://localhost:8000", None, "127.0.0.1:8000", True),
        ("null", None, "clips.test", True),
        ("", None, "clips.test", True),
        ("clips.test", None, "clips.test", True),
        ("moz-extension://clips.test", None, "clips.test", True),
        ("http://clips.test, http://evil.test", None, "clips.test", True),
        # CORS_ORIGINS
        ("https://friend.test", None, "clips.test", False),
        ("https://friend.test", "cross-site", "clips.test", False),
        ("http://friend.test", None, "clips.test", True),
        ("https://friend.test:8443", "cross-site", "clips.test", True),
    ],
)
def test_whose_page_sent_a_change(origin: str | None, fetch_site: str | None, host: str, foreign: bool) -> None:
    parsed = parse_host(host)
    assert parsed is not None
    friends = ("https://friend.test",)
    assert is_foreign(origin=origin, fetch_site=fetch_site, host=parsed, friends=friends) is foreign


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "MOVE"])
@pytest.mark.parametrize("path", [JOBS, "/nothing", "/healthz"])
def test_a_change_of_a_foreign_page_is_refused_at_every_address(tmp_path: Path, method: str, path: str) -> None:
    assert code_of(answer_to(tmp_path, "localhost", path, method=method, sent=FOREIGN)) == (403, "CROSS_SITE")
    assert code_of(answer_to(tmp_path, "localhost", path, method=method))[0] != 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_foreign_page_may_ask(tmp_path: Path, method: str) -> None:
    """What is answered, it cannot read: no header allows that."""
    answer = answer_to(tmp_path, "localhost", method=method, sent=FOREIGN)
    assert answer.status_code == 200
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("more", "code"),
    [("Origin: http://evil.test\r\n", (403, "CROSS_SITE")), ("Sec-Fetch-Site: same-site\r\n", (403, "CROSS_SITE"))],
)
def test_a_refusal_does_not_wait_for_the_body(front_end: FrontEnd, more: str, code: tuple[int, str]) -> None:
    before = front_end.stored()
    # Given a client that has sent only the head of a large upload, when it is answered, then with the refusal
    with connect(front_end.port) as connection:
        connection.sendall(head(VIDEOS, length=20 * MIB, more=more))
        answer = answer_on(connection)
    assert (answer.status, answer.json()["code"]) == code
    assert answer.headers["connection"] == "close"
    # And one that waits for permission gets the refusal instead
    asked = exchange(front_end.port, head(VIDEOS, length=20 * MIB, more=f"{more}Expect: 100-continue\r\n"))
    assert asked.status == code[0]
    assert (front_end.stored(), front_end.unfinished()) == (before, [])


@pytest.mark.parametrize(("header", "value", "status"), [("Origin", "null", 403), ("Host", "evil.test", 421)])
def test_a_client_that_sends_everything_first_reads_the_refusal(
    front_end: FrontEnd, header: str, value: str, status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front_end.port, timeout=60)
    try:
        connection.request("POST", VIDEOS, bytes(5 * MIB), {"Content-Type": CONTENT_TYPE, header: value})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (status, PROBLEM)
    finally:
        connection.close()


def test_other_clients_send_as_before(front_end: FrontEnd) -> None:
    body = video_form(mp4_bytes(1000))
    headers = {"Content-Type": CONTENT_TYPE, "Host": f"localhost:{front_end.port}"}
    assert requests.post(front_end.api + "/videos", data=body, headers=headers, timeout=30).status_code == 201
