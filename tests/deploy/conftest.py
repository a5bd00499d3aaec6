"""One Redis for each file of tests here, and what stands on it; tests that break something start their own."""

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
    """A front end that takes files of up to 1 MiB."""
    with running_front_end(tmp_path_factory.mktemp("web"), own_redis.url, MAX_FILE_SIZE_MB=str(CAP_MB)) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, front_end: FrontEnd) -> Iterator[Nginx]:
    """nginx before it, with the same cap."""
    folder = tmp_path_factory.mktemp("nginx")
    with running_nginx(folder, upstream_port=front_end.port, max_file_size_mb=CAP_MB) as running:
        yield running


@pytest.fixture(scope="module")
def open_nginx(tmp_path_factory: pytest.TempPathFactory, front_end: FrontEnd) -> Iterator[Nginx]:
    """nginx before it that lets larger bodies pass, so that the front end's own refusals are heard through it."""
    folder = tmp_path_factory.mktemp("open-nginx")
    with running_nginx(folder, upstream_port=front_end.port, max_file_size_mb=1000) as running:
        yield running
