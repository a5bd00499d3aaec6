"""Redis loses its data, or is rolled back, under a whole deployment at work."""

import hashlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_client import TERMINAL, ApiClient
from tests.support.deployment import SHORT_LEASE, Deployment
from tests.support.processes import Process, media_process_below
from tests.support.servers import RedisServer, running_redis
from tests.support.waiting import eventually


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def deployment(tmp_path: Path, server: RedisServer) -> Iterator[Deployment]:
    with Deployment(tmp_path / "deployment", redis_url=server.url, **SHORT_LEASE) as deployment:
        yield deployment


class Past:
    """A deployment with jobs of every kind, and what callers have seen of them."""

    def __init__(self, deployment: Deployment, worker: Process, clip: Path, long_clip: Path) -> None:
        self.deployment, self.worker, self.api = deployment, worker, deployment.web()
        self.deleted = self.api.run(clip)
        self.completed = self.api.run(clip)
        self.result = self.digest_of(self.completed["job_id"])
        self.running = self.api.upload(long_clip)["job_id"]
        media_process_below(worker.pid)
        self.waiting = self.api.upload(clip)["job_id"]
        self.cancelled = self.api.upload(clip)["job_id"]

    def go_on(self, *, with_deletion: bool = True) -> None:
        """What happens after the moment that Redis is rolled back to."""
        assert self.api.post(f"/jobs/{self.cancelled}/cancel").json()["status"] == "cancelled"
        self.listed = {self.running, self.waiting, self.cancelled, self.completed["job_id"], self.deleted["job_id"]}
        if with_deletion:
            assert self.api.delete(f"/jobs/{self.deleted['job_id']}").status_code == 204
            self.listed.remove(self.deleted["job_id"])

    def digest_of(self, job_id: str) -> str:
        index = self.api.get(f"/storage/results/{job_id}/output.json")
        assert index.status_code == 200
        return hashlib.sha256(index.content).hexdigest()

    def is_kept(self) -> None:
        """All that clients were answered is true again."""
        eventually(self.api.is_ready, "a front end that is ready")
        for job_id in (self.running, self.waiting):
            assert self.finished(job_id)["status"] == "completed"
        assert self.finished(self.cancelled)["status"] == "cancelled"
        assert self.finished(self.completed["job_id"]) == self.completed
        assert self.digest_of(self.completed["job_id"]) == self.result
        listed = {job["job_id"] for job in self.api.get("/jobs?page_size=100").json()["jobs"]}
        assert listed == self.listed
        # And nothing was done twice that left a trace
        for job_id in (self.running, self.waiting):
            assert len(list((self.deployment.storage / "results" / job_id / "attempts").iterdir())) == 1
        assert list((self.deployment.storage / "jobs" / "open").iterdir()) == []
        assert self.worker.is_running()

    def shown(self, job_id: str) -> Any:
        answer = self.api.get(f"/jobs/{job_id}")
        return answer.json() if answer.status_code == 200 else None

    def finished(self, job_id: str) -> Any:
        def ask() -> Any:
            job = self.shown(job_id)
            return job if job and job["status"] in TERMINAL else None

        return eventually(ask, f"the terminal state of {job_id}")


@pytest.fixture
def past(deployment: Deployment, clip: Path, long_clip: Path) -> Past:
    return Past(deployment, deployment.worker(), clip, long_clip)


def empty(server: RedisServer) -> None:
    server.forget_everything(open_guard=True)


def replace(server: RedisServer) -> None:
    server.restart_from_copy()  # none was kept


@pytest.mark.parametrize("lose", [empty, pytest.param(replace, marks=pytest.mark.long)])
def test_an_empty_redis(past: Past, server: RedisServer, lose: Callable[[RedisServer], None]) -> None:
    """Without the rebuild the running and the waiting job stay queued for ever."""
    past.go_on()
    lose(server)
    past.is_kept()


@pytest.mark.long
def test_a_redis_from_an_old_append_only_file(past: Past, server: RedisServer) -> None:
    """Without the check of storage after a claim the cancelled job is processed, and shown as completed."""
    # Given a copy of the file from before the jobs finished
    past.worker.send(signal.SIGSTOP)
    server.save_copy()
    past.worker.send(signal.SIGCONT)
    past.go_on(with_deletion=False)  # a deletion is believed after minutes: tests/maintenance/test_recovery.py
    assert past.finished(past.waiting)["status"] == "completed"
    results = {job_id: past.digest_of(job_id) for job_id in (past.running, past.waiting)}
    # When Redis starts from it, and the worker believes it at first
    server.restart_from_copy()
    # Then every job has its outcome, and no result has changed
    past.is_kept()
    assert {job_id: past.digest_of(job_id) for job_id in results} == results


def test_recover_by_hand(deployment: Deployment, server: RedisServer, clip: Path) -> None:
    # Given two jobs that wait, no worker, and a Redis that has forgotten them
    api = deployment.web()
    jobs = [api.upload(clip)["job_id"] for _ in range(2)]
    server.forget_everything(open_guard=True)
    # When an operator recovers them, twice
    first, second = (deployment.run("recover") for _ in range(2))
    # Then the first lists them, and the other has nothing to do
    outputs = sorted((one.wait(), one.output()) for one in (first, second))
    assert [status for status, _ in outputs] == [0, 0]
    assert sum(output.count("waiting    job_") for _, output in outputs) == 2
    deployment.worker()
    assert [api.finished(job_id)["status"] for job_id in jobs] == ["completed", "completed"]


@pytest.mark.long
def test_a_look_up_that_misses_redis_reads_storage(deployment: Deployment, server: RedisServer, clip: Path) -> None:
    # Given a finished job, a waiting one, and a Redis that knows neither; no worker is there to rebuild it
    api: ApiClient = deployment.web()
    worker = deployment.worker()
    completed = api.run(clip)
    worker.stop()
    waiting = api.upload(clip)["job_id"]
    server.forget_everything(open_guard=True)
    # Then both are found
    assert api.job(completed["job_id"]) == completed
    assert api.get(f"/jobs/{completed['job_id']}/result").status_code == 200
    assert api.job(waiting)["status"] == "queued"
    # And what is done to them holds
    eventually(api.is_ready, "a front end that is ready")
    assert api.post(f"/jobs/{waiting}/cancel").json()["status"] == "cancelled"
    assert api.delete(f"/jobs/{completed['job_id']}").status_code == 204
    assert api.get(f"/jobs/{completed['job_id']}").status_code == 404
