"""``OWNER_MAX_RUNNING_JOBS`` with real processes: whose limit is reached waits, and stands in nobody's way."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment
from tests.support.processes import clipzy
from tests.support.waiting import eventually


@pytest.fixture
def deployment(tmp_path: Path, redis_url: str) -> Iterator[Deployment]:
    limits = {"CLIPZY_AUTH": "keys", "OWNER_MAX_RUNNING_JOBS": "1", "MAX_CONCURRENT_JOBS": "2"}
    with Deployment(tmp_path / "deployment", redis_url=redis_url, **limits) as deployment:
        yield deployment


@pytest.fixture
def owners(deployment: Deployment) -> list[ApiClient]:
    """A client for each of two owners."""
    port = deployment.web().port
    clients = []
    for owner in ("a", "b"):
        told = clipzy("keys", "create", owner, "--owner", owner, cwd=deployment.directory, **deployment.settings).stdout
        (key,) = [word for word in told.split() if word.startswith("clz_")]
        clients.append(deployment.client(port))
        clients[-1].http.headers["Authorization"] = f"Bearer {key}"
    return clients


def usage(client: ApiClient) -> tuple[int, int]:
    """Unfinished and running jobs."""
    found = client.get("/me").json()["usage"]
    return found["unfinished_jobs"], found["running_jobs"]


def test_jobs_of_another_owner_pass_and_the_next_starts_when_one_ends(
    deployment: Deployment, owners: list[ApiClient], clip: Path
) -> None:
    # Given a worker with two slots, and an owner with one job at work and more of them that wait
    first, second = owners
    _, orders = deployment.worker_paused_at("claimed")
    mine = [first.upload(clip)["job_id"] for _ in range(4)]
    eventually(lambda: first.job(mine[0])["status"] == "processing", "the first of them at work")
    # When another owner submits one, then the free slot takes that one
    theirs = second.upload(clip)["job_id"]
    eventually(lambda: second.job(theirs)["status"] == "processing", "the other owner's at work")
    assert [first.job(job_id)["status"] for job_id in mine] == ["processing", "queued", "queued", "queued"]
    assert usage(first) == (4, 1)
    assert usage(second) == (1, 1)
    # And when they go on, each of the first owner's starts as soon as the one before has ended, and never earlier
    orders.withdraw()
    ended = [first.finished(job_id) for job_id in mine]
    assert [job["status"] for job in ended] == ["completed"] * 4
    in_order = sorted(ended, key=lambda job: str(job["started_at"]))
    assert all(job["finished_at"] <= after["started_at"] for job, after in pairwise(in_order))
    assert {job["attempt"] for job in ended} == {1}
    assert second.finished(theirs)["status"] == "completed"
    assert usage(first) == (0, 0)


def test_the_loss_of_a_worker_makes_room_too(deployment: Deployment, owners: list[ApiClient], clip: Path) -> None:
    # Given an owner with a job at work, and one that waits since
    client = owners[0]
    worker, _ = deployment.worker_paused_at("claimed", JOB_LEASE_SECONDS="2")
    running, waiting = (client.upload(clip)["job_id"] for _ in range(2))
    eventually(lambda: "processing" in [client.job(each)["status"] for each in (running, waiting)], "one at work")
    # When the worker is killed, and another one starts
    worker.kill()
    deployment.worker(JOB_LEASE_SECONDS="2")
    # Then both are done
    assert [client.finished(job_id)["status"] for job_id in (running, waiting)] == ["completed", "completed"]
