from pathlib import Path

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.guard.guard import Guard
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.redis_client import RedisDatabase
from tests.support import guards
from tests.support.guards import Join


@pytest.fixture
def jobs(redis_url: str) -> JobStore:
    return JobStore(RedisDatabase(redis_url), lease_seconds=60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that is there, as a mount is."""
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def new_guard(redis_url: str) -> Join:
    """A member's guard on a folder that is declared shared."""

    def make(name: str, root: Path, *, proof_seconds: float = 60, kind: type[LocalStorage] = LocalStorage) -> Guard:
        return guards.new_guard(redis_url, name, kind(root, shared=True), proof_seconds=proof_seconds)

    return make
