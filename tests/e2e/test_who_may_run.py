"""The guard with whole processes: wrong set-ups stop with status 78 and one message, and leave nothing behind."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.guard import guard, members
from clipzy_storage.log_events import GUARD_REDIS_UNAVAILABLE
from clipzy_storage.redis_client import RedisDatabase
from tests.support.deployment import WAYS_OUT, Deployment, refused
from tests.support.processes import Watched, commands_below, free_port
from tests.support.waiting import eventually


@pytest.fixture
def deployment(tmp_path: Path, redis_url: str) -> Iterator[Deployment]:
    with Deployment(tmp_path / "deployment", redis_url=redis_url) as deployment:
        yield deployment


@pytest.mark.parametrize("command", [["worker"], ["web", "--port", "0"]])
def test_several_workers_by_settings(deployment: Deployment, command: list[str]) -> None:
    refused(deployment.run(*command, settings={"WORKER_COUNT": "2"}), "WORKER_COUNT=2", *WAYS_OUT)
    assert not deployment.storage.exists()


def test_all_wrong_settings_are_named_together(deployment: Deployment) -> None:
    wrong = {"WORKER_COUNT": "many", "MAX_FILE_SIZE_MB": "-1", "LOG_FORMAT": "xml", "STORAGE_TYPE": "ftp"}
    commands = (["worker"], ["web"], ["up"], ["submit", "x.mp4"])
    for process in [deployment.run(*command, settings=wrong) for command in commands]:
        assert process.wait() == 78
        lines = process.output().splitlines()
        for name, value in wrong.items():
            assert len([line for line in lines if line.startswith(f"clipzy: {name}={value} ")]) == 1, lines
        assert len(lines) == len(wrong)


def test_a_second_worker_started_by_mistake(deployment: Deployment, clip: Path) -> None:
    # Given a front end and one worker on undeclared local storage
    api = deployment.web()
    first = deployment.worker()
    # When a second one is started
    second = deployment.run("worker")
    # Then it exits, naming the first, which goes on undisturbed
    refused(second, "Another worker is already running", str(first.pid), *WAYS_OUT)
    assert api.run(clip)["status"] == "completed"


def test_a_worker_started_from_another_directory(deployment: Deployment, tmp_path: Path) -> None:
    # Given a front end on one directory's storage
    deployment.web()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # When a worker starts where the same relative path means another directory
    refused(
        deployment.run("worker", cwd=elsewhere), str(elsewhere / "storage"), str(deployment.storage), "files go missing"
    )
    # Then what it had made there is gone again
    assert list(elsewhere.iterdir()) == []


def test_a_front_end_on_another_disk(deployment: Deployment, tmp_path: Path) -> None:
    deployment.worker()
    other = tmp_path / "other"
    process = deployment.run("web", "--port", "0", settings={"LOCAL_STORAGE_PATH": str(other)})
    refused(process, str(other), "worker", "files go missing")
    assert not other.exists()


def test_a_declared_mount_that_is_not_there(deployment: Deployment, tmp_path: Path) -> None:
    missing = tmp_path / "not-mounted"
    declared = {"LOCAL_STORAGE_PATH": str(missing), "LOCAL_STORAGE_SHARED": "true"}
    for process in [deployment.run(command, settings=declared) for command in ("worker", "web")]:
        refused(process, f"LOCAL_STORAGE_PATH={missing}")
    assert not missing.exists()


def test_the_successor_of_a_killed_worker_joins_immediately(deployment: Deployment) -> None:
    first = deployment.worker()
    first.kill()
    second = deployment.worker()
    assert "guard.waiting" not in second.output()


def test_a_worker_that_finds_another_in_its_place_stops(
    deployment: Deployment, redis_url: str, redis_client: Any
) -> None:
    # Given a worker that Redis has forgotten, and another that took its place meanwhile
    first = deployment.worker()
    first.send(signal.SIGSTOP)
    storage_id = (deployment.storage / ".clipzy" / "storage-id").read_text().strip()
    settings = settings_from_env({"REDIS_URL": redis_url, "LOCAL_STORAGE_PATH": str(deployment.storage)})
    member = members.new_member(
        settings, role="worker", name="other", storage_id=storage_id, storage=str(deployment.storage)
    )
    other = guard.Guard(RedisDatabase(redis_url), member, member_id="other")
    redis_client.delete("clipzy:guard:members", "clipzy:guard:beats")
    other.join()
    # When it wakes and sends a heartbeat
    first.send(signal.SIGCONT)
    # Then it exits with the reason
    refused(first, "Another worker is already running", "other")


def is_open_fresh(redis_url: str) -> bool:
    with suppress(QueueUnavailable):
        members.open_fresh(RedisDatabase(redis_url))
        return True
    return False


def test_without_redis_a_front_end_starts_and_a_worker_waits(tmp_path: Path, clip: Path) -> None:
    # Given a deployment whose Redis is not there yet
    server = EmbeddedRedis(tmp_path / "redis")
    url = server.start()
    server.child.stop(grace_seconds=10)
    with Deployment(tmp_path / "deployment", redis_url=url) as deployment:
        api = deployment.client(port := free_port())
        deployment.run("web", "--port", str(port))
        worker = deployment.run("worker")
        worker.wait_for_event(GUARD_REDIS_UNAVAILABLE)
        eventually(lambda: api.is_reachable(), "a front end that listens")
        # Then the front end runs, is not ready and refuses work clearly
        assert api.get("/healthz").status_code == 200
        ready = api.get("/readyz")
        assert (ready.status_code, ready.json()["redis"], ready.json()["storage"]) == (503, "unavailable", "ok")
        with clip.open("rb") as stream:
            answer = api.post("/jobs", files={"file": stream})
        assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) >= 1
        assert deployment.stored() == []
        # When Redis starts, as one that no other process can be on; otherwise joining processes wait for 30 s
        server.child.start()
        eventually(lambda: is_open_fresh(url), "a Redis that answers")
        # Then all of it works
        try:
            eventually(lambda: api.is_ready(), "a front end that is ready")
            assert api.run(clip)["status"] == "completed"
            assert worker.is_running()
        finally:
            worker.stop()
            server.stop()


def test_a_storage_directory_that_was_removed_is_replaced_with_a_warning(deployment: Deployment) -> None:
    # Given a deployment that was stopped, and whose storage was then removed
    deployment.worker().stop()
    shutil.rmtree(deployment.storage)
    # Then the next worker starts, and logs that the old storage is gone
    assert "guard.storage_replaced" in deployment.worker().output()


def test_a_worker_stopped_while_it_waits_leaves_nothing(deployment: Deployment, tmp_path: Path) -> None:
    # Given a worker that waits for a Redis that is not there, in an empty directory
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    worker = deployment.run("worker", cwd=elsewhere, settings={"REDIS_URL": "redis://127.0.0.1:1/0"})
    worker.wait_for_event(GUARD_REDIS_UNAVAILABLE)
    # When it is stopped
    assert worker.stop() == 0
    # Then it has, and the directory is as it was
    assert list(elsewhere.iterdir()) == []
    assert "Traceback" not in worker.output()


def test_sigkill_of_a_front_end_leaves_nothing_serving(deployment: Deployment) -> None:
    # Given a front end, whose serving process is another than the one that was started
    api = deployment.web()
    web = deployment.processes[-1]
    serving = [Watched(pid) for pid in commands_below(web.pid)]
    # When the one that was started is killed
    web.kill()
    # Then no process serves, and its port is free for a successor
    assert all(process.has_exited() for process in serving)
    deployment.run("web", "--port", api.url.rpartition(":")[2])
    eventually(api.is_ready, "a successor on the same port")


def test_a_serving_process_that_hangs_ends_with_its_front_end(deployment: Deployment) -> None:
    # Given a front end whose serving process hangs
    deployment.web()
    web = deployment.processes[-1]
    pids = list(commands_below(web.pid))
    serving = [Watched(pid) for pid in pids]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    # When the one that was started is killed, then its port is free
    web.kill()
    assert all(process.has_exited() for process in serving)


def test_an_upload_that_is_under_way_when_the_front_end_stops_leaves_nothing(deployment: Deployment) -> None:
    # Given a client in the middle of its upload
    api = deployment.web()
    head = (
        b"POST /api/v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b'Content-Length: 5000000\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    )
    incoming = deployment.storage / ".clipzy" / "incoming"
    with socket.create_connection(("127.0.0.1", int(api.url.rpartition(":")[2]))) as client:
        client.sendall(head + b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(2_000_000))
        eventually(lambda: any(path.stat().st_size for path in incoming.iterdir()), "a file on its way in")
        # When the front end is stopped
        assert deployment.processes[-1].stop() == 0
    # Then nothing of it is left
    assert list(incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "value", "texts"),
    [
        ("WORK_DIR", "{tmp}/file", ["WORK_DIR={tmp}/file cannot be used"]),
        ("WORK_DIR", "/proc/nowhere", ["WORK_DIR=/proc/nowhere cannot be used"]),
        ("LOCAL_STORAGE_PATH", "/proc/nowhere", ["LOCAL_STORAGE_PATH=/proc/nowhere"]),
        ("LOCAL_STORAGE_PATH", "{tmp}/file/below", ["LOCAL_STORAGE_PATH={tmp}/file/below", "is not a directory"]),
    ],
)
def test_a_path_that_cannot_be_a_directory(
    deployment: Deployment, tmp_path: Path, setting: str, value: str, texts: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    process = deployment.run("worker", settings={setting: value.format(tmp=tmp_path)})
    refused(process, *[text.format(tmp=tmp_path) for text in texts])


@pytest.mark.parametrize("setting", ["REDIS_URL", pytest.param("CELERY_BROKER_URL", marks=pytest.mark.long)])
def test_a_redis_that_can_never_serve_us(deployment: Deployment, redis_url: str, setting: str) -> None:
    """That either setting is checked at the start is in tests/faults/test_redis_refusals.py too."""
    # Given a front end, which is no Redis, and wrong addresses of the one there is
    api = deployment.web()
    port = api.url.rpartition(":")[2]
    host = redis_url.rpartition("@")[2].removesuffix("/0")
    password = redis_url.split(":")[2].split("@")[0]
    wrong = {
        f"redis://127.0.0.1:{port}/0": "is not a Redis server",
        f"redis://{host}/0": "requires a password",
        f"redis://:wrong@{host}/0": "refuses this user and password",
        f"redis://:{password}@{host}/99": "a database that the server does not have",
    }
    started = [(deployment.run("worker", settings={setting: url}), reason) for url, reason in wrong.items()]
    for process, reason in started:
        refused(process, f"{setting}=redis://", reason)
        assert password not in process.output()
