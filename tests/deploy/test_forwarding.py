"""What nginx changes in requests and answers, and what it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.dns_server import NAME, running_names
from tests.support.echo_server import Echo, running_echo
from tests.support.nginx import Nginx, running_nginx
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import exchange, head


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    with running_echo() as running:
        yield running


@pytest.fixture(scope="module")
def echo_nginx(tmp_path_factory: pytest.TempPathFactory, echo: Echo) -> Iterator[Nginx]:
    """nginx in front of a server that answers with what it received."""
    with running_nginx(tmp_path_factory.mktemp("echo"), upstream_port=echo.port, max_file_size_mb=1) as running:
        yield running


def test_forwarding_headers_of_clients_are_replaced(echo_nginx: Nginx) -> None:
    forged = {
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "for=1.2.3.4",
    }
    host = {"Host": "clips.example:8080"}

    headers = requests.get(f"{echo_nginx.url}/a", headers=forged | host, timeout=30).json()["headers"]

    forwarded = {name: value for name, value in headers if "forwarded" in name}
    assert forwarded == {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "clips.example:8080",
    }
    assert [value for name, value in headers if name == "host"] == ["clips.example:8080"]


@pytest.mark.parametrize("first", ["X_Forwarded_Host", "X-Forwarded-Host"])
def test_a_header_cannot_take_the_place_of_another_by_underscores(echo_nginx: Nginx, first: str) -> None:
    second = {"X_Forwarded_Host": "X-Forwarded-Host", "X-Forwarded-Host": "X_Forwarded_Host"}[first]
    more = f"{first}: evil.example\r\n{second}: evil.example\r\nTransfer_Encoding: chunked\r\nX_Request-ID: mine\r\n"

    headers = exchange(echo_nginx.port, head("/", method="GET", more=more)).json()["headers"]

    assert not [name for name, value in headers if "_" in name or value in ("evil.example", "mine")]


def test_a_valid_request_id_is_passed_on_and_others_are_replaced(echo_nginx: Nginx) -> None:
    def passed_on(given: str | None) -> str:
        headers = {} if given is None else {"X-Request-ID": given}
        received = requests.get(echo_nginx.url, headers=headers, timeout=30).json()["headers"]
        (passed,) = (value for name, value in received if name == "x-request-id")
        return str(passed)

    assert passed_on("mine-1.2:3") == "mine-1.2:3"
    assert len(passed_on(None)) == 32
    assert len(passed_on('say "what"')) == 32
    assert "request_id=mine-1.2:3" in echo_nginx.access_log()


def test_paths_are_passed_on_unchanged(echo_nginx: Nginx) -> None:
    written = "/storage//results/../%2e%2e/a%2Fb?c=%20d"
    answer = exchange(echo_nginx.port, head(written, method="GET"))
    assert answer.json()["line"] == f"GET {written} HTTP/1.1"


def test_an_event_stream_arrives_event_by_event(echo_nginx: Nginx, echo: Echo) -> None:
    with requests.get(f"{echo_nginx.url}/events", stream=True, timeout=20) as answer:
        # Given a stream that sends its second event only after an order
        lines = answer.iter_lines()

        # When the first has arrived, then the second arrives after the order
        assert next(lines) == b"data: 1"
        echo.send_second.set()
        assert b"data: 2" in list(lines)


def test_a_front_end_is_found_at_its_new_address(tmp_path: Path, front_end: FrontEnd) -> None:
    # Given a front end that nginx knows by name, as in compose, and that has gone
    with running_names("127.0.0.2") as names:
        known_as = {"NGINX_UPSTREAM": f"{NAME}:{front_end.port}", "NGINX_RESOLVER": f"127.0.0.1:{names.port}"}
        with running_nginx(tmp_path, upstream_port=0, max_file_size_mb=1, **known_as) as nginx:
            assert requests.get(nginx.url + "/healthz", timeout=30).status_code == 502

            # When another has its name, then nginx passes requests to it
            names.address = "127.0.0.1"
            assert eventually(lambda: requests.get(nginx.url + "/healthz", timeout=30).ok)
