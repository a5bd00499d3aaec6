"""A deployment whose S3 credentials expire while it runs says so wherever someone may look, and goes on afterwards."""

from pathlib import Path
from typing import Any

import requests

from clipzy_storage import keys
from clipzy_storage.log_events import JOB_STORAGE_UNAVAILABLE
from tests.support.deployment import SHORT_LEASE, Deployment, refused, s3_settings
from tests.support.jobs import let_delay_pass
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import SECRET_KEY, S3Server
from tests.support.waiting import eventually

FINDING = "the session token has expired"
OPERATIONS = ("HeadObject", "GetObject", "PutObject", "DeleteObject", "ListObjectsV2", "CreateMultipartUpload")
DAY_MS = 25 * 3600 * 1000  # and an hour


def test_expired_credentials_are_named_everywhere(
    tmp_path: Path, redis_url: str, redis_client: Any, moto_server: S3Server, clip: Path
) -> None:
    """As an error of the service they were named nowhere but in the log, by their code."""
    bucket = moto_server.new_bucket()
    with (
        S3Proxy(moto_server.url) as gate,
        Deployment(tmp_path, redis_url=redis_url, **s3_settings(moto_server, bucket), **SHORT_LEASE) as deployment,
    ):
        # Given a front end and a worker
        behind_gate = {"AWS_ENDPOINT_URL_S3": gate.url}
        api, worker = deployment.web(**behind_gate), deployment.worker(**behind_gate)
        web = deployment.processes[0]
        # When their credentials expire
        gate.rules |= dict.fromkeys(OPERATIONS, Rule(400, "ExpiredToken"))
        # Then readiness names them
        assert FINDING in requests.get(f"{api.url}/readyz", timeout=30).json()["detail"]
        # And so does the answer to a request, and the log of the front end
        with clip.open("rb") as stream:
            problem = api.post("/jobs", files={"file": (clip.name, stream)}).json()
        assert problem["code"] == "STORAGE_UNAVAILABLE"
        assert FINDING in problem["detail"]
        web.wait_for_log("storage.credentials_refused")
        assert FINDING in web.output()
        # And the doctor, and a start
        doctor = deployment.run("doctor", settings=behind_gate)
        doctor.wait()
        assert f"FAIL  storage   S3_BUCKET_NAME={bucket}" in doctor.output()
        assert FINDING in doctor.output()
        refused(deployment.run("worker", settings=behind_gate), FINDING, "Get new credentials")
        # When a job is taken once they are renewed, and they expire again for what the worker reads
        gate.rules.clear()
        gate.rules["GetObject"] = Rule(400, "ExpiredToken")
        job_id = api.upload(clip)["job_id"]
        # Then the worker's log names them
        worker.wait_for_log(JOB_STORAGE_UNAVAILABLE)
        assert FINDING in worker.output()
        # And, when that has gone on for a day, so does the job
        redis_client.hincrby(f"{keys.REDIS_PREFIX}job:{job_id}", "created_ms", -DAY_MS)
        let_delay_pass(redis_client, job_id)
        eventually(lambda: worker.output().count(JOB_STORAGE_UNAVAILABLE) > 1, "another attempt")
        gate.rules.clear()
        assert FINDING in api.finished(job_id)["error"]["message"]
        assert SECRET_KEY not in "".join(process.output() for process in deployment.processes)
