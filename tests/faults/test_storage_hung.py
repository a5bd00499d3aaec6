"""An S3 service that does not answer: leases are kept, no job runs twice, what needs no storage is answered."""

import time
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from clipzy_storage import keys
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.redis_client import RedisDatabase
from tests.support.deployment import SHORT_LEASE, Deployment, claims_by, s3_settings
from tests.support.disks import padded
from tests.support.s3_servers import S3Server
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually

LEASE_SECONDS = int(SHORT_LEASE["JOB_LEASE_SECONDS"])


@pytest.mark.long
def test_a_worker_whose_store_keeps_silent_keeps_its_job(
    tmp_path: Path, redis_url: str, redis_client: Any, moto_server: S3Server, clip: Path
) -> None:
    """Without a thread for heartbeats the second worker claims the job."""
    large, bucket = padded(clip, tmp_path / "large.mp4", mib=8), moto_server.new_bucket()
    with (
        TcpProxy(moto_server.url) as line,
        Deployment(
            tmp_path / "deployment", redis_url=redis_url, **s3_settings(moto_server, bucket), **SHORT_LEASE
        ) as deployment,
    ):
        api = deployment.web()
        worker = deployment.worker(AWS_ENDPOINT_URL_S3=line.url)
        # Given a worker whose S3 service falls silent in the middle of a source, and another that would have the job
        line.suffer(Fault("silence", "answer", after_bytes=1 << 20))
        job_id = api.upload(large)["job_id"]
        work = deployment.work_dir
        eventually(lambda: any(path.stat().st_size for path in work.glob("*/source")), "a source that is on its way")
        second = deployment.worker(CLIPZY_DATA_DIR=str(tmp_path / "second"))
        # When a silent holder would have lost its job for long
        silent_since = lease_ends_ms(redis_client, job_id)
        eventually(
            lambda: lease_ends_ms(redis_client, job_id) > silent_since + 4000 * LEASE_SECONDS, "a lease held for long"
        )
        # Then it still has it, and completes it when the service answers again
        assert (api.job(job_id)["status"], api.job(job_id)["attempt"]) == ("processing", 1)
        line.heal()
        job = api.finished(job_id)
        assert (job["status"], job["attempt"]) == ("completed", 1)
        assert (claims_by(worker, job_id), claims_by(second, job_id)) == (1, 0)


def lease_ends_ms(client: redis.Redis, job_id: str) -> float:
    score: Any = client.zscore(f"{keys.REDIS_PREFIX}jobs:leases", job_id)
    return float(score or 0)


@pytest.mark.long
def test_a_front_end_whose_store_keeps_silent_answers_what_it_can(
    tmp_path: Path, redis_url: str, moto_server: S3Server, clip: Path
) -> None:
    with (
        TcpProxy(moto_server.url) as line,
        Deployment(
            tmp_path, redis_url=redis_url, **s3_settings(moto_server, moto_server.new_bucket()), **SHORT_LEASE
        ) as deployment,
    ):
        deployment.settings["AWS_ENDPOINT_URL_S3"] = line.url
        api = deployment.web()
        # Given records that a worker has compared with storage: until then storage is asked about every job
        admin = JobAdmin(RedisDatabase(redis_url))
        admin.set_reconciled(admin.run_id())
        job_id = api.upload(clip)["job_id"]
        # And a service that has fallen silent, and an upload on its way
        line.fall_silent()
        began_at = time.monotonic()
        with clip.open("rb") as stream:
            refused = requests.post(f"{api.url}/api/v1/jobs", files={"file": stream}, timeout=110)
        # Then it is refused in bounded time
        assert (refused.status_code, refused.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
        assert time.monotonic() - began_at < 90
        # And what needs nothing of the service is answered immediately
        for path in ("/healthz", f"/jobs/{job_id}", "/jobs"):
            assert api.get(path, timeout=3).ok
        assert api.get("/readyz", timeout=10).json()["storage"] == "unavailable"
        # And when it answers again everything goes on
        line.heal()
        eventually(api.is_ready, "a front end that is ready")
        assert api.upload(clip)["status"] == "queued"
