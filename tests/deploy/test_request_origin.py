"""Hosts and origins through nginx, as compose starts it and the front end behind it."""

import http.client
from collections.abc import Iterator

import pytest
import requests

from tests.support.nginx import Nginx, running_nginx
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.wire import exchange

JOBS = "/api/v1/jobs"
NAME = "clips.example.com"
MIB = 1 << 20


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory, own_redis: RedisServer) -> Iterator[FrontEnd]:
    directory = tmp_path_factory.mktemp("web")
    with running_front_end(directory, own_redis.url, TRUSTED_PROXIES="1", ALLOWED_HOSTS=NAME) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, front_end: FrontEnd) -> Iterator[Nginx]:
    directory = tmp_path_factory.mktemp("nginx")
    with running_nginx(directory, upstream_port=front_end.port, max_file_size_mb=1000) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        (NAME, JOBS, 200),
        (f"{NAME}:8443", JOBS, 200),
        ("10.0.0.7:8080", JOBS, 200),
        ("evil.test", JOBS, 421),
        ("evil.test", "/docs", 421),
        ("web-7f9c.pods.internal", "/healthz", 200),
        ("web-7f9c.pods.internal", "/readyz", 200),
    ],
)
def test_the_host_that_the_client_names_counts(nginx: Nginx, host: str, path: str, status: int) -> None:
    answer = requests.get(nginx.url + path, headers={"Host": host}, timeout=30)
    assert answer.status_code == status
    if status == 421:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "WRONG_HOST"


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X_Forwarded_Host", "X-Forwarded_Host", "Forwarded", "Host_"])
@pytest.mark.parametrize("order", [1, -1])
def test_no_other_header_makes_a_foreign_host_an_own_one(nginx: Nginx, name: str, order: int) -> None:
    lines = ["Host: evil.test", f"{name}: localhost", "Connection: close"][::order]
    request = "\r\n".join([f"GET {JOBS} HTTP/1.1", *lines, "\r\n"])
    assert exchange(nginx.port, request.encode()).status == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": f"http://{NAME}"}, 404),
        ({"Origin": f"https://{NAME}"}, 404),  # another proxy terminates TLS
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": f"http://{NAME}:3000"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": f"http://{NAME}"}, 404),
        ({"Sec-Fetch-Site": "same-site", "Origin": f"http://app.{NAME}"}, 403),
    ],
)
def test_the_origin_of_a_page_is_compared_with_the_host_of_the_client(
    nginx: Nginx, headers: dict[str, str], status: int
) -> None:
    answer = requests.post(f"{nginx.url}{JOBS}/none/cancel", headers={"Host": NAME, **headers}, timeout=30)
    assert answer.status_code == status
    assert answer.json()["code"] == {403: "CROSS_SITE", 404: "JOB_NOT_FOUND"}[status]


def test_a_refusal_reaches_a_client_that_sends_everything_first(nginx: Nginx, front_end: FrontEnd) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=60)
    try:
        connection.request("POST", "/api/v1/videos", bytes(5 * MIB), {"Origin": "http://evil.test"})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")
    finally:
        connection.close()
    assert front_end.stored() == []
