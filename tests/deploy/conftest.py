"""One Redis for each module of tests, and front ends and nginx on it; tests that break them start their own."""

from collections.abc import Iterator

import pytest

from tests.support.nginx import Nginx, running_nginx
from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis

CAP_MB = 1


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory, own_redis: RedisServer) -> Iterator[FrontEnd]:
    """A front end that accepts files of up to 1 MiB."""
    with running_front_end(tmp_path_factory.mktemp("web"), own_redis.url, MAX_FILE_SIZE_MB=str(CAP_MB)) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, front_end: FrontEnd) -> Iterator[Nginx]:
    """nginx in front of it, with the same limit."""
    directory = tmp_path_factory.mktemp("nginx")
    with running_nginx(directory, upstream_port=front_end.port, max_file_size_mb=CAP_MB) as running:
        yield running


@pytest.fixture(scope="module")
def open_nginx(tmp_path_factory: pytest.TempPathFactory, front_end: FrontEnd) -> Iterator[Nginx]:
    """nginx in front of it that passes larger bodies, so that the front end refuses them itself."""
    directory = tmp_path_factory.mktemp("open-nginx")
    with running_nginx(directory, upstream_port=front_end.port, max_file_size_mb=1000) as running:
        yield running
