import pytest

from clipzy_storage.jobs import JobStore


@pytest.fixture
def jobs(redis_url: str) -> JobStore:
    return JobStore(redis_url, lease_seconds=60)
