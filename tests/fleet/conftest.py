from collections.abc import Iterator
from pathlib import Path

import pytest

from clipzy_storage.fleet.counters import CounterStore
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.redis_client import RedisDatabase
from tests.support.servers import RedisServer, running_redis


@pytest.fixture
def redis(redis_url: str) -> RedisDatabase:
    return RedisDatabase(redis_url)


@pytest.fixture
def store(redis: RedisDatabase) -> JobStore:
    """As a worker has it."""
    return JobStore(redis, lease_seconds=60, worker="host-a46c79")


@pytest.fixture
def counters(redis: RedisDatabase) -> CounterStore:
    return CounterStore(redis)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test, to be restarted or killed."""
    with running_redis(tmp_path / "redis") as server:
        yield server
