"""Jobs on videos that no front end has received as a whole: a worker computes the digest before the result counts."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_storage.log_events import WORKER_READY
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment, s3_settings
from tests.support.servers import running_redis
from tests.support.waiting import eventually

CHUNK = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module", params=["local", "rclone"])
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("deployment")
    settings: dict[str, str] = {}
    if request.param != "local":
        server = request.getfixturevalue(f"{request.param}_server")
        settings = s3_settings(server, server.new_bucket())
    with Deployment(directory, redis_url=request.getfixturevalue("module_redis_url"), **settings) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def module_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="module")
def apis(deployed: Deployment) -> list[ApiClient]:
    """Two front ends, with a worker."""
    worker = deployed.worker()
    found = [deployed.web(), deployed.web()]
    worker.wait_for_log(WORKER_READY)
    return found


def in_pieces(apis: list[ApiClient], content: bytes) -> str:
    """Half by half, each to another front end; the id of the video."""
    begun = apis[0].post("/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(len(content))})
    path = begun.headers["Location"].removeprefix("/api/v1")
    middle = len(content) // 2
    for api, offset, piece in ((apis[0], 0, content[:middle]), (apis[1], middle, content[middle:])):
        answer = api.request("PATCH", path, data=piece, headers=CHUNK | {"Upload-Offset": str(offset)})
        assert answer.status_code == 204, answer.text
    return path.rpartition("/")[2]


def test_the_worker_completes_the_record(apis: list[ApiClient], clip: Path) -> None:
    # Given a video of which no front end knows the digest
    content = clip.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    video_id = in_pieces(apis, content)
    assert apis[0].get(f"/videos/{video_id}").json()["sha256"] is None
    # When a job on it is finished
    job = apis[0].finished(apis[0].post("/jobs", json={"video_id": video_id}).json()["job_id"])
    # Then its result and the video have it
    assert job["status"] == "completed", job
    assert apis[0].get(f"/jobs/{job['job_id']}/result").json()["source"]["sha256"] == digest
    assert apis[1].get(f"/videos/{video_id}").json()["sha256"] == digest
    # And from then on results on it can be reused
    first, second = (
        apis[0].finished(apis[0].post("/jobs", reuse=True, json={"video_id": video_id}).json()["job_id"])
        for _ in range(2)
    )
    assert (first["status"], second["status"]) == ("completed", "completed")
    # And it can be deleted whole
    eventually(lambda: apis[0].delete(f"/videos/{video_id}").status_code == 204, "records that are reconciled")
    assert apis[0].get(f"/videos/{video_id}").status_code == 404


@pytest.mark.parametrize("deployed", ["rclone"], indirect=True, scope="module")
def test_a_file_other_than_was_declared_is_refused_by_its_first_job(apis: list[ApiClient], clip: Path) -> None:
    # Given a direct upload whose bytes are not those that the client has declared
    content = clip.read_bytes()
    body = {"filename": "a.mp4", "size_bytes": len(content), "sha256": "0" * 64}
    begun: dict[str, Any] = apis[0].post("/uploads/s3", json=body).json()
    (part,) = begun["parts"]
    etag = requests.put(part["url"], data=content, timeout=60).headers["ETag"]
    parts = {"parts": [{"number": 1, "etag": etag}]}
    video = apis[0].post(f"/uploads/s3/{begun['upload_id']}/complete", json=parts).json()
    # When a worker reads it
    job = apis[0].finished(apis[0].post("/jobs", json={"video_id": video["video_id"]}).json()["job_id"])
    # Then the job fails, and says why
    assert (job["status"], job["error"]["code"]) == ("failed", "INVALID_MEDIA")
    assert hashlib.sha256(content).hexdigest() in job["error"]["message"]
    assert "was declared" in job["error"]["message"]
