"""`clipzy web` and its port."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from clipzy_storage.log_events import WEB_LISTENING
from tests.support.processes import CLIPZY, Process, Watched, clipzy, descendants, environment
from tests.support.servers import FrontEnd, running_front_end, running_redis


@pytest.fixture
def front_end(tmp_path: Path) -> Iterator[FrontEnd]:
    with running_redis(tmp_path / "redis") as redis, running_front_end(tmp_path / "web", redis.url) as running:
        yield running


def is_alive(url: str) -> bool:
    return requests.get(f"{url}/healthz", timeout=60).ok


def test_a_port_in_use_is_reported_on_one_line(tmp_path: Path, front_end: FrontEnd) -> None:
    # Given the front end of one deployment
    # When that of another is started on the same port
    (tmp_path / "other").mkdir()
    ended = clipzy("web", "--port", str(front_end.port), cwd=tmp_path / "other", REDIS_URL="redis://127.0.0.1:1/0")

    # Then it exits as `clipzy up` does, and has left nothing
    assert ended.returncode == 1
    assert ended.stderr == f"clipzy: port {front_end.port} on 127.0.0.1 is taken. Choose another with --port.\n"
    assert list((tmp_path / "other").iterdir()) == []
    assert is_alive(front_end.url)


@pytest.mark.parametrize(
    ("host", "logged"), [("127.0.0.1", r"127\.0\.0\.1"), ("localhost", r"127\.0\.0\.1|\[::1\]"), ("::1", r"\[::1\]")]
)
def test_it_logs_where_it_listens(tmp_path: Path, host: str, logged: str) -> None:
    command, env = [*CLIPZY, "web", "--host", host, "--port", "0"], environment(REDIS_URL="redis://127.0.0.1:1/0")
    process = Process(command, cwd=tmp_path, env=env, log=tmp_path / "web.log").wait_for_log(WEB_LISTENING)
    try:
        found = re.search(rf"{WEB_LISTENING} .*url=(http://(?:{logged}):[1-9]\d*)\b", process.output())
        assert found, process.output()
        assert is_alive(found[1])
    finally:
        process.stop()


def test_a_crashed_front_end_is_restarted_on_its_port(front_end: FrontEnd) -> None:
    # Given a front end that was killed while a client was connected
    with requests.Session() as client:
        assert client.get(f"{front_end.url}/healthz", timeout=60).ok
        serving = [Watched(pid) for pid in descendants(front_end.process.pid)]
        front_end.process.kill()
        assert all(process.has_exited() for process in serving)

    # When it is started again at once, then it serves on the same port
    env = environment(REDIS_URL=front_end.redis_url, LOCAL_STORAGE_PATH=str(front_end.root))
    command = [*CLIPZY, "web", "--port", str(front_end.port)]
    again = Process(command, cwd=front_end.root, env=env, log=front_end.log.with_name("again.log"))
    try:
        again.wait_for_log(WEB_LISTENING)
        assert is_alive(front_end.url)
    finally:
        again.stop()


def test_clients_wait_while_a_serving_process_is_replaced(front_end: FrontEnd) -> None:
    # Given a front end whose serving process is killed
    assert is_alive(front_end.url)
    killed = front_end.serving_pid()
    watched = Watched(killed)
    os.kill(killed, signal.SIGKILL)
    assert watched.has_exited()

    # When a client connects, then it is not refused, and the next serving process answers it
    assert is_alive(front_end.url)
    assert front_end.serving_pid() != killed
