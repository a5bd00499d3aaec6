"""Whatever happens to a worker in the middle of a job, the job is finished once and with one result."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_storage.log_events import JOB_LOST
from tests.e2e import shared_front_end
from tests.support.api_client import ApiClient
from tests.support.deployment import SHORT_LEASE, Deployment, on_own_redis
from tests.support.processes import commands_below, hold_media_process, media_process_below
from tests.support.waiting import eventually

api, deployment = shared_front_end.api, shared_front_end.deployment


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with on_own_redis(tmp_path_factory.mktemp("lost-workers"), **SHORT_LEASE) as deployment:
        yield deployment


def one_result(deployment: Deployment, api: ApiClient, job_id: str, *, attempt: int) -> None:
    """The job is completed by this attempt, and only what it wrote is left."""
    job = api.finished(job_id)
    assert (job["status"], job["attempt"], job["error"]) == ("completed", attempt, None)
    output = api.get(f"/jobs/{job_id}/result").json()
    assert output["attempt"] == attempt
    listed = {artifact["key"] for artifact in output["artifacts"]}
    (name,) = {key.split("/")[3] for key in listed}
    assert name.startswith(f"{attempt}-")
    results = {key for key in deployment.stored() if key.startswith(f"results/{job_id}/attempts/{name}/")}
    assert results == listed | {f"results/{job_id}/attempts/{name}/output.json"}
    eventually(lambda: not list((deployment.storage / "jobs" / "open").glob("*.json")), "an empty jobs/open")


def pool_child_below(pid: int) -> int:
    """The process that supervises the job: the parent of the one that decodes."""
    media = media_process_below(pid)
    return int(Path(f"/proc/{media}/stat").read_text().rpartition(")")[2].split()[1])


def test_sigkill_of_the_worker_ends_in_one_result(deployment: Deployment, api: ApiClient, long_clip: Path) -> None:
    # Given a worker in the middle of a job
    worker = deployment.worker()
    job_id = api.upload(long_clip)["job_id"]
    # When it is killed, while its decoder is in no state to notice a broken pipe
    media = hold_media_process(worker.pid)
    below = commands_below(worker.pid)
    worker.kill()
    # Then nothing of it runs on, least of all the decoder
    eventually(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in below), "the end of all it started")
    assert media in below
    # And its successor does the job, once
    deployment.worker()
    one_result(deployment, api, job_id, attempt=2)
    # And what the killed worker left in its scratch directory is gone
    assert [
        path for path in (deployment.directory / ".clipzy" / "work").iterdir() if path.name.startswith("job_")
    ] == []


def test_sigkill_of_the_pool_child_costs_an_attempt_and_not_the_worker(
    deployment: Deployment, api: ApiClient, long_clip: Path
) -> None:
    worker = deployment.worker()
    job_id = api.upload(long_clip)["job_id"]
    hold_media_process(worker.pid)
    os.kill(pool_child_below(worker.pid), signal.SIGKILL)
    one_result(deployment, api, job_id, attempt=2)
    assert worker.is_running()


def test_sigkill_of_the_media_process_is_tried_once_more(
    deployment: Deployment, api: ApiClient, long_clip: Path
) -> None:
    worker = deployment.worker()
    job_id = api.upload(long_clip)["job_id"]
    os.kill(media_process_below(worker.pid), signal.SIGKILL)
    one_result(deployment, api, job_id, attempt=2)


def test_a_media_process_that_dies_each_time_fails_the_job(
    deployment: Deployment, api: ApiClient, long_clip: Path
) -> None:
    # Given a job whose media process has been killed twice
    worker = deployment.worker()
    job_id = api.upload(long_clip)["job_id"]
    first = media_process_below(worker.pid)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: media_process_below(worker.pid) != first, "the second attempt")
    os.kill(media_process_below(worker.pid), signal.SIGKILL)
    # Then it has failed, by our fault and not the file's, and nothing is left of it
    job = api.finished(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "PROCESSING_FAILED")
    assert "crashed twice" in job["error"]["message"]
    assert [key for key in deployment.stored_of(job_id) if key.startswith("results/")] == []


def test_a_stopped_worker_puts_its_job_back_before_it_ends(
    deployment: Deployment, api: ApiClient, long_clip: Path
) -> None:
    # Given a worker in the middle of a job, whose lease has long to run
    worker = deployment.worker(JOB_LEASE_SECONDS="60")
    job_id = api.upload(long_clip)["job_id"]
    media = hold_media_process(worker.pid)
    # When it is stopped
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    # Then the job is queued again, no process decodes, and the next worker processes it
    job = api.job(job_id)
    assert (job["status"], job["current_stage"], job["error"]) == ("queued", None, None)
    assert not Path(f"/proc/{media}/exe").exists()
    deployment.worker()
    one_result(deployment, api, job_id, attempt=2)


def test_a_zombie_s_result_is_refused(deployment: Deployment, api: ApiClient, long_clip: Path) -> None:
    # Given two workers that share a declared mount, and a job whose supervisor is frozen
    declared = {"LOCAL_STORAGE_SHARED": "true"}
    first = deployment.worker(**declared)
    job_id = api.upload(long_clip)["job_id"]
    api.working(job_id)
    frozen = pool_child_below(first.pid)
    os.kill(frozen, signal.SIGSTOP)
    # When another is at it, and the frozen one wakes up
    try:
        deployment.worker(**declared)
        eventually(lambda: (job := api.job(job_id))["attempt"] == 2 and job["status"] == "processing", "a successor")
    finally:
        os.kill(frozen, signal.SIGCONT)
    # Then that one notices and deletes its files, and the other's result is the only one
    first.wait_for_log(JOB_LOST)
    one_result(deployment, api, job_id, attempt=2)
    assert len(list((deployment.storage / "results" / job_id / "attempts").iterdir())) == 1


def test_a_worker_ends_when_told_to_though_redis_goes_with_it(tmp_path: Path, long_clip: Path) -> None:
    # Given a worker in the middle of a job
    server = EmbeddedRedis(tmp_path / "redis")
    with Deployment(tmp_path / "deployment", redis_url=server.start()) as deployment:
        try:
            api = deployment.web()
            worker = deployment.worker()
            api.upload(long_clip)
            hold_media_process(worker.pid)
            # When it is stopped, and Redis is killed in the same moment
            worker.send(signal.SIGTERM)
            server.child.kill()
        finally:
            server.stop()
        # Then it exits all the same
        assert worker.wait() == 0
