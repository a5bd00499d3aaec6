"""A process exits at each step of the protocol, once; whatever was accepted still finishes once, with one result."""

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
from clipzy_storage.failpoints import Failpoint
from tests.support.api_client import TERMINAL
from tests.support.deployment import SHORT_LEASE, Deployment
from tests.support.failpoint_file import FailpointFile
from tests.support.processes import media_process_below
from tests.support.waiting import eventually

QUICK = {"job-opened", "job-submitted", "committed", "done-recorded"}


def points(names: tuple[Failpoint, ...]) -> list[Any]:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in names]


class Service:
    """`clipzy up`, which restarts its processes; one of them exits at the failpoint that is ordered, once."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._orders = FailpointFile(deployment.directory / "failpoint")
        self.process, self.api = deployment.up(**self._orders.settings, **SHORT_LEASE)

    def exit_once_at(self, name: Failpoint) -> None:
        self._orders.order(name, "exit-once")

    def has_exited(self) -> bool:
        return self._orders.has_fired()

    def must_have_exited(self) -> None:
        """What made the job finished may be visible a moment before the exit."""
        eventually(self.has_exited, "the exit of a process", seconds=10)

    def insist(self, method: str, path: str, **more: Any) -> Any:
        """Repeat the request until it is answered, as clients do; under one key, so that it is done once."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}

        def ask() -> list[requests.Response]:
            with contextlib.suppress(requests.RequestException):
                answer = self.api.request(method, path, headers=headers, timeout=30, **more)
                return [answer] if answer.status_code < 500 else []
            return []

        (answer,) = eventually(ask, f"an answer to {method} {path}")  # in a list, since a 404 counts as false
        return answer

    def submit(self, clip: Path, *, reuse: bool = False) -> Any:
        config = {"config": json.dumps({"reuse": reuse})}
        answer = self.insist("POST", "/jobs", files={"file": ("a.mp4", clip.read_bytes())}, data=config)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def finished(self, job_id: str) -> Any:
        def ask() -> Any:
            job = self.insist("GET", f"/jobs/{job_id}").json()
            return job if job["status"] in TERMINAL else None

        return eventually(ask, f"the terminal state of {job_id}")

    def files_of(self, job_id: str) -> list[str]:
        return [key for key in self.deployment.stored() if job_id in key]


def records_of(job: Any) -> list[str]:
    """What storage keeps of every finished job."""
    return [f"jobs/by-day/{job['finished_at'][:10]}/{job['job_id']}", f"jobs/done/{job['job_id']}.json"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Deployment(tmp_path_factory.mktemp("crashes") / "deployment", redis_url=None) as deployment:
        yield Service(deployment)


@pytest.mark.parametrize("name", points(failpoints.FRONT_END))
def test_a_front_end_that_exits(service: Service, clip: Path, name: Failpoint) -> None:
    """Without the Idempotency-Key in the submit script the client that repeats itself has two jobs."""
    # Given jobs that are known already
    before = {job["job_id"] for job in service.insist("GET", "/jobs?page_size=100").json()["jobs"]}
    # When the front end exits during a submission, and the client repeats it
    service.exit_once_at(name)
    job_id = service.submit(clip)["job_id"]
    service.must_have_exited()
    # Then there is one job more, and it is finished
    assert service.finished(job_id)["status"] == "completed"
    after = {job["job_id"] for job in service.insist("GET", "/jobs?page_size=100").json()["jobs"]}
    assert after - before == {job_id}


@pytest.mark.parametrize(
    "name", points(tuple(one for one in failpoints.ATTEMPT if one not in ("released", "cancel-confirmed")))
)
def test_a_worker_that_exits(service: Service, clip: Path, name: Failpoint) -> None:
    """Without the reaper the job stays processing for ever."""
    service.exit_once_at(name)
    job_id = service.submit(clip)["job_id"]
    job = service.finished(job_id)
    service.must_have_exited()
    assert (job["status"], job["error"]) == ("completed", None)
    # And its result is whole, of one attempt, and nothing else is left
    result = service.insist("GET", f"/jobs/{job_id}/result").json()
    prefix = f"results/{job_id}/attempts/{result['artifacts'][0]['key'].split('/')[3]}/"
    expected = {*records_of(job), f"results/{job_id}/output.json", f"{prefix}output.json"}
    expected |= {artifact["key"] for artifact in result["artifacts"]}
    if name == "finished":
        expected |= {f"jobs/open/{job_id}.json"}  # the janitor removes it within the hour
    eventually(lambda: set(service.files_of(job_id)) == expected, f"only {expected}", seconds=20)


@pytest.mark.long
def test_a_worker_that_exits_after_releasing_a_job(service: Service, long_clip: Path) -> None:
    """Without the reaper's notifications the job waits for ever."""
    # Given a job that runs
    job_id = service.submit(long_clip)["job_id"]
    media = media_process_below(service.process.pid)
    # When its media process is killed, and the worker exits before it has notified others that the job waits again
    service.exit_once_at("released")
    os.kill(media, signal.SIGKILL)
    # Then it is done all the same
    assert service.finished(job_id)["status"] == "completed"
    service.must_have_exited()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_worker_that_exits_during_a_rebuild(service: Service, long_clip: Path) -> None:
    # Given a job that waits behind another
    jobs = [service.submit(long_clip)["job_id"] for _ in range(2)]
    # When Redis forgets both, and the worker exits while it restores them
    service.exit_once_at("job-restored")
    url = embedded_redis_url(service.deployment.directory / ".clipzy")
    assert url is not None
    with redis.Redis.from_url(url) as client:
        client.flushall()
    eventually(service.has_exited, "the exit of the worker")
    # Then its successor restores them
    assert [service.finished(job_id)["status"] for job_id in jobs] == ["completed", "completed"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["cancellation-requested", "cancellation-pending", "cancel-confirmed"])
def test_a_process_that_exits_during_a_cancellation(service: Service, long_clip: Path, name: Failpoint) -> None:
    # Given a job that runs and one that waits
    running, waiting = service.submit(long_clip)["job_id"], service.submit(long_clip)["job_id"]
    eventually(lambda: service.insist("GET", f"/jobs/{running}").json()["status"] == "processing", "work")
    # When a process exits while one of them is cancelled, and the client repeats it
    service.exit_once_at(name)
    unwanted, other = (running, waiting) if name == "cancel-confirmed" else (waiting, running)
    assert service.insist("POST", f"/jobs/{unwanted}/cancel").status_code in (202, 409)
    # Then it is cancelled, and the other is not
    assert service.finished(unwanted)["status"] == "cancelled"
    service.must_have_exited()
    assert service.finished(other)["status"] == "completed"
    done = records_of(service.finished(unwanted))
    eventually(lambda: service.files_of(unwanted) == done, f"only {done}", seconds=20)


@pytest.mark.long
@pytest.mark.parametrize("name", ["open-deleted", "done-deleted", "entry-deleted", "results-deleted"])
def test_a_process_that_exits_during_a_deletion(service: Service, clip: Path, name: Failpoint) -> None:
    job_id = service.submit(clip)["job_id"]
    service.finished(job_id)
    service.exit_once_at(name)
    assert service.insist("DELETE", f"/jobs/{job_id}").status_code in (204, 404)
    service.must_have_exited()
    assert service.insist("GET", f"/jobs/{job_id}").status_code == 404
    assert service.files_of(job_id) == []
