"""The result cache on whole deployments: the same video is analysed once, whichever process exits meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.failpoints import AttemptFailpoint, Failpoint
from tests.e2e.test_crash_points import Service, records_of
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment
from tests.support.finished_jobs import found_in
from tests.support.waiting import eventually

# Where a front end that answers from the result cache may exit, in the order in which it passes them.
POINTS: tuple[AttemptFailpoint, ...] = (
    "claimed",
    "artifact-stored",
    "attempt-stored",
    "committed",
    "published",
    "done-recorded",
    "finished",
)


def points() -> list[Any]:
    return [name if name == "artifact-stored" else pytest.param(name, marks=pytest.mark.long) for name in POINTS]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Deployment(tmp_path_factory.mktemp("reuse") / "deployment", redis_url=None) as deployment:
        yield Service(deployment)


def result(api: ApiClient, job_id: str) -> Any:
    """As it is published, without links."""
    return api.get(api.job(job_id)["result"]["storage_url"]).json()


def test_the_same_video_is_analysed_once(service: Service, clip: Path) -> None:
    # Given a job that was really worked on, and deleted after its result was given to another
    api = service.api
    first = api.run(clip)
    second = api.upload(clip, reuse=True, name="again.mp4")
    assert (second["status"], second["attempt"]) == ("completed", 1)
    one, other = result(api, first["job_id"]), result(api, second["job_id"])
    assert api.delete(f"/jobs/{first['job_id']}").status_code == 204
    # Then the other has the same content, times included, and names its origin
    assert found_in(one) == found_in(other)
    assert (one["reused_from"], other["reused_from"]) == (None, first["job_id"])
    # And its files are there without the first's, and none of them names it
    for artifact in other["artifacts"]:
        content = api.get(f"/jobs/{second['job_id']}/files/{artifact['name']}").content
        assert len(content) == artifact["size_bytes"]
        assert first["job_id"].encode() not in content
    # And a third is given it from the second
    third = api.upload(clip, reuse=True)
    assert result(api, third["job_id"])["reused_from"] == first["job_id"]


@pytest.mark.parametrize("at", points())
def test_a_process_that_exits_over_it_loses_nothing(service: Service, clip: Path, at: Failpoint) -> None:
    """Without the lease of a front end its job would stay processing for ever."""
    # Given a result, and a front end that will exit while it copies it for another job
    service.finished(service.submit(clip)["job_id"])
    service.exit_once_at(at)
    # When a client submits the same, and repeats itself until it is answered
    job_id = service.submit(clip, reuse=True)["job_id"]
    job = service.finished(job_id)
    service.must_have_exited()
    # Then the job is finished once, with one whole result and nothing else
    assert (job["status"], job["error"]) == ("completed", None)
    found = service.insist("GET", f"/jobs/{job_id}/result").json()
    assert found["reused_from"] is not None
    prefix = f"results/{job_id}/attempts/{found['artifacts'][0]['key'].split('/')[3]}/"
    expected = {*records_of(job), f"results/{job_id}/output.json", f"{prefix}output.json"}
    expected |= {artifact["key"] for artifact in found["artifacts"]}
    if at == "finished":
        expected |= {f"jobs/open/{job_id}.json"}  # the janitor removes it within the hour
    eventually(lambda: set(service.files_of(job_id)) == expected, f"only {expected}", seconds=20)
