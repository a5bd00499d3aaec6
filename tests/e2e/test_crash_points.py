"""A process dies at each step of the protocol, once; whatever was accepted still ends once, with one result."""

import contextlib
import json
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from clipzy_storage import failpoints
from clipzy_storage.config.environment import embedded_redis_url
from tests.support.deployment import Api, Process, Stack, eventually, media_process_below

QUICK = {"job-opened", "job-submitted", "committed", "done-recorded"}


def points(names: tuple[str, ...]) -> list[Any]:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in names]


class Deployment:
    """Everything on one machine, whose processes are started again; it dies where it is told to, once."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._order = stack.folder / "crash-at"
        stack.settings |= {"CLIPZY_CRASH_AT": f"@{self._order}", "JOB_LEASE_SECONDS": "2"}
        self.process: Process = stack.run("up", "--port", "0")
        self.process.says("Clipzy is ready at ")
        ready = next(line for line in self.process.output().splitlines() if "Clipzy is ready at " in line)
        self.api: Api = stack.api(int(ready.rpartition(":")[2].split()[0]))

    def die_at(self, name: str) -> None:
        self._order.write_text(name)

    def has_died(self) -> bool:
        return not self._order.exists()

    def insist(self, method: str, path: str, **more: Any) -> Any:
        """Ask until there is an answer, as clients do; under one key, so that it is done once."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}

        def ask() -> list[requests.Response]:
            with contextlib.suppress(requests.RequestException):
                answer: requests.Response = self.api.http.request(
                    method, f"{self.api.url}/api/v1{path}", headers=headers, timeout=30, **more
                )
                return [answer] if answer.status_code < 500 else []
            return []

        (answer,) = eventually(ask, f"an answer to {method} {path}")  # in a list, since a 404 counts as false
        return answer

    def submit(self, clip: Path, *, reuse: bool = False) -> Any:
        config = {"config": json.dumps({"reuse": reuse})}
        answer = self.insist("POST", "/jobs", files={"file": ("a.mp4", clip.read_bytes())}, data=config)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def ended(self, job_id: str) -> Any:
        def ask() -> Any:
            job = self.insist("GET", f"/jobs/{job_id}").json()
            return job if job["status"] in ("completed", "failed", "cancelled") else None

        return eventually(ask, f"the end of {job_id}")

    def files_of(self, job_id: str) -> list[str]:
        return [key for key in self.stack.stored() if job_id in key]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Stack(tmp_path_factory.mktemp("crashes") / "deployment", redis_url=None) as stack:
        yield Deployment(stack)


@pytest.mark.parametrize("name", points(failpoints.FRONT_END))
def test_a_front_end_that_dies(deployment: Deployment, clip: Path, name: str) -> None:
    """Without the Idempotency-Key in the submit script the client that repeats itself has two jobs."""
    # Given jobs that are known already
    before = {job["job_id"] for job in deployment.insist("GET", "/jobs?page_size=100").json()["jobs"]}
    # When the front end dies over a submission, and the client repeats it
    deployment.die_at(name)
    job_id = deployment.submit(clip)["job_id"]
    assert deployment.has_died()
    # Then there is one job more, and it ends
    assert deployment.ended(job_id)["status"] == "completed"
    after = {job["job_id"] for job in deployment.insist("GET", "/jobs?page_size=100").json()["jobs"]}
    assert after - before == {job_id}


@pytest.mark.parametrize(
    "name", points(tuple(one for one in failpoints.WORKER if one not in ("released", "abandoned")))
)
def test_a_worker_that_dies(deployment: Deployment, clip: Path, name: str) -> None:
    """Without the reaper the job stays processing for ever."""
    deployment.die_at(name)
    job_id = deployment.submit(clip)["job_id"]
    job = deployment.ended(job_id)
    assert deployment.has_died()
    assert (job["status"], job["error"]) == ("completed", None)
    # And its result is whole, of one attempt, and nothing else is left
    result = deployment.insist("GET", f"/jobs/{job_id}/result").json()
    folder = f"results/{job_id}/attempts/{result['artifacts'][0]['key'].split('/')[3]}/"
    expected = {f"jobs/done/{job_id}.json", f"results/{job_id}/output.json", f"{folder}output.json"}
    expected |= {artifact["key"] for artifact in result["artifacts"]}
    if name == "finished":
        expected |= {f"jobs/open/{job_id}.json"}  # nobody misses its removal; the janitor comes within the hour
    eventually(lambda: set(deployment.files_of(job_id)) == expected, f"only {expected}", seconds=20)


@pytest.mark.long
def test_a_worker_that_dies_over_giving_a_job_back(deployment: Deployment, long_clip: Path) -> None:
    """Without the reaper's hints the job waits for ever."""
    # Given a job that runs
    job_id = deployment.submit(long_clip)["job_id"]
    media = media_process_below(deployment.process.pid)
    # When its media process is killed, and the worker dies before it has told others that the job waits again
    deployment.die_at("released")
    os.kill(media, signal.SIGKILL)
    # Then it is done all the same
    assert deployment.ended(job_id)["status"] == "completed"
    assert deployment.has_died()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_worker_that_dies_over_a_rebuild(deployment: Deployment, long_clip: Path) -> None:
    # Given a job that waits behind another
    jobs = [deployment.submit(long_clip)["job_id"] for _ in range(2)]
    # When Redis forgets both, and the worker dies while it takes them up again
    deployment.die_at("job-restored")
    url = embedded_redis_url(deployment.stack.folder / ".clipzy")
    assert url is not None
    with redis.Redis.from_url(url) as client:
        client.flushall()
    eventually(deployment.has_died, "the death of the worker")
    # Then its successor takes them up
    assert [deployment.ended(job_id)["status"] for job_id in jobs] == ["completed", "completed"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["cancel-wished", "cancel-decided", "abandoned"])
def test_who_dies_over_a_cancellation(deployment: Deployment, long_clip: Path, name: str) -> None:
    # Given a job that runs and one that waits
    running, waiting = deployment.submit(long_clip)["job_id"], deployment.submit(long_clip)["job_id"]
    eventually(lambda: deployment.insist("GET", f"/jobs/{running}").json()["status"] == "processing", "work")
    # When somebody dies while one of them is cancelled, and the client repeats it
    deployment.die_at(name)
    unwanted, other = (running, waiting) if name == "abandoned" else (waiting, running)
    assert deployment.insist("POST", f"/jobs/{unwanted}/cancel").status_code in (202, 409)
    # Then it is cancelled, and the other is not
    assert deployment.ended(unwanted)["status"] == "cancelled"
    assert deployment.has_died()
    assert deployment.ended(other)["status"] == "completed"
    done = [f"jobs/done/{unwanted}.json"]
    eventually(lambda: deployment.files_of(unwanted) == done, f"only {done}", seconds=20)


@pytest.mark.long
@pytest.mark.parametrize("name", ["open-deleted", "done-deleted", "results-deleted"])
def test_who_dies_over_a_deletion(deployment: Deployment, clip: Path, name: str) -> None:
    job_id = deployment.submit(clip)["job_id"]
    deployment.ended(job_id)
    deployment.die_at(name)
    assert deployment.insist("DELETE", f"/jobs/{job_id}").status_code in (204, 404)
    assert deployment.has_died()
    assert deployment.insist("GET", f"/jobs/{job_id}").status_code == 404
    assert deployment.files_of(job_id) == []
