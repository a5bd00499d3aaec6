"""What most tests stand on: a real Redis, an empty storage, settings for both."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as media processes have it; numpy reads it when it is imported

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog

from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.settings import Settings
from clipzy_storage.guard import members
from clipzy_storage.redis_client import RedisDatabase
from tests.support import s3_servers
from tests.support.media import clips
from tests.support.s3_servers import S3Server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for the whole session, as `clipzy up` runs it."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What is logged in this process, as one dictionary for each event."""
    with structlog.testing.capture_logs() as events:
        yield events


@pytest.fixture
def redis_client(redis_server: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_server, decode_responses=True) as client:
        yield client


@pytest.fixture
def redis_url(redis_server: str, redis_client: Any) -> str:
    """An empty Redis on which joining processes need not wait for members that they cannot see."""
    redis_client.flushall()
    members.open_fresh(RedisDatabase(redis_server))
    return redis_server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that keeps conditions."""
    with s3_servers.running("moto", tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that ignores conditions."""
    with s3_servers.running("rclone", tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    found = LocalStorage(tmp_path / "storage", shared=False)
    found.prepare()
    return found


@pytest.fixture
def make_settings(tmp_path: Path, redis_url: str) -> Any:
    """Settings by their environment names, over ones for this test's directory and Redis."""

    def make(**given: str) -> Settings:
        ours = {
            "LOCAL_STORAGE_PATH": str(tmp_path / "storage"),
            "CLIPZY_DATA_DIR": str(tmp_path / "data"),
            "REDIS_URL": redis_url,
        }
        return settings_from_env(ours | given)

    return make


@pytest.fixture(scope="session")
def clips_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where synthetic clips are made once for all tests, also those of other processes of this run."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "clips"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def clip(clips_directory: Path) -> Path:
    """Four seconds in three shots, with sound."""
    return clips.cuts_clip(clips_directory).path


@pytest.fixture(scope="session")
def long_clip(clips_directory: Path) -> Path:
    """Small frames, but so many that work on them takes a second or two."""
    return clips.cuts_clip(clips_directory, shot_frames=(1000, 1000, 1000), sound=False).path
