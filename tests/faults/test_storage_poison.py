"""A file that kills the process that decodes it each time."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import SHORT_LEASE, Deployment, claims_by
from tests.support.media import clips
from tests.support.processes import command_of, descendants


@contextlib.contextmanager
def killer_of(worker_pid: int, source: str) -> Iterator[list[int]]:
    """Kills whatever below the worker has the source open, as the kernel does for want of memory; gives its victims."""
    killed: list[int] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.02):
            for pid in descendants(worker_pid):
                with contextlib.suppress(OSError):
                    if pid not in killed and any(str(fd.readlink()).endswith(source) for fd in files_of(pid)):
                        os.kill(pid, signal.SIGKILL)
                        killed.append(pid)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        is_over.set()
        thread.join()


def files_of(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/fd").iterdir()) if "clipzy_worker.analysis" in command_of(pid) else []


@pytest.mark.long
def test_a_file_that_kills_its_decoder_each_time_fails_alone(
    tmp_path: Path, redis_url: str, clip: Path, clips_directory: Path
) -> None:
    """Without the count of crashes the job is tried for ever."""
    poison = clips.cuts_clip(clips_directory, shot_frames=(350, 350, 350), sound=False).path
    with Deployment(tmp_path, redis_url=redis_url, MAX_CONCURRENT_JOBS="2", **SHORT_LEASE) as deployment:
        api, worker = deployment.web(), deployment.worker()
        # Given a file whose media process is killed whenever it has opened it
        video_id = api.upload(poison, to="/videos")["video_id"]
        pool = set(descendants(worker.pid))
        with killer_of(worker.pid, f"{video_id}/source.mp4") as killed:
            # When it is processed next to valid ones
            poisoned = api.post("/jobs", json={"video_id": video_id}).json()["job_id"]
            honest = [api.upload(clip)["job_id"] for _ in range(2)]
            # Then it has failed after two crashes, by our fault and not its owner's
            job = api.finished(poisoned)
            assert (job["status"], job["error"]["code"]) == ("failed", "PROCESSING_FAILED"), job
            assert "crashed twice" in job["error"]["message"]
            assert claims_by(worker, poisoned) == len(killed) == 2
            # And the others have felt nothing of it, nor has the worker
            for job_id in honest:
                job = api.finished(job_id)
                assert (job["status"], job["attempt"]) == ("completed", 1)
        assert worker.is_running()
        assert pool <= set(descendants(worker.pid))
        assert list(deployment.work_dir.iterdir()) == []
