"""A bucket whose server ignores conditions: the job protocol alone keeps a result from being written twice."""

from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.log_events import JOB_LOST
from tests.e2e.test_lost_workers import pool_child_below
from tests.support.deployment import SHORT_LEASE, Deployment, s3_settings
from tests.support.processes import Frozen, hold_media_process, media_process_below
from tests.support.s3_servers import S3Server
from tests.support.waiting import eventually


def result_of(server: S3Server, bucket: str, job_id: str) -> tuple[bytes, Any]:
    """The published index, and when it was written."""
    found = server.client.get_object(Bucket=bucket, Key=f"results/{job_id}/output.json")
    return found["Body"].read(), found["LastModified"]


def attempts_in(server: S3Server, bucket: str, job_id: str) -> list[str]:
    """The numbers of the attempts of which anything is left."""
    prefix = f"results/{job_id}/attempts/"
    return sorted({key[len(prefix) :].partition("-")[0] for key in server.keys(bucket) if key.startswith(prefix)})


@pytest.mark.long
def test_a_zombie_and_a_crash_leave_one_result_that_never_changes(
    tmp_path: Path, redis_url: str, rclone_server: S3Server, clip: Path
) -> None:
    """Without the token in the commit the zombie's attempt counts, too."""
    server, bucket = rclone_server, rclone_server.new_bucket()
    with Deployment(tmp_path, redis_url=redis_url, **s3_settings(server, bucket), **SHORT_LEASE) as deployment:
        api = deployment.web()
        first, orders = deployment.worker_with_failpoints()
        orders.order("done-recorded", "exit-once")
        # Given a worker whose process exits between publishing a result and making it visible
        crashed = api.upload(clip)["job_id"]
        eventually(orders.has_fired, "the exit of a process")
        published = result_of(server, bucket, crashed)
        assert api.job(crashed)["status"] == "processing"
        # Then another process completes the job, and what was published stays as it is
        job = api.finished(crashed)
        assert (job["status"], job["attempt"]) == ("completed", 1)
        assert result_of(server, bucket, crashed) == published
        assert attempts_in(server, bucket, crashed) == ["1"]
        # Given a worker that is frozen in the middle of a job, until another has done it
        job_id = api.upload(clip)["job_id"]
        hold_media_process(first.pid)
        zombie = Frozen([pool_child_below(first.pid), media_process_below(first.pid)])
        try:
            deployment.worker()
            job = api.finished(job_id)
            published = result_of(server, bucket, job_id)
        finally:
            zombie.thaw()
        # When it wakes up, then it deletes its files, and the result stays as it is
        first.wait_for_event(JOB_LOST, job_id=job_id)
        assert (job["status"], job["attempt"]) == ("completed", 2)
        assert result_of(server, bucket, job_id) == published
        eventually(lambda: attempts_in(server, bucket, job_id) == ["2"], "a zombie that has cleared up")
        assert first.is_running()
        assert api.job(job_id) | {"result": None} == job | {"result": None}
