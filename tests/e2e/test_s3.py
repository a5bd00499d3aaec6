"""The main job with its files in a bucket: several workers, none of which shares a disk with another."""

import hashlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_storage.log_events import WORKER_READY
from clipzy_storage.models.output import Output
from tests.support import s3_servers
from tests.support.api_client import ApiClient
from tests.support.deployment import SHORT_LEASE, Deployment, s3_settings
from tests.support.processes import Process, free_port, hold_media_process
from tests.support.s3_servers import S3Server
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Scene:
    """A front end and two workers that share nothing but a bucket and a Redis."""

    deployment: Deployment
    api: ApiClient
    server: S3Server
    bucket: str

    @property
    def scratch(self) -> list[Path]:
        """What jobs have left on the workers' disks."""
        return list(self.deployment.directory.glob("machine-*/work/job_*"))


def start_worker(deployment: Deployment, number: int) -> Process:
    """A worker with another data directory, as on another machine."""
    data_dir = deployment.directory / f"machine-{number}"
    return deployment.run("worker", settings={"CLIPZY_DATA_DIR": str(data_dir)})


@pytest.fixture(scope="module", params=[pytest.param("moto", marks=pytest.mark.long), "rclone"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    directory, bucket = tmp_path_factory.mktemp("deployment"), server.new_bucket()
    settings = s3_settings(server, bucket)
    with EmbeddedRedis(directory / "redis") as url, Deployment(directory, redis_url=url, **settings) as deployment:
        workers = [start_worker(deployment, number) for number in (1, 2)]
        api = deployment.web()
        for worker in workers:
            worker.wait_for_log(WORKER_READY)
        yield Scene(deployment, api, server, bucket)


def test_a_video_goes_through_a_bucket(scene: Scene, clip: Path) -> None:
    # When videos are uploaded to a front end with two workers
    api, server, bucket = scene.api, scene.server, scene.bucket
    started = [api.upload(clip)["job_id"] for _ in range(2)]
    jobs = [api.finished(job_id) for job_id in started]
    # Then all complete, with links that are signed and die
    assert [job["status"] for job in jobs] == ["completed"] * 2
    job = jobs[0]
    assert "X-Amz-Signature=" in job["result"]["storage_url"]
    assert job["result"]["expires_at"] > job["finished_at"]
    # And the links lead to what the index lists, without the front end
    output = Output.model_validate(requests.get(job["result"]["storage_url"], timeout=30).json())
    assert output.source.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    result = api.get(f"/jobs/{job['job_id']}/result").json()
    for artifact, linked in zip(output.artifacts, result["artifacts"], strict=True):
        content = requests.get(linked["storage_url"], timeout=30)
        assert content.headers["Content-Type"].removesuffix("; charset=utf-8") == artifact.content_type
        assert hashlib.sha256(content.content).hexdigest() == artifact.sha256
    # And so does the link that does not rot
    moved = api.get(f"/jobs/{job['job_id']}/files/poster.jpg", allow_redirects=False)
    assert (moved.status_code, moved.headers["Cache-Control"]) == (302, "no-store")
    assert requests.get(moved.headers["Location"], timeout=30).headers["Content-Type"] == "image/jpeg"
    # And the front end serves no file itself, and neither the bucket nor any disk holds leftovers
    assert api.get(f"/storage/results/{job['job_id']}/output.json").status_code == 404
    assert server.unfinished(bucket) == []
    assert {key.split("/")[0] for key in server.keys(bucket)} == {".clipzy", "uploads", "jobs", "results"}
    eventually(lambda: not scene.scratch, "scratch that is empty again")


def test_objects_carry_their_types(scene: Scene, clip: Path) -> None:
    job_id = scene.api.upload(clip)["job_id"]
    assert scene.api.finished(job_id)["status"] == "completed"
    types = {"mp4": "video/mp4", "json": "application/json", "jpg": "image/jpeg", "png": "image/png"}
    types |= {"vtt": "text/vtt"}
    for key in scene.server.keys(scene.bucket):
        if key.startswith(("uploads/", "results/", "jobs/done/")):
            found = scene.server.client.head_object(Bucket=scene.bucket, Key=key)
            assert found["ContentType"].removesuffix("; charset=utf-8") == types[key.rpartition(".")[2]], key


def test_a_damaged_upload_is_told_from_a_bad_file(scene: Scene, clip: Path) -> None:
    # Given an upload of which a bit changed in the bucket
    api, client, bucket = scene.api, scene.server.client, scene.bucket
    video_id = api.upload(clip, to="/videos")["video_id"]
    damaged = bytearray(clip.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    client.put_object(Bucket=bucket, Key=f"uploads/{video_id}/source.mp4", Body=bytes(damaged))
    # When a job is made of it, then it fails as our fault, after a second attempt
    job = api.finished(api.post("/jobs", json={"video_id": video_id}).json()["job_id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "PROCESSING_FAILED")
    assert "not what was uploaded" in job["error"]["message"]


def test_other_storages_are_refused(scene: Scene) -> None:
    # When a worker starts with another bucket, and another with a disk
    deployment, server = scene.deployment, scene.server
    other = server.new_bucket()
    joining = [
        deployment.run("worker", settings={"S3_BUCKET_NAME": other}),
        deployment.run("worker", settings={"STORAGE_TYPE": "local", "WORKER_COUNT": "1"}),
    ]
    # Then both exit, name both storages, and leave nothing in the wrong one
    for process, own in zip(joining, (f"s3://{other} on 127.0.0.1", str(deployment.storage)), strict=True):
        assert process.wait() == 78
        assert own in process.output()
        assert f"s3://{scene.bucket} on 127.0.0.1" in process.output()
        assert "is not the one in use" in process.output()
    assert server.keys(other) == []
    assert not deployment.storage.exists()


@pytest.mark.long
def test_a_lost_worker_s_job_is_done_by_another(
    tmp_path: Path, redis_url: str, moto_server: S3Server, clip: Path
) -> None:
    # Given a worker that stands still in the middle of a job
    settings = s3_settings(moto_server, moto_server.new_bucket())
    with Deployment(tmp_path, redis_url=redis_url, **settings, **SHORT_LEASE) as deployment:
        doomed = start_worker(deployment, 1)
        api = deployment.web()
        job = api.upload(clip)
        hold_media_process(doomed.pid)
        # When it is killed, and another starts
        doomed.send(signal.SIGKILL)
        start_worker(deployment, 2)
        # Then the job is completed there, by its second attempt
        job = api.finished(job["job_id"])
        assert (job["status"], job["attempt"]) == ("completed", 2)


WRONG = {
    "wrong bucket": ({"S3_BUCKET_NAME": "no-such-bucket"}, "there is no such bucket"),
    "wrong access key": ({"AWS_ACCESS_KEY_ID": "another-one"}, "does not know the access key"),
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "another-one"}, "the secret key is wrong"),
    "no bucket": ({"S3_BUCKET_NAME": ""}, "S3_BUCKET_NAME is missing, which STORAGE_TYPE=s3 needs"),
}


def test_mistakes_of_operators_end_a_start(tmp_path: Path, redis_url: str, rclone_server: S3Server) -> None:
    # Given set-ups with one mistake each, on a service that checks keys
    bucket = rclone_server.new_bucket()
    with Deployment(tmp_path, redis_url=redis_url, **s3_settings(rclone_server, bucket)) as deployment:
        commands = (["worker"], ["web", "--port", "0"])
        for name, (wrong, found) in WRONG.items():
            # When processes start with it
            for process in [deployment.run(*command, settings=wrong) for command in commands]:
                # Then each exits with status 78 and one line that names the setting, what was found and what to do
                assert process.wait() == 78, name
                (line,) = [line for line in process.output().splitlines() if line.startswith("clipzy: ")]
                assert line.startswith("clipzy: S3_BUCKET_NAME"), name
                assert found in line
                assert " Set " in line or ", or set " in line
                assert "another-one" not in process.output()
    assert rclone_server.keys(bucket) == []


def test_processes_wait_for_a_service_that_starts_later(tmp_path: Path, redis_url: str, clip: Path) -> None:
    # Given a front end and a worker whose S3 service does not run yet
    with s3_servers.running("moto", tmp_path / "moto") as server, TcpProxy(server.url) as line:
        server.client.create_bucket(Bucket="late-bucket")
        address = line.url
        line.suffer(Fault("refuse"))
        waits_and_goes_on(tmp_path, redis_url, clip, line, address)


def waits_and_goes_on(tmp_path: Path, redis_url: str, clip: Path, line: TcpProxy, address: str) -> None:
    absent = S3Server("moto", address, None)  # type: ignore[arg-type] # of no concern here
    settings = s3_settings(absent, "late-bucket")
    with Deployment(tmp_path / "deployment", redis_url=redis_url, **settings) as deployment:
        api = deployment.client(free_port())
        deployment.run("web", "--port", api.url.rpartition(":")[2])
        worker = deployment.run("worker").wait_for_log(
            f"late-bucket on {address.removeprefix('http://')}: the S3 service cannot be reached"
        )
        # Then the front end runs, is not ready and reports why, and refuses uploads
        eventually(api.is_reachable, "a front end that listens")
        assert api.get("/readyz").status_code == 503
        assert api.get("/readyz").json()["storage"] == "unavailable"
        with clip.open("rb") as stream:
            refused = api.post("/jobs", files={"file": stream})
        assert (refused.status_code, refused.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
        # When the service is reachable, then both go on by themselves
        line.heal()
        eventually(api.is_ready, "a front end that is ready")
        worker.wait_for_log(WORKER_READY)
        assert api.run(clip)["status"] == "completed"
        for process in reversed(deployment.processes):
            assert process.stop() == 0
