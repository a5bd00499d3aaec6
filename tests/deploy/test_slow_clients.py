"""Nine hundred slow clients: other clients are answered meanwhile, and behind nginx all slow ones are disconnected.

The API must answer within a second. Here five are allowed, since other tests run at the same time; a front end without
free threads would answer only after half a minute. `make bench` measures the time.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.support.forms import mp4_bytes, part, video_form
from tests.support.nginx import Nginx, running_nginx
from tests.support.played_worker import submit
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.slow_clients import SlowClients, slow_clients
from tests.support.waiting import eventually
from tests.support.wire import Answer, exchange, head

COUNT_OF_EACH_KIND = 450
REQUESTS = 20
VIDEOS = "/api/v1/videos"
SLOW_HEADERS = b"POST /api/v1/videos HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
SLOW_BODY = head(VIDEOS, length=10 << 20) + part("file", mp4_bytes(100_000), filename="slow.mp4")


@pytest.fixture
def generous_nginx(tmp_path: Path, front_end: FrontEnd) -> Iterator[Nginx]:
    """nginx that lets one address send any number of request bodies, so that they reach the front end."""
    more = {"NGINX_BODIES_PER_CLIENT": "1000"}
    with running_nginx(tmp_path / "nginx", upstream_port=front_end.port, max_file_size_mb=100, **more) as running:
        yield running


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory, own_redis: RedisServer) -> Iterator[FrontEnd]:
    with running_front_end(tmp_path_factory.mktemp("web"), own_redis.url, MAX_FILE_SIZE_MB="100") as running:
        yield running


def connected_slow_clients(stack: ExitStack, port: int) -> list[SlowClients]:
    return [
        stack.enter_context(slow_clients(port, first_bytes, count=COUNT_OF_EACH_KIND))
        for first_bytes in (SLOW_HEADERS, SLOW_BODY)
    ]


def upload(port: int) -> Answer:
    body = video_form(mp4_bytes(1000))
    return exchange(port, head(VIDEOS, length=len(body)), body)


def no_slot_is_free(stack: ExitStack, port: int) -> bool:
    """Whether an upload is refused. Otherwise one more slow client takes the slot that it had, perhaps the last one."""
    if upload(port).status == 503:
        return True
    stack.enter_context(slow_clients(port, SLOW_BODY, count=1))
    return False


def assert_others_are_answered(url: str, job_id: str) -> None:
    for _ in range(REQUESTS):
        for path in ("/healthz", f"/api/v1/jobs/{job_id}"):
            assert requests.get(url + path, timeout=5).status_code == 200


def test_slow_clients_of_a_front_end_do_not_block_others(front_end: FrontEnd) -> None:
    # Given many slow clients, whose uploads hold all upload slots
    job_id = submit(front_end)["job_id"]
    with ExitStack() as stack:
        connected_slow_clients(stack, front_end.port)
        assert eventually(lambda: no_slot_is_free(stack, front_end.port))
        # Then others are answered
        assert_others_are_answered(front_end.url, job_id)


@pytest.mark.long
def test_slow_clients_behind_nginx_are_closed_within_a_minute(front_end: FrontEnd, generous_nginx: Nginx) -> None:
    # Given many slow clients
    job_id = submit(front_end)["job_id"]
    with ExitStack() as stack:
        slow = connected_slow_clients(stack, generous_nginx.port)
        assert eventually(lambda: no_slot_is_free(stack, front_end.port))
        # Then others are answered meanwhile
        assert_others_are_answered(generous_nginx.url, job_id)
        # And the slow ones are disconnected within a minute
        assert eventually(lambda: not any(group.open for group in slow), seconds=60), [one.open for one in slow]
    # And they have left no files, and uploads are accepted again
    assert eventually(lambda: front_end.unfinished() == [])
    assert upload(generous_nginx.port).status == 201
