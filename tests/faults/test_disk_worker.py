"""A worker whose WORK_DIR, or whose storage, has no room left: jobs wait for it, and go on when there is some."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clipzy_storage.log_events import JOB_CLAIMED, JOB_STORAGE_UNAVAILABLE
from tests.support.deployment import SHORT_LEASE, Deployment, claims_by, log_times, s3_settings
from tests.support.disks import fill, padded, small_disk
from tests.support.processes import Process, hold_media_process
from tests.support.s3_servers import S3Server
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually

FIRST_DELAY_SECONDS = 10  # after the first failure of storage or scratch
SLOWLY = Fault("delay", "answer", seconds=0.01)


@contextmanager
def held_media(worker: Process) -> Iterator[None]:
    """The media process, once there is one, stands still in here."""
    media = hold_media_process(worker.pid)
    try:
        yield
    finally:
        os.kill(media, signal.SIGCONT)


def waited_for_room(worker: Process, job_id: str) -> None:
    """It was put back once, and taken up again when its delay was over and no sooner."""
    (failed,) = log_times(worker, JOB_STORAGE_UNAVAILABLE, job_id=job_id)
    first, second = log_times(worker, JOB_CLAIMED, job_id=job_id)
    assert first < failed
    assert (second - failed).total_seconds() >= FIRST_DELAY_SECONDS - 0.5


@pytest.mark.long
def test_a_full_work_dir_puts_jobs_off_and_harms_nothing(
    tmp_path: Path, redis_url: str, moto_server: S3Server, clip: Path
) -> None:
    """Without the translation of ENOSPC a job that is being decoded counts as crashed."""
    bucket = moto_server.new_bucket()
    large = padded(clip, tmp_path / "large.mp4", mib=12)
    with (
        small_disk(tmp_path / "work", mib=300) as work,
        TcpProxy(moto_server.url) as line,
        Deployment(
            tmp_path / "deployment",
            redis_url=redis_url,
            WORK_DIR=str(work),
            **s3_settings(moto_server, bucket),
            **SHORT_LEASE,
        ) as deployment,
    ):
        api = deployment.web()
        worker = deployment.worker(AWS_ENDPOINT_URL_S3=line.url)
        # Given a job whose source is on its way to WORK_DIR
        line.suffer(SLOWLY)
        copying = api.upload(large)["job_id"]
        eventually(
            lambda: any(path.stat().st_size for path in work.glob(f"{copying}-*/source")), "a copy that has begun"
        )
        # When others fill the disk, then the job is put back, and nothing of it is left
        filler = fill(work)
        worker.wait_for_event(JOB_STORAGE_UNAVAILABLE, job_id=copying, reason="WORK_DIR ")
        eventually(lambda: api.job(copying)["status"] == "queued", "a job that waits")
        assert [path for path in work.iterdir() if path != filler] == []
        filler.unlink()
        line.heal()
        # Given a job that is being decoded, when the disk is filled, then it is put back as well
        decoding = api.upload(clip)["job_id"]
        with held_media(worker):
            filler = fill(work)
        worker.wait_for_event(
            JOB_STORAGE_UNAVAILABLE, job_id=decoding, reason="The media process ran out of disk space"
        )
        eventually(lambda: api.job(decoding)["status"] == "queued", "a job that waits")
        assert [path for path in work.iterdir() if path != filler] == []
        filler.unlink()
        # Then both are done, at their second attempts, in their time, by the same worker
        for job_id in (copying, decoding):
            job = api.finished(job_id)
            assert (job["status"], job["attempt"], job["error"]) == ("completed", 2, None)
            waited_for_room(worker, job_id)
            attempts = {key.split("/")[3] for key in moto_server.keys(bucket) if f"/{job_id}/attempts/" in key}
            assert len(attempts) == 1
        assert worker.is_running()
        eventually(lambda: list(work.iterdir()) == [], "an empty WORK_DIR")


@pytest.mark.long
def test_a_full_storage_puts_results_off_and_lets_failures_end(tmp_path: Path, redis_url: str, clip: Path) -> None:
    """Without the reserve the job that fails stays unfinished until there is room."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:2000])
    with (
        small_disk(tmp_path / "disk", mib=300) as disk,
        Deployment(
            tmp_path / "deployment", redis_url=redis_url, LOCAL_STORAGE_PATH=str(disk / "storage"), **SHORT_LEASE
        ) as deployment,
    ):
        api, worker = deployment.web(), deployment.worker()
        # Given a job under way, one behind it whose file is broken, and another broken file
        good = api.upload(clip)["job_id"]
        with held_media(worker):
            bad = api.upload(broken)["job_id"]
            video_id = api.upload(broken, to="/videos")["video_id"]
            # When the disk is filled up to what is kept free for records
            filler = fill(disk, leave_mib=100)
        # Then the first is released without leftovers, and the second is finished
        worker.wait_for_event(JOB_STORAGE_UNAVAILABLE, job_id=good, reason="the storage has only")
        assert api.finished(bad)["error"]["code"] == "INVALID_MEDIA"
        assert (disk / "storage" / "jobs" / "done" / f"{bad}.json").exists()
        assert not list((disk / "storage" / "results").rglob("*.jpg"))
        # Given a job that is not claimed yet, when no space at all is left
        worker.send(signal.SIGSTOP)
        last = api.post("/jobs", json={"video_id": video_id}).json()["job_id"]
        filler.unlink()
        filler = fill(disk)
        worker.send(signal.SIGCONT)
        # Then its outcome cannot be recorded, and is not shown
        eventually(lambda: claims_by(worker, last), "an attempt")
        refused = api.post("/jobs", json={"video_id": video_id})
        assert (refused.status_code, refused.json()["code"]) == (507, "STORAGE_FULL")
        assert api.job(last)["status"] == "processing"
        # And when there is room, all finish as they should, by one worker that never exited
        filler.unlink()
        assert api.finished(last)["error"]["code"] == "INVALID_MEDIA"
        job = api.finished(good)
        assert (job["status"], job["attempt"]) == ("completed", 2)
        waited_for_room(worker, good)
        assert worker.is_running()
        assert api.get("/jobs").json()["total"] == 3
        assert list((disk / "storage" / ".clipzy" / "incoming").iterdir()) == []
