"""Thousands of valid and invalid requests generated from the OpenAPI document: each answer is as the document says."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.models.access import Scope
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment
from tests.support.forms import mp4_bytes
from tests.support.servers import FrontEnd, running_front_end, running_redis
from tests.support.waiting import eventually
from tests.support.webhook_receiver import SECRET

ROOT = Path(__file__).parents[2]

CONFIG = """
hooks = "{hooks}"

[warnings]
fail-on = true

[checks.positive_data_acceptance]
# Next to the defaults what a schema cannot express: the cap on a file (413), the size of one (416), the digest of a
# body (460, and 422 for one of many).
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "413", "416", "429", "460", "5xx"]

[checks.negative_data_rejection]
# 412 next to the defaults: tus has it for a wrong `Tus-Resumable`.
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "429", "460", "5xx"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "406", "412", "415", "422"]

[dictionaries]
jobs = {{ values = {jobs} }}
videos = {{ values = {videos} }}
uploads = {{ values = {uploads} }}
names = {{ values = ["poster.jpg", "output.json"] }}

[parameters]
"path.job_id" = {{ dictionary = "jobs", probability = 0.9 }}
"path.video_id" = {{ dictionary = "videos", probability = 0.9 }}
"path.upload_id" = {{ dictionary = "uploads", probability = 0.9 }}
"path.name" = {{ dictionary = "names", probability = 0.9 }}
"""


@dataclass(frozen=True)
class Target:
    """A front end with a completed, a failed and a queued job."""

    url: str
    jobs: list[str]
    videos: list[str]
    uploads: list[str]
    stored_key: str
    headers: dict[str, str]


@pytest.fixture(scope="module", params=[pytest.param("none", marks=pytest.mark.long), "keys"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Iterator[Target]:
    directory = tmp_path_factory.mktemp("schemathesis")
    (directory / "redis").mkdir()
    with (
        running_redis(directory / "redis") as redis,
        running_front_end(
            directory / "web",
            redis.url,
            MAX_FILE_SIZE_MB="64",
            CLIPZY_AUTH=request.param,
            ALLOW_URL_IMPORT="true",
            WEBHOOK_SECRETS=SECRET,
        ) as front_end,
    ):
        headers = _new_key(front_end) if request.param == "keys" else {}
        yield _filled(front_end, clip, directory / "worker", headers)


def _new_key(front_end: FrontEnd) -> dict[str, str]:
    _, text = ApiKeys(front_end.storage).create("test", owner="ada", scopes=Scope, expires_at=None)
    headers = {"Authorization": f"Bearer {text}"}
    eventually(lambda: front_end.get("/api/v1/me", headers=headers).ok, "a key that is known")
    return headers


def _filled(front_end: FrontEnd, clip: Path, directory: Path, headers: dict[str, str]) -> Target:
    """A job that a real worker has completed, one that it has failed, and one submitted after it has stopped."""
    api = ApiClient(front_end.url, headers=headers)
    with Deployment(directory, redis_url=front_end.redis_url, LOCAL_STORAGE_PATH=str(front_end.root)) as stack:
        stack.worker()
        done = api.finished(api.upload(clip)["job_id"])
        no_video = api.post("/jobs", files={"file": ("a.mp4", mp4_bytes(1000))})
        failed = api.finished(no_video.json()["job_id"])
    waiting = api.upload(clip)
    front_end.compare_records()
    jobs = [done, failed, waiting]
    assert [job["status"] for job in jobs] == ["completed", "failed", "queued"]
    poster = api.get(f"/jobs/{done['job_id']}/result").json()["artifacts"][0]
    begun = [
        api.post("/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "60000000"}).headers["Location"]
        for _ in range(3)
    ]
    api.close()
    return Target(
        front_end.url,
        [job["job_id"] for job in jobs],
        [job["video_id"] for job in jobs],
        [location.rpartition("/")[2] for location in begun],
        poster["key"],
        headers,
    )


@pytest.mark.parametrize(
    ("phases", "examples", "seed"),
    [
        pytest.param("examples,fuzzing,stateful", 6, 1, id="short"),
        pytest.param(
            "examples,coverage,fuzzing,stateful", 200, 2, id="long", marks=[pytest.mark.long, pytest.mark.timeout(600)]
        ),
    ],
)
def test_schemathesis_finds_nothing(target: Target, tmp_path: Path, phases: str, examples: int, seed: int) -> None:
    # Given the ids of existing jobs and videos
    hooks = ROOT / "tests/support/schemathesis_hooks.py"
    config = tmp_path / "schemathesis.toml"
    found = {name: json.dumps(getattr(target, name)) for name in ("jobs", "videos", "uploads")}
    config.write_text(CONFIG.format(hooks=hooks, **found))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "STORED_KEY": target.stored_key}
    env["KEPT"] = json.dumps([target.jobs, target.videos, target.uploads])
    env |= {"TARGET_URL": target.url, "FINISHED_JOB": target.jobs[0], "HEADERS": json.dumps(target.headers)}

    # When it has made its requests
    schemathesis = Path(sys.executable).with_name("schemathesis")
    command = [str(schemathesis), "--config-file", str(config), "run", f"{target.url}/openapi.json"]
    command += ["--phases", phases, "--max-examples", str(examples), "--seed", str(seed)]
    command += ["--generation-database", "none", "--no-color"]
    command += [word for name, value in target.headers.items() for word in ("--header", f"{name}: {value}")]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=580, check=False)

    # Then it has found nothing
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
