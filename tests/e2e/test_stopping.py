"""A worker that is stopped releases its jobs, whatever it is in the middle of, or finishes them if it drains."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.failpoints import Failpoint
from clipzy_storage.log_events import (
    FAILPOINT_PAUSE,
    JOB_CLAIMED,
    WORKER_EXIT_FORCED,
    WORKER_INTERRUPTED,
    WORKER_STOPPING,
)
from clipzy_worker.runtime.shutdown import STOP_SECONDS
from tests.support.api_client import ApiClient
from tests.support.broker import broker_key
from tests.support.deployment import Deployment
from tests.support.processes import Frozen, Process, commands_below, descendants, media_processes_below
from tests.support.servers import running_redis
from tests.support.waiting import eventually

TAKEN_WITHIN_SECONDS = 5
# A lease that expires, or a notification that is sent again, would take longer than a test may.
SETTINGS = {"LOCAL_STORAGE_SHARED": "true", "WORKER_COUNT": "2", "JOB_LEASE_SECONDS": "600"}


@pytest.fixture
def deployment(tmp_path: Path, redis_url: str) -> Iterator[Deployment]:
    (tmp_path / "deployment/storage").mkdir(parents=True)
    with Deployment(tmp_path / "deployment", redis_url=redis_url, **SETTINGS) as deployment:
        yield deployment


def record(client: Any, job_id: str) -> dict[str, str]:
    found: dict[str, str] = client.hgetall(f"{keys.REDIS_PREFIX}job:{job_id}")
    return found


def held_below(client: Any, job_id: str, worker: Process) -> dict[str, str] | None:
    """The record of the job while this worker has it."""
    job = record(client, job_id)
    is_held = job["state"] == "running" and json.loads(job["holder"])["pid"] in descendants(worker.pid)
    return job if is_held else None


def put_back_and_taken(client: Any, jobs: list[str], stopped: Process, other: Process, below: dict[int, str]) -> None:
    """From the signal on: the other worker has the jobs in time, uncounted, and no process of the first is left."""
    for job_id in jobs:
        job = eventually(
            lambda job_id=job_id: held_below(client, job_id, other),  # type: ignore[misc]
            f"another worker with {job_id}",
            seconds=TAKEN_WITHIN_SECONDS,
        )
        assert job is not None
        assert (job.get("preempted"), job.get("lost"), job.get("crashed"), job["attempt"]) == ("1", None, None, "2")
    assert stopped.wait() == 0
    assert [pid for pid in below if Path(f"/proc/{pid}/exe").exists()] == []
    assert "Traceback" not in stopped.output()
    assert WORKER_EXIT_FORCED not in stopped.output()


@pytest.mark.parametrize(
    "step", ["claimed", *(pytest.param(step, marks=pytest.mark.long) for step in ("source-copied", "artifact-stored"))]
)
def test_a_job_is_put_back_from_whatever_step_it_is_in(
    deployment: Deployment, api: ApiClient, redis_client: Any, clip: Path, step: Failpoint
) -> None:
    """Without `Interruption` a job that is just being claimed is found by its lease only, and counted as lost."""
    # Given a worker in the middle of a step, and another that has nothing to do
    worker, orders = deployment.worker_paused_at(step)
    job_id = api.upload(clip)["job_id"]
    worker.wait_for_event(FAILPOINT_PAUSE, failpoint=step)
    other = deployment.worker()
    below = commands_below(worker.pid)
    # When it is stopped, and the step, if it must not be interrupted, ends a little later
    worker.send(signal.SIGTERM)
    worker.wait_for_log(WORKER_INTERRUPTED)
    orders.withdraw()
    # Then the other has the job
    put_back_and_taken(redis_client, [job_id], worker, other, below)
    assert api.finished(job_id)["status"] == "completed"


def test_a_committed_job_is_finished(deployment: Deployment, api: ApiClient, clip: Path) -> None:
    """Without `Interruption` the job stays between its commit and its completion until a reaper's pass."""
    # Given a worker that has just committed a job, and no other
    worker, orders = deployment.worker_paused_at("committed")
    job_id = api.upload(clip)["job_id"]
    worker.wait_for_event(FAILPOINT_PAUSE, failpoint="committed")
    # When it is stopped, then the job is completed before it exits
    worker.send(signal.SIGTERM)
    worker.wait_for_log(WORKER_INTERRUPTED)
    orders.withdraw()
    assert worker.wait() == 0
    assert (api.job(job_id)["status"], api.job(job_id)["attempt"]) == ("completed", 1)


def ways_to_stop(worker: Process, way: str) -> None:
    match way:
        case "the whole group":  # what honcho does
            os.killpg(worker.pid, signal.SIGTERM)
        case "Ctrl-C":  # what a terminal does
            os.killpg(worker.pid, signal.SIGINT)
        case "closed terminal":
            os.killpg(worker.pid, signal.SIGHUP)
        case "twice":
            worker.send(signal.SIGTERM)
            worker.wait_for_log(WORKER_STOPPING)
            worker.send(signal.SIGTERM)


@pytest.mark.long
@pytest.mark.parametrize("way", ["twice", "the whole group", "Ctrl-C", "closed terminal"])
def test_two_concurrent_jobs_are_put_back(
    deployment: Deployment, api: ApiClient, redis_client: Any, long_clip: Path, way: str
) -> None:
    """If the pool's processes obeyed signals to the group, Celery would report them lost, at length."""
    # Given a worker that stands still in the middle of two jobs, and another that has nothing to do
    worker = deployment.worker(MAX_CONCURRENT_JOBS="2")
    video_id = api.upload(long_clip, to="/videos")["video_id"]
    jobs = [api.post("/jobs", json={"video_id": video_id}).json()["job_id"] for _ in range(2)]
    eventually(lambda: len(media_processes_below(worker.pid)) == len(jobs), "two media processes")
    Frozen(media_processes_below(worker.pid))
    other = deployment.worker(MAX_CONCURRENT_JOBS="2")
    below = commands_below(worker.pid)
    # When it is stopped
    ways_to_stop(worker, way)
    # Then the other has both, immediately if that was requested
    put_back_and_taken(redis_client, jobs, worker, other, below)


@pytest.mark.long
def test_with_drain_running_jobs_are_finished_and_no_new_ones_kept(
    deployment: Deployment, api: ApiClient, redis_client: Any, clip: Path
) -> None:
    """Without `ReturnUnstarted` the worker keeps the second message until it has finished the first job."""
    # Given a worker that finishes its jobs, in the middle of one, with room for another
    worker, orders = deployment.worker_paused_at("artifact-stored", MAX_CONCURRENT_JOBS="2", CLIPZY_DRAIN="wait")
    first = api.upload(clip)["job_id"]
    worker.wait_for_event(FAILPOINT_PAUSE, failpoint="artifact-stored")
    # When it is stopped in the moment in which one arrives
    worker.send(signal.SIGSTOP)
    worker.send(signal.SIGTERM)
    second = api.post("/jobs", json={"video_id": api.job(first)["video_id"]}).json()["job_id"]
    worker.send(signal.SIGCONT)
    # Then another worker does that one, while the first job is finished where it was
    other = deployment.worker()
    eventually(
        lambda: record(redis_client, second)["state"] != "queued",
        "a worker that claims it",
        seconds=TAKEN_WITHIN_SECONDS,
    )
    assert api.finished(second)["status"] == "completed"
    other.wait_for_event(JOB_CLAIMED, job_id=second, attempt=1)
    assert worker.is_running()
    orders.withdraw()
    assert worker.wait() == 0
    assert (api.job(first)["status"], api.job(first)["attempt"]) == ("completed", 1)
    assert "Traceback" not in worker.output()


@pytest.mark.long
def test_a_second_signal_ends_draining(
    deployment: Deployment, api: ApiClient, redis_client: Any, redis_url: str, clip: Path
) -> None:
    # Given a worker that finishes its jobs, in the middle of one
    worker, _ = deployment.worker_paused_at("artifact-stored", CLIPZY_DRAIN="wait")
    job_id = api.upload(clip)["job_id"]
    worker.wait_for_event(FAILPOINT_PAUSE, failpoint="artifact-stored")
    # When it is stopped twice, then the job is queued again, with a notification
    worker.send(signal.SIGTERM)
    worker.wait_for_log(WORKER_STOPPING).send(signal.SIGTERM)
    assert worker.wait() == 0
    assert (record(redis_client, job_id)["state"], record(redis_client, job_id)["preempted"]) == ("queued", "1")
    assert redis_client.llen(broker_key(redis_url)) == 1
    assert "Traceback" not in worker.output()


@pytest.mark.long
def test_a_drained_worker_exits_without_redis(tmp_path: Path, clip: Path) -> None:
    """Without the limit of `Shutdown` it still waits for Redis when the test's timeout is over."""
    with (
        running_redis(tmp_path / "redis") as server,
        Deployment(tmp_path / "deployment", redis_url=server.url, CLIPZY_DRAIN="wait") as deployment,
    ):
        # Given a worker that finishes its job, which is its last step
        api = deployment.web()
        worker, orders = deployment.worker_paused_at("committed")
        job_id = api.upload(clip)["job_id"]
        worker.wait_for_event(FAILPOINT_PAUSE, failpoint="committed").send(signal.SIGTERM)
        worker.wait_for_log(WORKER_STOPPING)
        orders.withdraw()
        # When Redis hangs as soon as the job is completed
        assert api.finished(job_id)["status"] == "completed"
        server.freeze()
        # Then it exits all the same
        assert worker.wait(STOP_SECONDS + 5) == 0


@pytest.mark.long
def test_clipzy_up_waits_for_workers_that_drain(tmp_path: Path, long_clip: Path) -> None:
    """Without `drain` of the supervisor a job that takes longer than its timeout of 40 s is killed."""
    with Deployment(tmp_path, redis_url=None, CLIPZY_DRAIN="wait", JOB_LEASE_SECONDS="3") as deployment:
        # Given a whole service in the middle of a job, while another waits
        service, api = deployment.up()
        first, second = (api.upload(long_clip)["job_id"] for _ in range(2))
        api.working(first)
        # When it is stopped, then the first is finished before it exits
        service.send(signal.SIGTERM)
        assert service.wait() == 0
        assert [path.stem for path in (deployment.storage / "jobs/done").iterdir()] == [first]
        # When the next is stopped twice in the middle of the second, then it exits without having finished that
        service, api = deployment.up()
        api.working(second)
        service.send(signal.SIGINT)
        service.wait_for_log(WORKER_STOPPING)
        service.send(signal.SIGINT)
        assert service.wait() == 0
        assert [path.stem for path in (deployment.storage / "jobs/open").iterdir()] == [second]
        assert "SIGKILL" not in service.output()
