"""A worker that sees what the front end writes only later, as over a network filesystem with cached lookups.

Worker and front end work on two directories with one identity, and the test carries files from one to the other when it
is time: so what the worker does not see is really not there.
"""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.keys import REDIS_PREFIX
from clipzy_storage.log_events import JANITOR_REBUILT, JOB_CLAIMED, JOB_FILE_NOT_VISIBLE_YET
from clipzy_worker.processing.prior_results import VISIBILITY_DELAY
from tests.support.deployment import SHORT_LEASE, Deployment, log_times
from tests.support.waiting import eventually

FIRST_DELAY_SECONDS = 10  # after the first failure of storage


def carry(key: str, source: Path, target: Path, *, size_bytes: int | None = None) -> None:
    """Let a file appear, whole or cut, in one step."""
    (target / key).parent.mkdir(parents=True, exist_ok=True)
    unfinished = target / ".clipzy" / key.replace("/", "-")
    unfinished.write_bytes((source / key).read_bytes()[:size_bytes])
    unfinished.rename(target / key)


def let_visibility_delay_pass(client: Any, job_id: str) -> None:
    """The job was created so long ago that all its files should be visible."""
    passed_ms = int(VISIBILITY_DELAY.total_seconds() * 1000)
    client.hincrby(f"{REDIS_PREFIX}job:{job_id}", "created_ms", -passed_ms)


@pytest.mark.long
def test_files_that_appear_late_are_waited_for_and_those_that_never_do_are_named(
    tmp_path: Path, redis_url: str, redis_client: Any, clip: Path
) -> None:
    """Without the check of its size the second job is called invalid media."""
    here, there = tmp_path / "here", tmp_path / "there"
    with Deployment(tmp_path, redis_url=redis_url, LOCAL_STORAGE_PATH=str(here), **SHORT_LEASE) as deployment:
        api = deployment.web()
        carry(".clipzy/storage-id", here, there)
        worker = deployment.worker(LOCAL_STORAGE_PATH=str(there))
        worker.wait_for_log(JANITOR_REBUILT).send(signal.SIGSTOP)
        # Given an upload that the worker does not see, one of which it sees the half, and one that it never sees
        jobs = {name: api.upload(clip) for name in ("unseen", "cut", "lost")}
        keys = {name: f"uploads/{job['video_id']}/source.mp4" for name, job in jobs.items()}
        carry(keys["cut"], here, there, size_bytes=clip.stat().st_size // 2)
        # When it tries them, then it waits for all three
        worker.send(signal.SIGCONT)
        for job in jobs.values():
            worker.wait_for_event(JOB_FILE_NOT_VISIBLE_YET, job_id=job["job_id"])
        # And completes what has appeared when it tries again
        for name in ("unseen", "cut"):
            carry(keys[name], here, there)
        let_visibility_delay_pass(redis_client, jobs["lost"]["job_id"])
        for name in ("unseen", "cut"):
            job = api.finished(jobs[name]["job_id"])
            assert (job["status"], job["attempt"], job["error"]) == ("completed", 2, None), name
            first, second = log_times(worker, JOB_CLAIMED, job_id=job["job_id"])
            assert (second - first).total_seconds() >= FIRST_DELAY_SECONDS - 0.5
        # And fails, after the visibility delay, what has not; and names what may be wrong
        job = api.finished(jobs["lost"]["job_id"])
        assert (job["status"], job["error"]["code"]) == ("failed", "PROCESSING_FAILED")
        assert "do not share one storage" in job["error"]["message"]
        assert str(tmp_path) not in job["error"]["message"]
        # And what it wrote the front end sees late in its turn
        job_id = jobs["cut"]["job_id"]
        assert api.get(f"/jobs/{job_id}/result").status_code == 404
        shutil.copytree(there / "results", here / "results")
        assert api.get(f"/jobs/{job_id}/result").json()["attempt"] == 2
        eventually(lambda: list(deployment.work_dir.iterdir()) == [], "scratch that is empty")
