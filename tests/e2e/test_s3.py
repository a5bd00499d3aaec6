"""The main job with its files in a bucket: several workers, none of whom shares a disk with another."""

import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from clipzy_storage.output import Output
from tests import s3_servers
from tests.s3_servers import S3Server
from tests.stack import Stack, eventually, free_port


@pytest.fixture(params=["moto", "rclone"])
def server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.new_bucket()


@pytest.fixture
def stack(tmp_path: Path, redis_url: str, server: S3Server, bucket: str) -> Iterator[Stack]:
    settings = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": bucket, "WORKER_COUNT": "2", **server.env}
    with Stack(tmp_path / "deployment", redis_url=redis_url, **settings) as stack:
        yield stack


def test_a_video_goes_through_a_bucket(stack: Stack, server: S3Server, bucket: str, clip: Path, tmp_path: Path) -> None:
    # Given a front end and two workers that share nothing but the bucket
    api = stack.web()
    for number in (1, 2):
        stack.worker(CLIPZY_DATA_DIR=str(tmp_path / f"machine-{number}"))
    # When four videos are uploaded
    jobs = [api.finished(api.upload(clip)["job_id"]) for _ in range(4)]
    # Then all complete, with links that are signed and die
    assert [job["status"] for job in jobs] == ["completed"] * 4
    job = jobs[0]
    assert "X-Amz-Signature=" in job["result"]["storage_url"]
    assert job["result"]["expires_at"] > job["finished_at"]
    # And the links lead to what the index says, without the front end
    output = Output.model_validate(requests.get(job["result"]["storage_url"], timeout=30).json())
    assert output.source.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    result = api.get(f"/jobs/{job['job_id']}/result").json()
    for artifact, linked in zip(output.artifacts, result["artifacts"], strict=True):
        content = requests.get(linked["storage_url"], timeout=30)
        assert content.headers["Content-Type"] == artifact.content_type
        assert hashlib.sha256(content.content).hexdigest() == artifact.sha256
    # And so does the link that does not rot
    moved = api.get(f"/jobs/{job['job_id']}/files/poster.jpg", allow_redirects=False)
    assert (moved.status_code, moved.headers["Cache-Control"]) == (302, "no-store")
    assert requests.get(moved.headers["Location"], timeout=30).headers["Content-Type"] == "image/jpeg"
    # And the front end serves no file itself, and the bucket holds no leftovers
    assert api.get(f"/storage/results/{job['job_id']}/output.json").status_code == 404
    assert server.unfinished(bucket) == []
    assert {key.split("/")[0] for key in server.keys(bucket)} == {".clipzy", "uploads", "jobs", "results"}
    assert not list(tmp_path.glob("machine-*/work/job_*"))


def test_a_stopped_worker_s_job_is_done_by_another(stack: Stack, long_clip: Path, tmp_path: Path) -> None:
    # Given a worker in the middle of a job
    api = stack.web()
    first = stack.worker(CLIPZY_DATA_DIR=str(tmp_path / "machine-1"))
    job = api.upload(long_clip)
    api.working(job["job_id"])
    # When it is killed, and another comes
    first.send(signal.SIGKILL)
    stack.worker(CLIPZY_DATA_DIR=str(tmp_path / "machine-2"))
    # Then the job ends there, by its second attempt
    job = api.finished(job["job_id"])
    assert (job["status"], job["attempt"]) == ("completed", 2)


def test_another_bucket_is_refused(stack: Stack, server: S3Server, bucket: str) -> None:
    # Given a deployment on one bucket
    stack.web()
    # When a worker comes with another
    other = server.new_bucket()
    worker = stack.run("worker", settings={"S3_BUCKET_NAME": other})
    # Then it stops, and says which is which, and leaves nothing in the wrong one
    assert worker.ends() == 78
    assert f"s3://{other} on 127.0.0.1" in worker.output()
    assert f"s3://{bucket} on 127.0.0.1" in worker.output()
    assert "S3_BUCKET_NAME" in worker.output()
    assert server.keys(other) == []


def test_a_disk_is_refused_where_a_bucket_is_in_use(stack: Stack) -> None:
    stack.web()
    worker = stack.run("worker", settings={"STORAGE_TYPE": "local", "WORKER_COUNT": "1"})
    assert worker.ends() == 78
    assert "is not the one in use" in worker.output()
    assert not stack.storage.exists()


def test_a_damaged_upload_is_told_from_a_bad_file(stack: Stack, server: S3Server, bucket: str, clip: Path) -> None:
    # Given an upload of which a byte was lost in the store
    api = stack.web()
    job = api.upload(clip)
    (key,) = (key for key in server.keys(bucket) if key.endswith("source.mp4"))
    damaged = bytearray(clip.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    server.client.put_object(Bucket=bucket, Key=key, Body=bytes(damaged))
    # When a worker takes the job
    stack.worker()
    # Then it fails as our fault, after a second look
    job = api.finished(job["job_id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "PROCESSING_FAILED")
    assert "not what was uploaded" in job["error"]["message"]


def test_processes_wait_for_a_store_that_comes_later(tmp_path: Path, redis_url: str, clip: Path) -> None:
    # Given a front end and a worker whose store does not run yet
    port = free_port()
    (tmp_path / "moto").mkdir()
    env = S3Server("moto", f"http://127.0.0.1:{port}", None).env  # type: ignore[arg-type] # nobody runs there yet
    settings = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": "late-bucket", **env}
    with Stack(tmp_path / "deployment", redis_url=redis_url, **settings) as stack:
        api = stack.api(free_port())
        stack.run("web", "--port", api.url.rpartition(":")[2])
        worker = stack.run("worker").says("storage")
        # Then the front end lives, is not ready and says why, and refuses uploads
        eventually(api.is_reachable, "a front end that listens")
        assert api.get("/readyz").status_code == 503
        assert api.get("/readyz").json()["storage"] == "unavailable"
        with clip.open("rb") as stream:
            refused = api.post("/jobs", files={"file": stream})
        assert (refused.status_code, refused.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
        # When the store comes, then both go on by themselves
        with s3_servers.running("moto", tmp_path / "moto", port=port) as server:
            server.client.create_bucket(Bucket="late-bucket")
            eventually(api.is_ready, "a front end that is ready")
            worker.says("worker.ready")
            assert api.finished(api.upload(clip)["job_id"])["status"] == "completed"
            for process in reversed(stack.processes):
                assert process.stop() == 0
