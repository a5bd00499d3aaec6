"""The queues ``interactive`` and ``batch``, with real processes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from clipzy_storage.log_events import JOB_CLAIMED
from tests.e2e import shared_front_end
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment, claims_by, on_own_redis
from tests.support.processes import Process, clipzy
from tests.support.waiting import eventually

api, deployment = shared_front_end.api, shared_front_end.deployment


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with on_own_redis(tmp_path_factory.mktemp("two-queues")) as deployment:
        yield deployment


def submit(api: ApiClient, clip: Path, queue: str) -> Any:
    with clip.open("rb") as stream:
        answer = api.post("/jobs", files={"file": (clip.name, stream)}, data={"queue": queue})
    assert answer.status_code == 202, answer.text
    assert answer.json()["queue"] == queue
    return answer.json()["job_id"]


def claimed_by(worker: Process) -> list[str]:
    """The jobs that it claimed, in order."""
    return re.findall(rf"{JOB_CLAIMED} .*?job_id=(\w+)", worker.output())


def test_a_full_batch_delays_an_interactive_job_by_the_running_one_only(
    deployment: Deployment, api: ApiClient, clip: Path
) -> None:
    # Given one worker with one slot, at work on a job of batch, and more of them that wait
    worker, orders = deployment.worker_paused_at("claimed")
    running, *waiting = [submit(api, clip, "batch") for _ in range(4)]
    eventually(lambda: api.job(running)["status"] == "processing", "the first of them at work")
    # When interactive jobs are submitted last
    interactive = [submit(api, clip, "interactive") for _ in range(2)]
    orders.withdraw()
    # Then they are the next ones, and after them come the others in their order
    for job_id in (*interactive, *waiting):
        assert api.finished(job_id)["status"] == "completed"
    assert claimed_by(worker) == [running, *interactive, *waiting]


def test_the_order_lasts_when_the_broker_was_away(deployment: Deployment, api: ApiClient, clip: Path) -> None:
    worker, orders = deployment.worker_paused_at("claimed")
    running, *waiting = [submit(api, clip, "batch") for _ in range(3)]
    eventually(lambda: api.job(running)["status"] == "processing", "the first of them at work")
    # When every connection to Redis breaks meanwhile, and with it what the worker consumes
    with redis.Redis.from_url(deployment.settings["REDIS_URL"]) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    interactive = submit(api, clip, "interactive")
    orders.withdraw()
    # Then the interactive job is the next one all the same
    for job_id in (interactive, *waiting):
        assert api.finished(job_id)["status"] == "completed"
    assert claimed_by(worker) == [running, interactive, *waiting]


def test_a_worker_takes_its_queues_only(deployment: Deployment, api: ApiClient, clip: Path) -> None:
    # Given a worker for batch alone, and a job that waits in each queue
    interactive, batch = submit(api, clip, "interactive"), submit(api, clip, "batch")
    worker = deployment.worker(WORKER_QUEUES="batch", JOB_LEASE_SECONDS="2")
    # When it has done the one, and the reaper has looked several times
    assert api.finished(batch)["status"] == "completed"
    second = submit(api, clip, "batch")
    assert api.finished(second)["status"] == "completed"
    # Then the other one still waits, and the doctor says why
    assert api.job(interactive)["status"] == "queued"
    assert claims_by(worker, interactive) == 0
    told = clipzy("doctor", cwd=deployment.directory, **deployment.settings).stdout
    (line,) = [line for line in told.splitlines() if " queues " in line]
    assert line.startswith("warn ")
    assert "interactive: 1 job due, taken by no live worker; batch: 0 jobs due, taken by " in line
    assert line.endswith("Start a worker whose WORKER_QUEUES has interactive.")
    # And a worker that prefers batch takes it as well
    worker.stop()
    other = deployment.worker(WORKER_QUEUES="batch,interactive")
    assert api.finished(interactive)["status"] == "completed"
    assert claims_by(other) == 1
