"""A worker whose bucket fails at every call it makes: the job ends once, whole, with nothing doubled."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_storage.log_events import (
    JOB_COMPLETED,
    JOB_FAILED,
    JOB_LEFT_TO_THE_REAPER,
    JOB_LOST,
    JOB_STORAGE_UNAVAILABLE,
)
from tests.support.api_client import ApiClient
from tests.support.deployment import SHORT_LEASE, Deployment, claims_by, s3_settings
from tests.support.log_lines import events_in
from tests.support.processes import Process
from tests.support.s3_proxy import Request, Rule, S3Proxy
from tests.support.s3_servers import S3Server
from tests.support.waiting import eventually

ATTEMPT_ENDED = (JOB_COMPLETED, JOB_FAILED, JOB_LEFT_TO_THE_REAPER, JOB_LOST)
# What a worker asks of a bucket for one job, in order: the operation, and where it lies.
CALLS = {
    "the size of the source": ("HeadObject", "uploads/{video_id}/"),
    "the source": ("GetObject", "uploads/{video_id}/"),
    "an artifact": ("PutObject", r"results/{job_id}/attempts/.*\.jpg"),
    "the attempt's index": ("PutObject", r"results/{job_id}/attempts/[^/]+/output\.json"),
    "whether there is a result": ("HeadObject", r"results/{job_id}/output\.json"),
    "the result": ("PutObject", r"results/{job_id}/output\.json"),
    "the done record": ("PutObject", "jobs/done/{job_id}"),
    "the open record": ("DeleteObject", "jobs/open/{job_id}"),
}
REPLIES = {
    "500": Rule(500, "InternalError"),
    "lost": Rule(lost=True),
    "409": Rule(409, "ConditionalRequestConflict"),
    "412": Rule(412, "PreconditionFailed"),
    "full": Rule(507, "InsufficientStorage"),
}
OF_WRITES_ONLY = {"409", "412", "full"}
CASES = [
    (call, reply)
    for call, (operation, _) in CALLS.items()
    for reply in REPLIES
    if operation == "PutObject" or reply not in OF_WRITES_ONLY
]


class Narrow(S3Proxy):
    """A gate whose rules hold only for paths in which ``where`` is found; ``met`` counts the requests they broke."""

    where = "nowhere"
    met = 0

    def verdict(self, request: Request) -> Rule | None:
        rule = super().verdict(request) if re.search(self.where, request.path) else None
        self.met += rule is not None
        return rule


@dataclass(frozen=True)
class Scene:
    server: S3Server
    bucket: str
    api: ApiClient
    deployment: Deployment
    worker: Process
    gate: Narrow

    @contextmanager
    def job_that_suffers(self, clip: Path, call: str, reply: str) -> Iterator[str]:
        """A new job, of which one call fails as long as the block lasts."""
        operation, where = CALLS[call]
        video_id = self.api.upload(clip, to="/videos")["video_id"]
        self.gate.met, self.gate.where = 0, where.format(video_id=video_id, job_id="unknown")
        self.gate.rules = {operation: REPLIES[reply]}
        job_id = self.api.post("/jobs", json={"video_id": video_id}).json()["job_id"]
        self.gate.where = where.format(video_id=video_id, job_id=job_id)
        try:
            yield job_id
        finally:
            self.gate.rules = {}

    def has_felt_it(self, job_id: str) -> bool:
        """Whether it shows: the job is put back, or, after the commit, left to the reaper; or it got by."""
        output = self.worker.output()
        return any(events_in(output, event, job_id=job_id) for event in (JOB_STORAGE_UNAVAILABLE, *ATTEMPT_ENDED))

    def one_whole_result(self, job_id: str, source: Path, suffered: str) -> None:
        job = self.api.finished(job_id)
        assert (job["status"], job["error"]) == ("completed", None), suffered
        output = self.api.get(f"/jobs/{job_id}/result").json()
        assert output.get("source", {}).get("sha256") == hashlib.sha256(source.read_bytes()).hexdigest(), suffered
        assert self.object(f"uploads/{job['video_id']}/source.mp4") == source.read_bytes()
        for artifact in output["artifacts"]:
            assert hashlib.sha256(self.object(artifact["key"])).hexdigest() == artifact["sha256"]
        (attempt,) = {artifact["key"].split("/")[3] for artifact in output["artifacts"]}
        assert self.object(f"results/{job_id}/output.json") == self.object(
            f"results/{job_id}/attempts/{attempt}/output.json"
        )
        assert job["attempt"] == output["attempt"] == claims_by(self.worker, job_id)

    def object(self, key: str) -> Any:
        return self.server.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()


@pytest.fixture(scope="module", params=["moto", "rclone"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    bucket, directory = server.new_bucket(), tmp_path_factory.mktemp("deployment")
    with (
        EmbeddedRedis(directory / "redis") as url,
        Narrow(server.url) as gate,
        Deployment(directory, redis_url=url, **s3_settings(server, bucket), **SHORT_LEASE) as deployment,
    ):
        api = deployment.web()
        worker = deployment.worker(AWS_ENDPOINT_URL_S3=gate.url)
        yield Scene(server, bucket, api, deployment, worker, gate)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_bucket_that_fails_at_any_call_costs_time_and_nothing_else(scene: Scene, clip: Path) -> None:
    """Without a second check of what the service reports as existing, a job was completed without a result (412)."""
    jobs, felt = {}, set()
    for call, reply in CASES:
        # Given a bucket that fails one kind of call, until the worker has felt it
        with scene.job_that_suffers(clip, call, reply) as job_id:
            jobs[job_id] = f"{call}: {reply}"
            eventually(partial(scene.has_felt_it, job_id), f"a failure of {call} ({reply})")
            felt |= {call} if scene.gate.met else set()
    # When it is well again, then each job ends with one whole result
    for job_id, suffered in jobs.items():
        scene.one_whole_result(job_id, clip, suffered)
    assert felt >= CALLS.keys() - {"whether there is a result"}, "which is not asked where a condition can be made"
    assert scene.worker.is_running()
    assert scene.server.unfinished(scene.bucket) == []
