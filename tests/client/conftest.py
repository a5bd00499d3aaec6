"""One Redis and one front end for all tests here, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clipzy_api.client import Client
from tests.support.forms import mp4_bytes
from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis
from tests.support.webhook_receiver import SECRET


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def front_end(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[FrontEnd]:
    with running_front_end(tmp_path_factory.mktemp("web"), redis_server.url, WEBHOOK_SECRETS=SECRET) as running:
        yield running


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is remembered of uploads, for one test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/clipzy/uploads"


@pytest.fixture
def client(front_end: FrontEnd) -> Iterator[Client]:
    with Client(front_end.url) as client:
        yield client


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "holiday ☀.mp4"
    path.write_bytes(mp4_bytes(700_001))
    return path
