from collections.abc import Callable
from pathlib import Path

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.redis_client import RedisDatabase
from tests.support.aged_storage import AgedStorage
from tests.support.counted_storage import CountedStorage
from tests.support.s3_servers import S3Server

NewCollector = Callable[..., GarbageCollector]


@pytest.fixture
def store(redis_url: str) -> JobStore:
    return JobStore(RedisDatabase(redis_url), lease_seconds=60)


@pytest.fixture
def admin(redis_url: str) -> JobAdmin:
    """Of records that were not compared with storage yet."""
    return JobAdmin(RedisDatabase(redis_url))


@pytest.fixture
def reconciled(admin: JobAdmin) -> JobAdmin:
    admin.set_reconciled(admin.run_id())
    return admin


@pytest.fixture
def no_redis() -> JobAdmin:
    return JobAdmin(RedisDatabase("redis://127.0.0.1:1/0"))


@pytest.fixture(params=["local", pytest.param("moto", marks=pytest.mark.long)])
def aged(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgedStorage:
    """An empty storage. What is decided here is the same on every one; ages are in the conformance suite."""
    if request.param == "local":
        return AgedStorage(LocalStorage(tmp_path / "storage", shared=False, free_reserve_bytes=0))
    server: S3Server = request.getfixturevalue("moto_server")
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return AgedStorage(S3Storage(server.new_bucket()))


@pytest.fixture
def new_collector(aged: AgedStorage, reconciled: JobAdmin) -> NewCollector:
    """The garbage collector of the storage under these settings."""

    def make(*, admin: JobAdmin = reconciled, **given: str) -> GarbageCollector:
        return GarbageCollector(aged.storage, admin, settings_from_env(given))

    return make


@pytest.fixture
def counted(aged: AgedStorage) -> CountedStorage:
    """The same storage, which records what is asked of it."""
    return CountedStorage(aged.storage)
