"""Flower with a real deployment: what it shows, and what it refuses."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import requests

from clipzy_storage import redis_check
from clipzy_storage.celery_config import PROCESS_JOB
from clipzy_storage.guard import members
from clipzy_storage.redis_client import RedisDatabase
from tests.support.deployment import Deployment
from tests.support.forms import mp4_bytes
from tests.support.processes import CLIPZY, Process, free_port
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

LOGIN = ("watcher", "kW9-secret:with-colon")
REDIS_PASSWORD = "rP7-secret"
DEPLOY = Path(__file__).parents[2] / "docs/deploy.md"


class FlowerApi:
    """The API of Flower, with its login."""

    def __init__(self, port: int, process: Process) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = process

    def get(self, path: str) -> Any:
        answer = requests.get(self.url + path, auth=LOGIN, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def task_of(self, job_id: str, state: str) -> Any:
        """The first task about this job in this state, once there is one."""
        return eventually(
            lambda: next(
                (task for task in self.get("/api/tasks").values() if job_id in task["args"] and task["state"] == state),
                None,
            ),
            f"a task of {job_id} in state {state}",
            seconds=30,
        )


@pytest.fixture(scope="module")
def redis_url(own_redis: RedisServer) -> str:
    """Redis as the user of docs/deploy.md, which may do no more than Clipzy needs."""
    (line,) = (line for line in DEPLOY.read_text().splitlines() if line.startswith("ACL SETUSER clipzy "))
    with redis.Redis.from_url(own_redis.url) as client:
        client.execute_command(*line.replace("PASSWORD", REDIS_PASSWORD).split())
    address = urlsplit(own_redis.url)
    return f"redis://clipzy:{REDIS_PASSWORD}@{address.hostname}:{address.port}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("deployment"), redis_url=redis_url) as stack:
        yield stack


@pytest.fixture(scope="module")
def flower(stack: Deployment) -> FlowerApi:
    """Flower next to a front end and a worker."""
    port = free_port()
    stack.worker()
    process = stack.run("flower", "--port", str(port), settings={"FLOWER_BASIC_AUTH": ":".join(LOGIN)})
    return FlowerApi(port, process.wait_for_log("flower.ready"))


@pytest.fixture(scope="module")
def jobs(stack: Deployment, flower: FlowerApi, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A job that completed, and one whose file is damaged in a way that the request checks do not notice."""
    damaged = tmp_path_factory.mktemp("damaged") / "damaged.mp4"
    damaged.write_bytes(mp4_bytes(5000))
    api = stack.web()
    eventually(lambda: flower.get("/api/workers?refresh=1"), "a worker that Flower knows")
    return api.finished(api.upload(clip)["job_id"]), api.finished(api.upload(damaged)["job_id"])


@pytest.mark.usefixtures("jobs")
def test_it_shows_the_workers(flower: FlowerApi) -> None:
    def known_workers() -> Any:
        workers = flower.get("/api/workers?refresh=1")
        return (
            workers
            if all({"stats", "registered", "active_queues"} <= set(worker) for worker in workers.values())
            else None
        )

    workers = eventually(known_workers, "what the worker reports")

    ((name, worker),) = workers.items()
    assert name.startswith("clipzy@")
    assert worker["registered"] == [PROCESS_JOB]
    assert [queue["name"] for queue in worker["active_queues"]] == ["interactive", "batch"]


def test_it_shows_jobs_with_their_ids_and_outcomes(flower: FlowerApi, jobs: tuple[Any, Any]) -> None:
    # Given a completed and a failed job
    completed, failed = jobs
    assert (completed["status"], failed["status"]) == ("completed", "failed")

    # When Flower is asked, then each has a task with a readable name, its id and its outcome
    task = flower.task_of(completed["job_id"], "SUCCESS")
    assert task["name"] == PROCESS_JOB
    assert task["runtime"] > 0
    assert task["worker"].startswith("clipzy@")

    task = flower.task_of(failed["job_id"], "FAILURE")
    assert task["name"] == PROCESS_JOB
    assert failed["error"]["code"] in task["exception"]
    assert task["timestamp"] > task["started"] > 0


@pytest.mark.usefixtures("jobs")
def test_it_counts_waiting_jobs(flower: FlowerApi) -> None:
    lengths = flower.get("/api/queues/length")["active_queues"]
    assert sorted(lengths, key=itemgetter("name")) == [
        {"name": "batch", "messages": 0},
        {"name": "interactive", "messages": 0},
    ]


@pytest.mark.parametrize("path", ["/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks"])
def test_nothing_is_shown_without_the_login(flower: FlowerApi, path: str) -> None:
    assert requests.get(flower.url + path, timeout=30).status_code == 401
    assert requests.get(flower.url + path, auth=(LOGIN[0], "wrong"), timeout=30).status_code == 401
    assert requests.get(flower.url + path, auth=LOGIN, timeout=30).status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/healthcheck"])
def test_health_and_metrics_need_no_login(flower: FlowerApi, path: str) -> None:
    answer = requests.get(flower.url + path, timeout=30)
    assert answer.status_code == 200
    assert "secret" not in answer.text


@pytest.mark.usefixtures("jobs")
def test_it_changes_nothing(flower: FlowerApi) -> None:
    (worker,) = flower.get("/api/workers")
    for path in (
        f"worker/shutdown/{worker}",
        f"worker/pool/grow/{worker}",
        f"worker/queue/cancel-consumer/{worker}?queue=interactive",
        "task/revoke/some-task?terminate=true",
        f"task/async-apply/{PROCESS_JOB}",
        f"task/send-task/{PROCESS_JOB}",
    ):
        answer = requests.post(f"{flower.url}/api/{path}", auth=LOGIN, json={"args": ["job_x"]}, timeout=30)
        assert answer.status_code == 403, path


@pytest.mark.usefixtures("jobs")
def test_no_password_is_in_its_command_line_or_its_output(flower: FlowerApi) -> None:
    command = Path(f"/proc/{flower.process.pid}/cmdline").read_text()
    pages = requests.get(flower.url + "/broker", auth=LOGIN, timeout=30).text + flower.process.output()
    for secret in (LOGIN[1], REDIS_PASSWORD):
        assert secret not in command
        assert secret not in pages
    assert "flower" in command
    assert "Traceback" not in flower.process.output()


def test_it_runs_without_redis_and_stops_immediately(tmp_path: Path) -> None:
    # Given a Flower whose Redis does not answer
    port = free_port()
    settings = {"FLOWER_BASIC_AUTH": "a:b", "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with Deployment(tmp_path, redis_url=None) as stack:
        process = stack.run("flower", "--port", str(port), settings=settings).wait_for_log("flower.ready")
        assert eventually(lambda: requests.get(f"http://127.0.0.1:{port}/healthcheck", timeout=5).ok, "its health")

        # When it is signalled to stop, then it does
        process.send(signal.SIGTERM)
        assert process.wait(4) == 0


def test_it_finds_a_deployment_that_starts_later(tmp_path: Path, own_redis: RedisServer, clip: Path) -> None:
    # Given a Flower next to a Redis that belongs to no deployment yet
    settings = {"FLOWER_BASIC_AUTH": ":".join(LOGIN)}
    port, empty = free_port(), own_redis.url.removesuffix("/0") + "/3"
    members.open_fresh(RedisDatabase(empty))
    with Deployment(tmp_path, redis_url=empty) as stack:
        process = stack.run("flower", "--port", str(port), settings=settings).wait_for_log("flower.ready")
        # When a worker and a front end start
        stack.worker()
        process.wait_for_log("flower.restarting")
        eventually(lambda: process.output().count("flower.ready") == 2, "a Flower that starts again")
        # Then it shows their jobs
        flower, api = FlowerApi(port, process), stack.web()
        eventually(lambda: flower.get("/api/workers?refresh=1"), "a worker that Flower knows")
        assert flower.task_of(api.finished(api.upload(clip)["job_id"])["job_id"], "SUCCESS")


def test_a_taken_port_is_one_clear_line(flower: FlowerApi, stack: Deployment) -> None:
    port = flower.url.rpartition(":")[2]
    second = stack.run("flower", "--port", port, settings={"FLOWER_BASIC_AUTH": "a:b"})
    assert second.wait() == 1
    assert "Address already in use" in second.output()
    assert "Traceback" not in second.output()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "FLOWER_BASIC_AUTH is missing, and Flower does not start without a password. Set it to user:password."),
        ({"FLOWER_BASIC_AUTH": " "}, "FLOWER_BASIC_AUTH is missing"),
        ({"FLOWER_BASIC_AUTH": "hunter2"}, "FLOWER_BASIC_AUTH is wrong. Set it to user:password"),
        ({"FLOWER_BASIC_AUTH": "a:hunter2,b:"}, "FLOWER_BASIC_AUTH is wrong"),
        ({"FLOWER_BASIC_AUTH": "a:hünter2"}, "FLOWER_BASIC_AUTH is wrong"),
        ({"FLOWER_BASIC_AUTH": "a:b", "STORAGE_TYPE": "tape"}, "STORAGE_TYPE=tape is wrong"),
    ],
)
def test_without_a_login_it_does_not_start(tmp_path: Path, given: dict[str, str], complaint: str) -> None:
    done = _flower(tmp_path, given)
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"clipzy: {complaint}")
    assert "nter2" not in line


def test_if_it_is_not_installed_it_prints_how_to_install_it(tmp_path: Path) -> None:
    # Given an environment without Flower
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['flower.app'] = None\n")

    done = _flower(tmp_path, {"FLOWER_BASIC_AUTH": "a:b", "PYTHONPATH": str(hidden)})

    assert done.returncode == 78
    words = [sys.executable, "-m", "pip", "install", "--editable", f"{DEPLOY.parents[1]}[flower]"]
    assert done.stderr.splitlines() == [f"clipzy: Flower is not installed. Install it with: {shlex.join(words)}"]


def _flower(directory: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [*CLIPZY, "flower", "--port", str(free_port())]
    path = {"PATH": str(Path(sys.executable).parent)}
    return subprocess.run(
        command, cwd=directory, env=path | env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.usefixtures("flower", "jobs")
def test_a_start_checks_the_right_to_everything_that_is_sent(own_redis: RedisServer) -> None:
    """A command that is missing in the table of ``redis_check`` would be refused only when it is needed."""
    checked = {command.split()[0].lower() for use in redis_check.COMMANDS.values() for command in use}
    checked |= {"multi", "exec", "watch", "evalsha", "script|load", "script|exists", "psubscribe", "info"}
    of_connections = {"auth", "hello", "select", "client|setinfo", "client|setname", "unwatch", "punsubscribe"}
    of_this_test = {"acl|setuser", "config|get"}
    sent = {name.removeprefix("cmdstat_") for name in own_redis.admin.info("commandstats")}
    assert sent <= checked | of_connections | of_this_test
