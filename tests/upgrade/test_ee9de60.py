"""The data directory of commit ee9de60, with jobs in every state, under the processes of this version."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_storage.keys import BROKER_PREFIX, REDIS_PREFIX, broker_prefix
from tests.support.api_client import ApiClient
from tests.support.deployment import SHORT_LEASE, Deployment
from tests.support.waiting import eventually
from tests.upgrade.old_deployment import OldDeployment

ARCHIVE = Path(__file__).with_name("ee9de60.tar.gz")
NEW_FIELDS = {"queue": "interactive"}
"""What an answer has that the old version did not show."""
TERMINAL_STATES = ("completed", "failed", "cancelled")
OUTCOMES = {"waiting": "completed", "running": "completed", "committing": "completed", "cancelling": "cancelled"}


class Upgrade:
    """This version on the old directory: Redis and a front end; ``deployment`` starts more."""

    def __init__(self, old: OldDeployment, deployment: Deployment, api: ApiClient) -> None:
        self.old, self.deployment, self.api = old, deployment, api

    def shows_what_was_finished(self) -> None:
        """Jobs in a terminal state, and all files of the completed one, byte by byte."""
        for state in TERMINAL_STATES:
            assert self.api.job(self.old.job_id(state)) == self.old.answer(state) | NEW_FIELDS
        completed, result = self.old.answer("completed"), self.old.answer("result")
        index = self.api.get(completed["result"]["storage_url"])
        assert index.content == self.published("completed")
        assert self.api.get(f"/jobs/{completed['job_id']}/result").json() == result
        assert len(result["artifacts"]) == 4
        for artifact in result["artifacts"]:
            for path in (artifact["storage_url"], f"/jobs/{completed['job_id']}/files/{artifact['name']}"):
                answer = self.api.get(path)
                assert answer.headers["Content-Type"] == artifact["content_type"]
                assert hashlib.sha256(answer.content).hexdigest() == artifact["sha256"]

    def finishes_the_rest(self) -> None:
        """Every other job reaches its outcome, with one whole result if that is ``completed``."""
        for state, status in OUTCOMES.items():
            job_id = self.old.job_id(state)
            job = self.api.finished(job_id)
            assert (job["status"], job["error"]) == (status, None), state
            for name in ("filename", "config", "video_id"):
                assert job[name] == self.old.answer(state)[name]
            if status == "completed":
                self._has_one_whole_result(job_id)
        eventually(lambda: list((self.deployment.storage / "jobs/open").iterdir()) == [], "an empty jobs/open")
        assert list((self.deployment.storage / "jobs/cancel").iterdir()) == []

    def has_indexed_everything(self) -> None:
        """Each done record, which the old version wrote without an entry in the day index, has one."""

        def indexed() -> bool:
            jobs = self.deployment.storage / "jobs"
            entries = {path.name: path.parent.name for path in jobs.glob("by-day/*/*")}
            ended = {path.stem: json.loads(path.read_bytes())["finished_at"] for path in jobs.glob("done/*")}
            return len(ended) == 7 and entries == {job_id: moment[:10] for job_id, moment in ended.items()}

        eventually(indexed, "an entry for each done record")

    def lists_everything(self) -> None:
        listed = [job["job_id"] for job in self.api.get("/jobs?page_size=100").json()["jobs"]]
        states = ("cancelled", "waiting", "cancelling", "committing", "running", "failed", "completed")
        assert listed == [self.old.job_id(state) for state in states], "newest first"

    def keys_of_the_old_broker(self) -> list[str]:
        with redis.Redis.from_url(self.deployment.settings["REDIS_URL"], decode_responses=True) as client:
            storage_id = client.get(f"{REDIS_PREFIX}guard:storage-id")
            return [key for key in client.keys(f"{BROKER_PREFIX}*") if not key.startswith(broker_prefix(storage_id))]

    def published(self, state: str) -> bytes:
        return (self.deployment.storage / f"results/{self.old.job_id(state)}/output.json").read_bytes()

    def submit(self, content: bytes, *, key: str = "", **options: Any) -> Any:
        """What a client sends that submits the completed job again."""
        answer = self.api.request(
            "POST",
            "/jobs",
            files={"file": ("holiday.mp4", content)},
            data={"config": json.dumps(self.old.answer("config"))},
            headers={"Idempotency-Key": key} if key else {},
            **options,
        )
        assert answer.status_code == 202, answer.text
        return answer.json()

    def _has_one_whole_result(self, job_id: str) -> None:
        result = self.api.get(f"/jobs/{job_id}/result").json()
        attempts = self.deployment.storage / f"results/{job_id}/attempts"
        listed = {artifact["key"].removeprefix(f"results/{job_id}/attempts/") for artifact in result["artifacts"]}
        (attempt,) = {name.partition("/")[0] for name in listed}
        expected = listed | {f"{attempt}/output.json"}
        eventually(lambda: _files_below(attempts) == expected, f"one attempt's files: {sorted(expected)}")


@pytest.fixture
def old(tmp_path: Path) -> OldDeployment:
    return OldDeployment(ARCHIVE, tmp_path / "deployment")


@pytest.fixture
def upgrade(old: OldDeployment) -> Iterator[Upgrade]:
    with (
        EmbeddedRedis(old.directory / ".clipzy") as redis_url,
        Deployment(old.directory, redis_url=redis_url, **SHORT_LEASE) as deployment,
    ):
        yield Upgrade(old, deployment, deployment.web())


def test_jobs_are_shown_as_they_were_left(upgrade: Upgrade) -> None:
    # Given the new front end and no worker
    old, api = upgrade.old, upgrade.api
    # Then finished jobs, their results and links are as they were
    upgrade.shows_what_was_finished()
    # And those that no process works on any more are shown as they were left
    for state in ("waiting", "running", "committing", "cancelling"):
        assert api.job(old.job_id(state)) == old.answer(state) | NEW_FIELDS
    upgrade.lists_everything()
    # And what was never finished has no result
    for state, code in (("waiting", "JOB_NOT_FINISHED"), ("failed", "INVALID_MEDIA")):
        answer = api.get(f"/jobs/{old.job_id(state)}/result")
        assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_a_new_worker_finishes_what_was_left_behind(upgrade: Upgrade) -> None:
    """Without a field that the old version wrote, such as ``attempt_folder``, the committed job is lost."""
    # Given an index that an old worker committed and did not publish
    prefix = upgrade.deployment.storage / f"results/{upgrade.old.job_id('committing')}/attempts"
    (committed,) = prefix.glob("*/output.json")
    content = committed.read_bytes()
    assert f"{BROKER_PREFIX}clipzy.jobs" in upgrade.keys_of_the_old_broker()
    # When a new worker starts
    upgrade.deployment.worker()
    # Then every job is finished, which needed new notifications: those of the old version are in a list of its own
    upgrade.finishes_the_rest()
    assert upgrade.published("committing") == content
    # And nothing of the old broker is left
    eventually(lambda: upgrade.keys_of_the_old_broker() == [], "an old broker without keys")
    # And nothing changed for those that had finished before
    upgrade.shows_what_was_finished()
    upgrade.lists_everything()
    upgrade.has_indexed_everything()


def test_old_keys_are_answered_and_results_of_an_older_pipeline_are_not_reused(upgrade: Upgrade) -> None:
    old, api = upgrade.old, upgrade.api
    content, completed = old.source_of("completed"), old.job_id("completed")
    # When the request of the completed job is repeated under its Idempotency-Key
    repeated = upgrade.submit(content, key=old.answer("key"))
    # Then it is answered with that job
    assert repeated == old.answer("completed") | NEW_FIELDS
    # When the same bytes are submitted as a new job, and a worker runs
    again = upgrade.submit(content)
    upgrade.deployment.worker()
    # Then they are analysed anew, since the pipeline has changed
    assert again["job_id"] != completed
    assert api.finished(again["job_id"])["status"] == "completed"
    result = api.get(f"/jobs/{again['job_id']}/result").json()
    assert result["reused_from"] is None
    assert result["pipeline_version"] != api.get(f"/jobs/{completed}/result").json()["pipeline_version"]


def test_what_was_there_before_keys_belongs_to_everyone(old: OldDeployment) -> None:
    # Given the old directory under a front end that asks for keys, and two of them
    with (
        EmbeddedRedis(old.directory / ".clipzy") as redis_url,
        Deployment(old.directory, redis_url=redis_url, CLIPZY_AUTH="keys", **SHORT_LEASE) as deployment,
    ):
        api = deployment.web()
        everyone, ada = (_key_of(deployment, owner) for owner in ("everyone", "ada"))
        # Then one of everyone shows what was there, with links that open
        path = f"/jobs/{old.job_id('completed')}"
        eventually(
            lambda: api.get("/me", headers=everyone).ok and api.get("/me", headers=ada).ok, "keys that are known"
        )
        job = api.get(path, headers=everyone).json()
        assert job["status"] == "completed"
        assert api.get(job["result"]["storage_url"]).json()["job_id"] == job["job_id"]
        assert len(api.get("/jobs", headers=everyone).json()["jobs"]) == 7
        # And one of another owner shows nothing
        assert api.get("/jobs", headers=ada).json()["jobs"] == []
        assert api.get(path, headers=ada).status_code == 404


def _key_of(deployment: Deployment, owner: str) -> dict[str, str]:
    made = deployment.run("keys", "create", "test", "--owner", owner, "--json")
    assert made.wait() == 0, made.output()
    (text,) = re.findall(r"clz_\w+", made.output())
    return {"Authorization": f"Bearer {text}"}


def test_old_jobs_can_be_cancelled_retried_and_deleted(upgrade: Upgrade) -> None:
    old, api = upgrade.old, upgrade.api
    # When the waiting job is cancelled, the failed one retried, and the completed one deleted
    assert api.post(f"/jobs/{old.job_id('waiting')}/cancel").json()["status"] == "cancelled"
    retried = api.post(f"/jobs/{old.job_id('failed')}/retry").json()
    assert api.delete(f"/jobs/{old.job_id('completed')}").status_code == 204
    # Then nothing of the deleted one is left but its upload
    assert api.get(f"/jobs/{old.job_id('completed')}").status_code == 404
    assert [key for key in upgrade.deployment.stored() if old.job_id("completed") in key] == []
    # When a worker starts, then the retried one fails for the same reason, whose wording may have changed
    upgrade.deployment.worker()
    job = api.finished(retried["job_id"])
    reason = {"code": job["error"]["code"], "stage": job["error"]["stage"]}
    assert job["status"] == "failed"
    assert reason.items() <= old.answer("failed")["error"].items()
    # And the video of the deleted one can be deleted, once the records have been compared with storage
    video_id = old.answer("completed")["video_id"]
    eventually(lambda: api.delete(f"/videos/{video_id}").status_code == 204, "a video that is deleted")
    assert [key for key in upgrade.deployment.stored() if video_id in key] == []


@pytest.mark.parametrize("by", ["the janitor", "clipzy recover"])
def test_storage_alone_brings_all_jobs_back(old: OldDeployment, by: str) -> None:
    # Given the old storage and an empty Redis
    shutil.rmtree(old.redis_records)
    with (
        EmbeddedRedis(old.directory / ".clipzy") as redis_url,
        Deployment(old.directory, redis_url=redis_url, **SHORT_LEASE) as deployment,
    ):
        upgrade = Upgrade(old, deployment, deployment.web())
        # When they are recovered, and a worker runs
        if by == "clipzy recover":
            recovered = deployment.run("recover")
            assert recovered.wait() == 0, recovered.output()
            assert recovered.output().count("waiting    job_") == 3
        deployment.worker()
        # Then every job is finished
        upgrade.finishes_the_rest()
        # And those that had finished before are as they were
        upgrade.shows_what_was_finished()
        upgrade.lists_everything()
        upgrade.has_indexed_everything()


def _files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
