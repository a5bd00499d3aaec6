"""Clients that generators make from the OpenAPI document submit a job with one option, follow it, list it and fetch."""

import io
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.models.records import EVERYONE
from tests.support import finished_jobs
from tests.support.forms import mp4_bytes
from tests.support.jobs import current
from tests.support.requirements import missing
from tests.support.servers import FrontEnd

TYPESCRIPT = Path(__file__).parents[1] / "support/typescript"
ONE_OPTION = {"sprites": False}


def complete(front_end: FrontEnd, job_id: str) -> None:
    """Play the worker."""
    finished_jobs.complete(front_end.store, front_end.storage, current(front_end.store, job_id))


def recorded_config(front_end: FrontEnd, job_id: str) -> dict[str, Any]:
    return front_end.store.look_up(job_id, owner=EVERYONE)[0].config


@pytest.fixture
def client(front_end: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package that ``openapi-python-client`` has made, without a warning."""
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--url", f"{front_end.url}/openapi.json"]
    command += ["--meta", "none", "--output-path", str(tmp_path / "clipzy_client"), "--fail-on-warning"]
    config = tmp_path / "generator.yaml"  # it knows no type of its own for a piece of a file
    config.write_text('content_type_overrides: {"application/offset+octet-stream": "application/octet-stream"}')
    command += ["--config", str(config)]
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # it formats with ruff
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(tmp_path)
    return import_module("clipzy_client")


def test_a_python_client(front_end: FrontEnd, client: Any) -> None:
    models, types = import_module("clipzy_client.models"), import_module("clipzy_client.types")
    jobs, events = import_module("clipzy_client.api.jobs"), import_module("clipzy_client.api.events")
    for name in ("submit_job", "show_job", "list_jobs", "show_result", "show_file"):
        import_module(f"clipzy_client.api.jobs.{name}")
    import_module("clipzy_client.api.events.follow_job")
    with client.Client(base_url=front_end.url, raise_on_unexpected_status=True) as api:
        # When a file is submitted with a config of one field, and then a job on the same video
        config = models.JobConfig(sprites=False)
        file = types.File(io.BytesIO(mp4_bytes(1000)), "holiday.mp4", "video/mp4")
        uploaded = jobs.submit_job.sync(client=api, body=models.JobUpload(file=file, config=config))
        named = jobs.submit_job.sync(client=api, body=models.JobRequest(video_id=uploaded.video_id, config=config))
        # Then that field is all that was sent, and all that the answers have
        for job in (uploaded, named):
            assert job.status == models.Status.QUEUED
            assert job.config.to_dict() == recorded_config(front_end, job.job_id) == ONE_OPTION

        # When the job is completed, then the client sees it by polling, in the events and in the listing
        job_id = uploaded.job_id
        complete(front_end, job_id)
        polled = jobs.show_job.sync(job_id, client=api)
        assert (polled.status, polled.error) == (models.Status.COMPLETED, None)
        assert polled.created_at <= polled.finished_at
        assert '"status":"completed"' in events.follow_job.sync(job_id, client=api)
        page = jobs.list_jobs.sync(client=api, status=models.Status.COMPLETED)
        assert job_id in [listed.job_id for listed in page.jobs]

        # And fetches its result and a file
        result = jobs.show_result.sync(job_id, client=api)
        poster = jobs.show_file.sync(job_id, result.artifacts[0].name, client=api)
        assert result.source.duration_seconds == 1.25
        assert poster.payload.read() == finished_jobs.ARTIFACTS["poster.jpg"]

        # And an error is a problem with a code
        problem = jobs.show_job.sync("job_x", client=api)
        assert (problem.status, problem.code, problem.field) == (404, "JOB_NOT_FOUND", types.UNSET)


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the program and the packages that it needs."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("node and npm are not installed")
    directory = tmp_path_factory.mktemp("typescript")
    shutil.copytree(TYPESCRIPT, directory, dirs_exist_ok=True)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=110, check=False)
    if done.returncode != 0:
        missing(f"npm cannot install openapi-typescript: {done.stderr}")
    return directory


@pytest.mark.long
def test_a_typescript_client(front_end: FrontEnd, typescript: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=typescript, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # Given the types of the document, and a program that compiles with them
    run("node_modules/.bin/openapi-typescript", f"{front_end.url}/openapi.json", "--output", "clipzy.d.ts")
    run("node_modules/.bin/tsc")

    # When it submits jobs with a config of one field, then that field is all that was sent
    jobs = json.loads(run("node", "build/client.js", front_end.url, "submit"))
    assert len(jobs) == 2
    for job in jobs:
        assert job["config"] == recorded_config(front_end, job["job_id"]) == ONE_OPTION

    # When one is completed, then the program follows it, lists it and fetches what there is
    complete(front_end, jobs[0]["job_id"])
    fetched = json.loads(run("node", "build/client.js", front_end.url, "fetch", jobs[0]["job_id"]))
    assert jobs[0]["job_id"] in fetched.pop("listed")
    assert fetched == {
        "status": "completed",
        "config": ONE_OPTION,
        "duration_seconds": 1.25,
        "file_bytes": len(finished_jobs.ARTIFACTS["poster.jpg"]),
        "code": "JOB_NOT_FOUND",
    }
