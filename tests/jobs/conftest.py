import pytest

from clipzy_storage.jobs.store import JobStore
from clipzy_storage.redis_client import RedisDatabase


@pytest.fixture
def jobs(redis_url: str) -> JobStore:
    return JobStore(RedisDatabase(redis_url), lease_seconds=60)
