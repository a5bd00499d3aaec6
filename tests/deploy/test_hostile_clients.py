"""Two thousand hostile clients of six kinds: polls are answered meanwhile, directly and through nginx.

`make bench` measures how soon.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.hostile_clients import Targets, hostile_clients, published_targets
from tests.support.nginx import running_nginx
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.waiting import TIMEOUT_SECONDS

COUNT = 2000
POLLS = 50


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory, own_redis: RedisServer) -> Iterator[FrontEnd]:
    with running_front_end(tmp_path_factory.mktemp("web"), own_redis.url, MAX_FILE_SIZE_MB="100") as running:
        yield running


@pytest.fixture(scope="module")
def targets(front_end: FrontEnd) -> Targets:
    return published_targets(front_end)


@pytest.fixture(params=["directly", "through nginx"])
def port(request: pytest.FixtureRequest, tmp_path: Path, front_end: FrontEnd) -> Iterator[int]:
    if request.param == "directly":
        yield front_end.port
        return
    with running_nginx(tmp_path / "nginx", upstream_port=front_end.port, max_file_size_mb=100) as nginx:
        yield nginx.port


def test_polls_are_answered_next_to_hostile_clients(tmp_path: Path, port: int, targets: Targets) -> None:
    # Given hostile clients that have connected, and connect again when they are disconnected
    with hostile_clients(tmp_path, port, targets, count=COUNT, seconds=TIMEOUT_SECONDS) as clients:
        # When others poll, then each is answered
        for _ in range(POLLS):
            for path in ("/healthz", f"/api/v1/jobs/{targets.open_id}"):
                answer = requests.get(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_SECONDS)
                assert answer.status_code == 200
        assert clients.is_running()
