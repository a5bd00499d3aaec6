"""Four hundred clients that never come to an end: others are served meanwhile, and behind nginx all are closed.

The API has to answer within a second beside them. Here five are allowed, for what else runs beside the tests: a front
end that is held up is so for half a minute. `make bench` measures how long it takes.
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
from tests.support.slow_clients import Dribblers, dribbling
from tests.support.waiting import eventually
from tests.support.wire import Answer, exchange, head

COUNT = 200  # of each kind
MANY_ANSWERS = 20
VIDEOS = "/api/v1/videos"
SLOW_HEADERS = b"POST /api/v1/videos HTTP/1.1\r\nHost: test\r\nX-Slow: "
SLOW_BODY = head(VIDEOS, length=10 << 20) + part("file", mp4_bytes(100_000), filename="slow.mp4")


@pytest.fixture
def generous_nginx(tmp_path: Path, front_end: FrontEnd) -> Iterator[Nginx]:
    """nginx that lets one address send any number of bodies, so that they reach the front end."""
    more = {"NGINX_BODIES_PER_CLIENT": "1000"}
    with running_nginx(tmp_path / "nginx", upstream_port=front_end.port, max_file_size_mb=100, **more) as running:
        yield running


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory, own_redis: RedisServer) -> Iterator[FrontEnd]:
    with running_front_end(tmp_path_factory.mktemp("web"), own_redis.url, MAX_FILE_SIZE_MB="100") as running:
        yield running


def slow_clients(stack: ExitStack, port: int) -> list[Dribblers]:
    return [stack.enter_context(dribbling(port, begin, count=COUNT)) for begin in (SLOW_HEADERS, SLOW_BODY)]


def upload(port: int) -> Answer:
    body = video_form(mp4_bytes(1000))
    return exchange(port, head(VIDEOS, length=len(body)), body)


def assert_others_are_served(url: str, job_id: str) -> None:
    for _ in range(MANY_ANSWERS):
        for path in ("/healthz", f"/api/v1/jobs/{job_id}"):
            assert requests.get(url + path, timeout=5).status_code == 200


def test_slow_clients_of_a_front_end_hold_up_nobody(front_end: FrontEnd) -> None:
    # Given many slow clients, and uploads that have taken all the places that there are for them
    job_id = submit(front_end)["job_id"]
    with ExitStack() as stack:
        slow_clients(stack, front_end.port)
        assert eventually(lambda: upload(front_end.port).status == 503)
        # Then others are served
        assert_others_are_served(front_end.url, job_id)


@pytest.mark.long
def test_slow_clients_behind_nginx_are_closed_within_a_minute(front_end: FrontEnd, generous_nginx: Nginx) -> None:
    # Given many slow clients
    job_id = submit(front_end)["job_id"]
    with ExitStack() as stack:
        slow = slow_clients(stack, generous_nginx.port)
        assert eventually(lambda: upload(front_end.port).status == 503)
        # Then others are served meanwhile
        assert_others_are_served(generous_nginx.url, job_id)
        # And the slow ones are gone within a minute
        assert eventually(lambda: not any(group.open for group in slow), seconds=60), [one.open for one in slow]
    # And they have left nothing, and uploads are taken again
    assert eventually(lambda: front_end.unfinished() == [])
    assert upload(generous_nginx.port).status == 201
