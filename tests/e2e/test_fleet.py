"""The fleet as API, client and command show it, with a real worker at work for two owners."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clipzy_api.client import Client
from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.fleet.counters import CounterStore
from clipzy_storage.models.access import Scope
from clipzy_storage.redis_client import RedisDatabase
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment
from tests.support.processes import clipzy
from tests.support.waiting import eventually

READ_WRITE = (Scope.READ, Scope.WRITE)


class Owners:
    """A front end that asks for keys, and what its callers get."""

    def __init__(self, stack: Deployment, api: ApiClient) -> None:
        self._keys, self.url = ApiKeys(LocalStorage(stack.storage, shared=False)), api.url

    def key(self, owner: str, *scopes: Scope) -> str:
        text = str(self._keys.create("test", owner=owner, scopes=scopes or READ_WRITE, expires_at=None)[1])
        with self.client(text) as api:
            eventually(lambda: api.get("/me").status_code == 200, "a key that is known")
        return text

    def client(self, key: str) -> ApiClient:
        return ApiClient(self.url, headers={"Authorization": f"Bearer {key}"})

    def fleet(self, key: str) -> Any:
        with self.client(key) as api:
            return api.get("/fleet").json()

    def submit(self, key: str, clip: Path) -> str:
        with self.client(key) as api:
            return str(api.upload(clip)["job_id"])


@pytest.fixture
def stack(tmp_path: Path, redis_url: str) -> Iterator[Deployment]:
    with Deployment(tmp_path, redis_url=redis_url, CLIPZY_AUTH="keys") as stack:
        yield stack


def test_the_fleet_shows_what_runs_and_waits_and_names_only_the_caller_s_jobs(
    stack: Deployment, clip: Path, tmp_path: Path
) -> None:
    # Given a worker with one slot at work on Ada's job, and one of Bob's that waits
    owners = Owners(stack, stack.web())
    ada, bob, admin = owners.key("ada"), owners.key("bob"), owners.key("root", *READ_WRITE, Scope.ADMIN)
    assert owners.fleet(ada)["workers"] == []
    _, orders = stack.worker_paused_at("claimed")
    running = owners.submit(ada, clip)
    eventually(lambda: owners.fleet(ada)["workers"][0]["running"], "a job that runs")
    waiting = owners.submit(bob, clip)

    # Then Ada sees her own job with the worker
    fleet = owners.fleet(ada)
    (shown,) = fleet["workers"]
    (job,) = shown["running"]
    assert (shown["queues"], shown["slots"]) == (["interactive", "batch"], 1)
    assert (job["job_id"], job["progress_percent"]) == (running, 0)
    assert job["current_stage"] == "video_analysis"
    started_at = datetime.fromisoformat(job["started_at"])
    assert abs((datetime.now(UTC) - started_at).total_seconds() - job["running_seconds"]) < 30
    interactive, batch = fleet["queues"]
    assert (interactive["queue"], interactive["jobs"], interactive["size_bytes"]) == (
        "interactive",
        1,
        clip.stat().st_size,
    )
    assert interactive["oldest_seconds"] >= 0
    assert batch == {"queue": "batch", "jobs": 0, "oldest_seconds": None, "size_bytes": 0}
    assert fleet["estimated_seconds_to_empty"] is None, "nothing was analysed yet"

    # And Bob sees that there is one, while an admin sees whose
    assert owners.fleet(bob)["workers"][0]["running"][0]["job_id"] is None
    assert owners.fleet(admin)["workers"][0]["running"][0]["job_id"] == running

    # And the client and the command say the same
    with Client(owners.url, api_key=bob) as client:
        found = client.fleet()
    assert (found.workers[0].name, found.workers[0].running[0].job_id) == (shown["name"], None)
    printed = clipzy("fleet", cwd=tmp_path, CLIPZY_URL=owners.url, CLIPZY_API_KEY=ada).stdout
    assert f"{shown['name']}  1/1    interactive,batch  {running}  video_analysis" in printed
    assert "interactive  1" in printed
    assert printed.endswith("Estimated time until all is done: unknown\n")
    as_json = json.loads(clipzy("fleet", "--json", cwd=tmp_path, CLIPZY_URL=owners.url, CLIPZY_API_KEY=bob).stdout)
    assert as_json["workers"][0]["running"][0]["job_id"] is None

    # When both have been analysed, then nothing is left to do, and the next estimate has a speed
    orders.withdraw()
    for key, job_id in ((ada, running), (bob, waiting)):
        with owners.client(key) as api:
            assert api.finished(job_id)["status"] == "completed"
    assert eventually(lambda: owners.fleet(ada)["workers"][0]["running"] == [], "an idle worker")
    assert owners.fleet(ada)["estimated_seconds_to_empty"] == 0
    orders.order("claimed", "pause")
    owners.submit(ada, clip)
    assert 0 < owners.fleet(ada)["estimated_seconds_to_empty"] < 600
    orders.withdraw()


def test_what_the_processes_of_a_worker_have_counted_is_there_when_it_stops(
    stack: Deployment, clip: Path, redis_url: str
) -> None:
    # Given a worker that has completed a job a moment ago
    owners = Owners(stack, stack.web())
    key, worker = owners.key("ada"), stack.worker()
    job_id = owners.submit(key, clip)
    with owners.client(key) as api:
        assert api.finished(job_id)["status"] == "completed"
    # When it stops
    assert worker.stop() == 0
    # Then its pool process has handed on what it had counted
    stages = CounterStore(RedisDatabase(redis_url)).read().histograms["clipzy_stage_seconds"]
    assert sum(stages["video_analysis",].counts.values()) == 1
    assert stages["video_analysis",].sum_seconds > 0
