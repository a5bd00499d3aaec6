"""Videos that workers fetch by their URL, whatever happens meanwhile: real processes, a real web server."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipzy_api.client import Client, JobFailed
from clipzy_storage.failpoints import Failpoint
from tests.e2e import shared_front_end
from tests.support.api_client import ApiClient
from tests.support.deployment import SHORT_LEASE, Deployment, claims_by
from tests.support.servers import RedisServer, running_redis
from tests.support.video_server import File, VideoServer, raw, redirect, running_video_server
from tests.support.waiting import eventually

SETTINGS = {"ALLOW_URL_IMPORT": "true", "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1/32", "PROCESSING_TIMEOUT_SECONDS": "60"}
SECRET = "canary-of-a-signature"
PATH = f"/holiday.mp4?X-Token={SECRET}"

api, deployment = shared_front_end.api, shared_front_end.deployment


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[Deployment]:
    settings = SETTINGS | SHORT_LEASE
    with Deployment(tmp_path_factory.mktemp("imports"), redis_url=redis.url, **settings) as deployment:
        yield deployment


@pytest.fixture
def videos(clip: Path) -> Iterator[VideoServer]:
    with running_video_server() as server:
        server.pages["/holiday.mp4"] = File(clip.read_bytes())
        yield server


@pytest.fixture
def gate(videos: VideoServer, clip: Path) -> Iterator[threading.Event]:
    """The server sends half of the video, and the rest only once this is set."""
    gate = threading.Event()
    videos.pages["/holiday.mp4"] = File(clip.read_bytes(), gate=gate)
    yield gate
    gate.set()


def submit(api: ApiClient, url: str) -> Any:
    answer = api.post("/jobs", json={"source_url": url})
    assert answer.status_code == 202, answer.text
    return answer.json()


def half_imported(api: ApiClient, job_id: str) -> Any:
    """The job, once its import is halfway."""
    found = api.working(job_id)
    assert found["current_stage"] == "import"
    return found


def uploaded(deployment: Deployment, job: Any) -> list[str]:
    """The files of its video."""
    return [key for key in deployment.stored() if key.startswith(f"uploads/{job['video_id']}/")]


def incoming(deployment: Deployment) -> set[Path]:
    return {path for path in (deployment.storage / ".clipzy" / "incoming").glob("*") if path.is_file()}


def is_kept_once(deployment: Deployment, job: Any, clip: Path) -> None:
    """The job is completed, and its video is there as any other, once."""
    assert job["status"] == "completed", job
    directory = deployment.storage / "uploads" / job["video_id"]
    assert sorted(path.name for path in directory.iterdir() if path.name != "sha256.json") == [
        "source.mp4",
        "video.json",
    ]
    assert (directory / "source.mp4").read_bytes() == clip.read_bytes()


def test_a_video_is_imported_analysed_and_deleted(
    deployment: Deployment, api: ApiClient, videos: VideoServer, gate: threading.Event, clip: Path
) -> None:
    # When a job with a URL is processed
    deployment.worker()
    job = submit(api, videos.url(PATH))
    events = api.get(f"/jobs/{job['job_id']}/events", stream=True)
    shown = half_imported(api, job["job_id"])
    assert 0 < shown["progress_percent"] < 30
    # Then its video is no one's to use or delete until it is whole
    assert api.get(f"/videos/{job['video_id']}").status_code == 404
    assert api.delete(f"/videos/{job['video_id']}").status_code == 404
    gate.set()
    done = api.finished(job["job_id"])
    is_kept_once(deployment, done, clip)
    # And it is a video like any other
    video = api.get(f"/videos/{job['video_id']}").json()
    source = api.get(f"/jobs/{job['job_id']}/result").json()["source"]
    assert (video["filename"], video["sha256"]) == ("holiday.mp4", source["sha256"])
    assert api.finished(api.post("/jobs", json={"video_id": job["video_id"]}).json()["job_id"])["status"] == "completed"
    assert api.delete(f"/videos/{job['video_id']}").status_code == 204
    # And the stages were seen in order
    stages = [json.loads(line[6:])["current_stage"] for line in events.text.splitlines() if line.startswith("data: ")]
    assert [stage for stage in dict.fromkeys(stages) if stage][:2] == ["import", "video_analysis"]
    # And the secret in its URL is nowhere
    assert [
        path for path in deployment.directory.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ] == []


def test_the_client_has_a_video_imported(
    deployment: Deployment, api: ApiClient, videos: VideoServer, clip: Path
) -> None:
    deployment.worker()
    with Client(f"http://127.0.0.1:{api.port}") as client:
        # When a URL is submitted twice under one key, Then there is one job as asked for, which is completed
        made = [
            client.submit_url(videos.url(PATH), config={"sprites": False}, queue="batch", idempotency_key="a-holiday")
            for _ in range(2)
        ]
        assert (made[0].job_id, made[0].config, made[0].queue) == (made[1].job_id, {"sprites": False}, "batch")
        job = client.wait(made[0].job_id, timeout_seconds=60)
        is_kept_once(deployment, job.model_dump(mode="json"), clip)
        # And one whose URL leads nowhere fails, without a word of the URL
        with pytest.raises(JobFailed) as failure:
            client.wait(client.submit_url(f"http://127.0.0.1:1/{SECRET}").job_id, timeout_seconds=60)
    assert (failure.value.code, SECRET in str(failure.value)) == ("IMPORT_FAILED", False)


def test_the_secrets_of_failed_imports_are_not_logged(
    deployment: Deployment, api: ApiClient, videos: VideoServer
) -> None:
    # Given jobs that fail in every way, at the most talkative log level
    worker = deployment.worker(LOG_LEVEL="DEBUG", MAX_CONCURRENT_JOBS="6")
    urls = [
        *(videos.url(f"/{name}?token={SECRET}") for name in ("absent", "broken", "holiday.mp4")),
        f"http://localhost:1/{SECRET}",
        f"http://127.0.0.1:1/{SECRET}",
        f"http://nowhere.invalid/{SECRET}",
    ]
    videos.pages["/absent"] = redirect(f"http://169.254.169.254/{SECRET}")
    videos.pages["/broken"] = raw(f"HTTP/1.1 200 OK\r\nbroken header {SECRET}\r\n\r\n".encode())
    videos.pages["/holiday.mp4"] = File(b"no video")
    failed = api.get("/jobs?status=failed").json()["total"]
    jobs = [submit(api, url) for url in urls]
    ended = [api.finished(job["job_id"]) for job in jobs]
    # Then each says what was wrong and shows nothing of the URL
    assert {(job["status"], job["error"]["code"], job["error"]["stage"]) for job in ended} == {
        ("failed", "IMPORT_FAILED", "import")
    }
    assert SECRET not in json.dumps(ended) + worker.output()
    assert api.get("/jobs?status=failed").json()["total"] == failed + len(urls)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_worker_that_is_lost_costs_the_download(
    deployment: Deployment, api: ApiClient, videos: VideoServer, gate: threading.Event, clip: Path, end: str
) -> None:
    # Given a worker in the middle of an import
    before = incoming(deployment)
    worker = deployment.worker()
    job = submit(api, videos.url(PATH))
    half_imported(api, job["job_id"])
    # When it is lost, or stopped
    if end == "kill":
        worker.kill()
    else:
        worker.send(signal.SIGTERM)
        worker.wait()
    gate.set()
    # Then another one imports the video anew; what a killed one has left under no name is swept after a day
    second = deployment.worker()
    is_kept_once(deployment, api.finished(job["job_id"]), clip)
    assert claims_by(second, job["job_id"]) == 1
    assert len(incoming(deployment) - before) == (1 if end == "kill" else 0)


@pytest.mark.parametrize("failpoint", ["import-published", "import-recorded"])
def test_a_worker_that_is_lost_after_an_import_costs_nothing(
    deployment: Deployment, api: ApiClient, videos: VideoServer, clip: Path, failpoint: Failpoint
) -> None:
    worker, orders = deployment.worker_with_failpoints()
    orders.order(failpoint, "exit-once")
    job = submit(api, videos.url(PATH))
    is_kept_once(deployment, api.finished(job["job_id"]), clip)
    assert claims_by(worker, job["job_id"]) == 2
    assert len(videos.requests) == 1


def test_a_loss_of_redis_costs_the_download(
    deployment: Deployment,
    api: ApiClient,
    videos: VideoServer,
    gate: threading.Event,
    redis: RedisServer,
    clip: Path,
) -> None:
    # Given one job in the middle of its import, and one that waits
    deployment.worker()
    running, waiting = (submit(api, videos.url(PATH)) for _ in range(2))
    half_imported(api, running["job_id"])
    # When Redis forgets everything
    redis.forget_everything(open_guard=True)
    gate.set()
    # Then both are completed, each with the video that was promised
    eventually(api.is_ready, "a front end that is ready")
    for job in (running, waiting):
        done = api.finished(job["job_id"])
        assert done["video_id"] == job["video_id"]
        is_kept_once(deployment, done, clip)


def test_an_import_is_cancelled_and_tried_once_more(
    deployment: Deployment, api: ApiClient, videos: VideoServer, gate: threading.Event, clip: Path
) -> None:
    # Given an import whose server is silent
    deployment.worker()
    job = submit(api, videos.url(PATH))
    half_imported(api, job["job_id"])
    # When it is cancelled, then it ends although the server still keeps its client waiting
    assert api.post(f"/jobs/{job['job_id']}/cancel").status_code == 202
    assert api.finished(job["job_id"])["status"] == "cancelled"
    assert not gate.is_set()
    assert uploaded(deployment, job) == []
    # And can be retried
    gate.set()
    again = api.post(f"/jobs/{job['job_id']}/retry").json()
    assert again["video_id"] != job["video_id"]
    is_kept_once(deployment, api.finished(again["job_id"]), clip)


def test_the_time_limit_of_the_job_covers_its_import(
    deployment: Deployment, api: ApiClient, videos: VideoServer, gate: threading.Event
) -> None:
    deployment.worker(PROCESSING_TIMEOUT_SECONDS="2")
    job = submit(api, videos.url(PATH))
    error = api.finished(job["job_id"])["error"]
    assert (error["code"], error["stage"]) == ("JOB_TIMEOUT", "import")
    assert not gate.is_set()
    assert uploaded(deployment, job) == []
