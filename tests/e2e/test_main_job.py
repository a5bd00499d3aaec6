"""The main job on real processes: Redis, front end, workers, and a client over HTTP."""

import hashlib
import json
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import redis

from clipzy_api.task_queue import TaskQueue
from clipzy_storage import keys
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.log_events import WORKER_READY
from clipzy_storage.models.output import Output
from clipzy_storage.models.records import Queue
from clipzy_worker.stages import STAGES
from tests.support.api_client import ApiClient
from tests.support.broker import broker_key
from tests.support.deployment import Deployment, on_own_redis
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A front end and a worker for several tests."""
    with on_own_redis(tmp_path_factory.mktemp("main-job")) as deployment:
        deployment.worker()
        yield deployment


@pytest.fixture(scope="module")
def shared_api(at_work: Deployment) -> ApiClient:
    return at_work.web()


STAGE_NAMES = [stage.name for stage in STAGES]


def test_a_video_goes_through_the_whole_system(deployment: Deployment, api: ApiClient, clip: Path) -> None:
    # Given a deployment with one worker
    deployment.worker()
    # When a client uploads a video and follows its job
    answer = api.post("/jobs", files={"file": ("../holiday film.mp4", clip.read_bytes())})
    accepted = answer.json()
    job = api.finished(accepted["job_id"])
    # Then it was accepted immediately, and completed
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"/api/v1/jobs/{job['job_id']}")
    assert accepted["status"] == "queued"
    assert (job["status"], job["progress_percent"], job["attempt"], job["error"]) == ("completed", 100, 1, None)
    assert job["filename"] == "holiday film.mp4"
    assert job["result"] == {"storage_url": f"/storage/results/{job['job_id']}/output.json", "expires_at": None}
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    # And its result is whole, valid, and describes the video
    output = Output.model_validate(api.get(job["result"]["storage_url"]).json())
    assert output.source.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert output.source.filename == "holiday film.mp4"
    assert len(output.shots) >= 2
    assert [shot.transition for shot in output.shots][:2] == ["start", "cut"]
    # And every artifact can be fetched, by both ways, as listed
    result = api.get(f"/jobs/{job['job_id']}/result").json()
    assert {"poster", "thumbnail"} <= {artifact.kind for artifact in output.artifacts}
    for artifact, linked in zip(output.artifacts, result["artifacts"], strict=True):
        for content in (api.get(linked["storage_url"]), api.get(f"/jobs/{job['job_id']}/files/{artifact.name}")):
            assert content.status_code == 200
            assert content.headers["Content-Type"].removesuffix("; charset=utf-8") == artifact.content_type
            assert (len(content.content), hashlib.sha256(content.content).hexdigest()) == (
                artifact.size_bytes,
                artifact.sha256,
            )
    # And storage holds the source, the records and the result, and nothing else
    directories = {key.split("/")[0] for key in deployment.stored()}
    assert directories == {"uploads", "jobs", "results"}
    assert [key for key in deployment.stored() if key.startswith("jobs/")] == [
        f"jobs/by-day/{job['finished_at'][:10]}/{job['job_id']}",
        f"jobs/done/{job['job_id']}.json",
    ]
    assert not list((deployment.directory / ".clipzy" / "work").glob("job_*"))


def test_durable_records_stand_before_the_answer_and_after_the_end(
    deployment: Deployment, api: ApiClient, clip: Path
) -> None:
    # Given a deployment without a worker
    job = api.upload(clip)
    # Then the accepted job's record and its video's lie in storage already
    record = json.loads((deployment.storage / "jobs" / "open" / f"{job['job_id']}.json").read_text())
    video = json.loads((deployment.storage / "uploads" / job["video_id"] / "video.json").read_text())
    for written in (record, video):
        assert (written["owner"], written["schema_version"]) == ("everyone", 1)
    assert record["storage_id"] == (deployment.storage / ".clipzy" / "storage-id").read_text().strip()
    # When a worker starts and processes it
    deployment.worker()
    job = api.finished(job["job_id"])
    # Then the open record has become the done one, which agrees with Redis
    eventually(lambda: not (deployment.storage / "jobs" / "open" / f"{job['job_id']}.json").exists(), "the end of open")
    done = json.loads((deployment.storage / "jobs" / "done" / f"{job['job_id']}.json").read_text())
    for field in ("status", "attempt", "progress_percent", "error", "video_id", "filename"):
        assert done[field] == job[field]


def test_one_upload_serves_several_jobs(at_work: Deployment, shared_api: ApiClient, clip: Path) -> None:
    # Given a video that was uploaded by itself
    api = shared_api
    before = at_work.stored()
    video = api.upload(clip, to="/videos")
    # When two jobs are made of it
    jobs = [api.post("/jobs", json={"video_id": video["video_id"]}).json() for _ in range(2)]
    results = [api.get(f"/jobs/{api.finished(job['job_id'])['job_id']}/result").json() for job in jobs]
    # Then both find the same in it, and there is one upload
    assert results[0]["shots"] == results[1]["shots"]
    assert results[0]["source"] == results[1]["source"]
    assert len([key for key in at_work.stored() if key.startswith("uploads/") and key not in before]) == 2


def test_progress_moves_inside_the_stage_and_never_falls(shared_api: ApiClient, long_clip: Path) -> None:
    api = shared_api
    job_id = api.upload(long_clip)["job_id"]
    seen: list[Any] = []

    def is_completed() -> bool:
        seen.append(api.job(job_id))
        return bool(seen[-1]["status"] == "completed")

    eventually(is_completed, "a completed job")
    percents = [job["progress_percent"] for job in seen]
    assert percents == sorted(percents)
    assert len(set(percents) - {0, 100}) >= 2
    for job in seen:
        assert (job["current_stage"] in STAGE_NAMES) == (job["status"] == "processing")
        assert (job["progress_percent"] == 100) == (job["status"] == "completed")


def test_a_notification_that_was_lost_is_sent_again(
    deployment: Deployment, api: ApiClient, redis_client: Any, redis_url: str, clip: Path
) -> None:
    # Given a job whose Celery message has vanished from the broker
    job = api.upload(clip)
    assert redis_client.delete(broker_key(redis_url)) == 1
    # When there is a worker
    deployment.worker(JOB_LEASE_SECONDS="2")
    # Then the job is done all the same
    assert api.finished(job["job_id"])["status"] == "completed"


def test_a_message_for_a_job_that_is_done_or_unknown_changes_nothing(
    at_work: Deployment, shared_api: ApiClient, clip: Path
) -> None:
    # Given a completed job
    api = shared_api
    before = api.run(clip)
    storage_id = (at_work.storage / keys.STORAGE_ID).read_text().strip()
    # When notifications about it and for jobs that never were arrive
    queue = TaskQueue(settings_from_env({"REDIS_URL": at_work.settings["REDIS_URL"]}), storage_id=lambda: storage_id)
    for job_id in (before["job_id"], before["job_id"], "job_00000000000000000000000000", "../../etc"):
        queue.notify_workers(job_id, Queue.INTERACTIVE)
    # Then the next job is done as ever, and the first is as it was
    assert api.run(clip)["status"] == "completed"
    assert api.job(before["job_id"]) == before


def test_two_jobs_at_a_time_where_the_worker_may(deployment: Deployment, api: ApiClient, long_clip: Path) -> None:
    deployment.worker(MAX_CONCURRENT_JOBS="2")
    jobs = [api.upload(long_clip)["job_id"] for _ in range(2)]
    eventually(lambda: all(api.job(job)["status"] == "processing" for job in jobs), "both at work at the same time")
    assert [api.finished(job)["status"] for job in jobs] == ["completed", "completed"]


def test_a_file_that_only_begins_like_a_video_is_its_owner_s_fault(
    at_work: Deployment, shared_api: ApiClient, tmp_path: Path
) -> None:
    # Given a text with the first bytes of an mp4
    api = shared_api
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"ffconcat version 1.0\nfile source.mp4\n" * 100)
    (worker, _) = at_work.processes
    # When it is submitted
    job = api.run(fake)
    # Then the job fails with a reason for a person, without a path, and leaves no result
    assert (job["status"], job["error"]["code"]) == ("failed", "INVALID_MEDIA")
    assert "/" not in job["error"]["message"]
    assert job["result"] is None
    assert [key for key in at_work.stored_of(job["job_id"]) if key.startswith("results/")] == []
    # And it is recorded as done, and logged in one line
    assert (at_work.storage / "jobs" / "done" / f"{job['job_id']}.json").exists()
    worker.wait_for_log("INVALID_MEDIA")
    assert "Traceback" not in worker.output()


def test_a_text_file_named_mp4_is_refused_at_upload(at_work: Deployment, shared_api: ApiClient, tmp_path: Path) -> None:
    before = [key for key in at_work.stored() if key.startswith("uploads/")]
    text = tmp_path / "notes.mp4"
    text.write_text("ffconcat version 1.0\nfile '/etc/passwd'\n")
    with text.open("rb") as stream:
        answer = shared_api.post("/jobs", files={"file": stream})
    assert (answer.status_code, answer.json()["code"]) == (422, "UNSUPPORTED_FORMAT")
    assert [key for key in at_work.stored() if key.startswith("uploads/")] == before


def test_listing_and_etag_over_real_jobs(deployment: Deployment, api: ApiClient, clip: Path) -> None:
    deployment.worker()
    jobs = [api.run(clip) for _ in range(2)]
    query = {"status": "completed", "page_size": 1}
    # While records are being reconciled, an outcome is shown from storage a moment before Redis has it.
    eventually(lambda: api.get("/jobs", params=query).json()["total"] == 2, "both jobs in the listing")
    listed = api.get("/jobs", params=query)
    assert listed.json() == {"jobs": [jobs[1]], "total": 2, "page": 1, "page_size": 1, "next_cursor": ANY}
    assert 'rel="next"' in listed.headers["Link"]
    seen = api.get(f"/jobs/{jobs[0]['job_id']}")
    assert seen.headers["ETag"].startswith('W/"')
    assert "Retry-After" not in seen.headers
    again = api.get(f"/jobs/{jobs[0]['job_id']}", headers={"If-None-Match": seen.headers["ETag"]})
    assert again.status_code == 304


def test_logs_are_objects_where_asked_and_hold_no_secret(deployment: Deployment, redis_url: str) -> None:
    password = redis_url.split(":")[2].split("@")[0]
    worker = deployment.worker(LOG_FORMAT="json", LOG_LEVEL="DEBUG")
    worker.stop()
    lines = worker.output().splitlines()
    assert WORKER_READY in {json.loads(line)["event"] for line in lines}
    assert all(datetime.fromisoformat(json.loads(line)["timestamp"]) for line in lines)
    assert password not in worker.output()


def test_an_idle_worker_stops_immediately(deployment: Deployment) -> None:
    worker = deployment.worker()
    worker.send(signal.SIGINT)
    assert worker.wait() == 0
    assert "Traceback" not in worker.output()


def test_the_broker_may_be_another_redis(deployment: Deployment, redis_url: str, clip: Path) -> None:
    # Given a broker apart from the job records
    broker_url = redis_url.removesuffix("/0") + "/1"
    deployment.settings["CELERY_BROKER_URL"] = broker_url
    api = deployment.web()
    job = api.upload(clip)
    # Then the message waits there, and the record is where it always is
    with redis.Redis.from_url(broker_url) as broker, redis.Redis.from_url(redis_url) as records:
        assert broker.llen(broker_key(redis_url)) == 1
        assert records.exists(f"clipzy:job:{job['job_id']}")
        assert not records.exists(broker_key(redis_url))
    # And the job is done
    deployment.worker()
    assert api.finished(job["job_id"])["status"] == "completed"
