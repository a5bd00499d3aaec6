"""Jobs that are ended early: by the client, who cancels, or by the operator's time limit."""

from datetime import datetime, timedelta
from pathlib import Path

from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment
from tests.support.processes import commands_below, hold_media_process
from tests.support.waiting import eventually


def media_processes(pid: int) -> list[int]:
    return [child for child, line in commands_below(pid).items() if "clipzy_worker.analysis" in line]


def test_a_cancelled_job_leaves_nothing(deployment: Deployment, api: ApiClient, long_clip: Path, clip: Path) -> None:
    """Without the worker's check for cancellation requests it completes in spite of the 202."""
    # Given a job that is worked on, and one behind it
    worker = deployment.worker()
    running, waiting = api.upload(long_clip)["job_id"], api.upload(clip)["job_id"]
    media = hold_media_process(worker.pid)
    # When the first is cancelled, twice
    for _ in range(2):
        assert api.post(f"/jobs/{running}/cancel").status_code == 202
    # Then its media process exits, and the job is cancelled for good
    eventually(lambda: media not in media_processes(worker.pid), "the end of its process", seconds=10)
    job = api.finished(running)
    assert (job["status"], job["error"], job["result"]) == ("cancelled", None, None)
    refused = api.post(f"/jobs/{running}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "JOB_ALREADY_FINISHED")
    # And nothing of it is left but its record
    eventually(lambda: deployment.stored_of(running) == [f"jobs/done/{running}.json"], "no files")
    assert not list((deployment.directory / ".clipzy" / "work").glob(f"{running}*"))
    # And the same worker does the next one
    assert api.finished(waiting)["status"] == "completed"
    assert worker.is_running()
    # And what was cancelled can be tried once more, as a new job
    again = api.post(f"/jobs/{running}/retry").json()
    assert again["job_id"] != running
    api.working(again["job_id"])
    assert api.job(running) == job


def test_a_job_that_takes_too_long_fails(deployment: Deployment, api: ApiClient, long_clip: Path) -> None:
    """Without the deadline the job completes."""
    limit_seconds = 3  # long enough for its media process to be held, also where that takes long to start
    worker = deployment.worker(PROCESSING_TIMEOUT_SECONDS=str(limit_seconds))
    job_id = api.upload(long_clip)["job_id"]
    hold_media_process(worker.pid)
    job = api.finished(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "JOB_TIMEOUT")
    assert job["error"]["stage"] == "video_analysis"
    answer = api.get(f"/jobs/{job_id}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "JOB_TIMEOUT")
    started, finished = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    assert finished - started < timedelta(seconds=limit_seconds + 5)
    assert media_processes(worker.pid) == []
    assert [key for key in deployment.stored() if key.startswith("results/")] == []
    assert worker.is_running()
