"""One Redis and two front ends for all tests here; tests that break something start their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis
from tests.support.waiting import eventually

SMALL_CAP_BYTES = 1 << 20


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def front_end(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[FrontEnd]:
    """A front end that takes files of up to 64 MiB."""
    with running_front_end(tmp_path_factory.mktemp("web"), redis_server.url, MAX_FILE_SIZE_MB="64") as running:
        yield running


@pytest.fixture(scope="session")
def small_front_end(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, front_end: FrontEnd
) -> Iterator[FrontEnd]:
    """Another on the same storage, that takes files of up to 1 MiB."""
    directory = tmp_path_factory.mktemp("small-web")
    cap = {"MAX_FILE_SIZE_MB": str(SMALL_CAP_BYTES >> 20)}
    with running_front_end(directory, redis_server.url, storage_path=front_end.root, **cap) as running:
        yield running


@pytest.fixture
def unchanged(front_end: FrontEnd) -> Callable[[], bool]:
    """Whether storage holds what it held when the test began, and nothing unfinished."""
    before = front_end.stored()
    return lambda: eventually(lambda: front_end.stored() == before and front_end.unfinished() == [])


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test, to be frozen or killed."""
    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def own_front_end(tmp_path: Path, own_redis: RedisServer) -> Iterator[FrontEnd]:
    """A front end on ``own_redis``."""
    with running_front_end(tmp_path / "web", own_redis.url) as running:
        yield running
