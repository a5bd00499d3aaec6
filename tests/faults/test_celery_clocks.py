"""Clocks that are wrong by an hour, slow or fast: only that of Redis counts."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import wrong_clock
from tests.support.faulty_redis import FaultyRedisDeployment, deployment_on_faulty_redis

HOUR_SECONDS = 3600
LEASE_SECONDS = 2


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[FaultyRedisDeployment]:
    with deployment_on_faulty_redis(tmp_path / "clocks", JOB_LEASE_SECONDS=str(LEASE_SECONDS)) as deployment:
        yield deployment


@pytest.mark.long
def test_clocks_that_are_an_hour_off(deployment: FaultyRedisDeployment, clip: Path, tmp_path: Path) -> None:
    """With leases that run by the workers' own clocks the first job is taken from its worker while it is at work."""
    slow = wrong_clock.environment(tmp_path / "slow", seconds=-HOUR_SECONDS)
    fast = wrong_clock.environment(tmp_path / "fast", seconds=HOUR_SECONDS)
    # Given front ends and workers whose clocks are an hour slow and an hour fast, and a job at work with the slow one
    fronts = [deployment.web(**slow), deployment.web(**fast)]
    deployment.workers.append(deployment.worker(LOCAL_STORAGE_SHARED="true", **slow))
    (held,) = deployment.held_jobs(clip, count=1)
    deployment.workers.append(deployment.worker(LOCAL_STORAGE_SHARED="true", **fast))
    slow_worker, fast_worker = deployment.workers
    assert "clock.wrong" in slow_worker.output()
    assert "clock.wrong" in fast_worker.output()
    # When jobs are submitted to both, for as long as it takes a lease to expire twice
    sent: list[Any] = []
    began_at = time.monotonic()
    while time.monotonic() - began_at < 3 * LEASE_SECONDS or len(sent) < 4:
        sent.append(fronts[len(sent) % 2].upload(clip))
        deployment.api.finished(sent[-1]["job_id"])
    # Then the first is still where it was, and all are done once
    deployment.let_go()
    jobs = [held, *(job["job_id"] for job in sent)]
    assert deployment.outcomes(jobs) == [("completed", 1)] * len(jobs)
    # And times are those of Redis, and so is the order
    for job in (deployment.api.job(job_id) for job_id in jobs):
        begun = datetime.fromisoformat(job["created_at"])
        assert begun <= datetime.fromisoformat(job["started_at"]) <= datetime.fromisoformat(job["finished_at"])
        assert abs(begun - datetime.now(UTC)) < timedelta(seconds=HOUR_SECONDS / 2)
    listed = deployment.api.get("/jobs?page_size=100").json()["jobs"]
    assert [job["job_id"] for job in listed] == jobs[::-1]
