"""How long the job of a killed worker waits for the next, at default settings: a promise of docs/reliability.md."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.deployment import Deployment
from tests.support.processes import CLIPZY, hold_media_process
from tests.support.requirements import missing
from tests.support.waiting import eventually

ELSEWHERE = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh")
SHARED = {"LOCAL_STORAGE_SHARED": "true"}


class OtherMachine(Deployment):
    """Processes with another host name, so that no process here can see whether they still run."""

    command: Sequence[str] = (*ELSEWHERE, *CLIPZY)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "limit_seconds"), [(Deployment, 30), (OtherMachine, 120)], ids=["same", "other"])
def test_a_killed_worker_s_job_is_taken_up_in_time(
    tmp_path: Path, redis_url: str, long_clip: Path, kind: type[Deployment], limit_seconds: float
) -> None:
    """Without the reaper's check for exited processes the first takes as long as the second."""
    if subprocess.run([*ELSEWHERE, "true"], capture_output=True, check=False).returncode != 0:
        missing("needs a UTS namespace")
    directory = tmp_path / "deployment"
    (directory / "storage").mkdir(parents=True)
    with (
        Deployment(directory, redis_url=redis_url, **SHARED) as here,
        kind(directory, redis_url=redis_url, **SHARED) as there,
    ):
        api = here.web()
        # Given a worker that stands still in the middle of a job, and another that waits
        doomed = there.worker()
        job_id = api.upload(long_clip)["job_id"]
        hold_media_process(doomed.pid)
        here.worker()
        # When the first is killed
        doomed.kill()
        killed_at = time.monotonic()
        # Then the other has its job in time
        eventually(lambda: api.job(job_id)["attempt"] == 2, "the second attempt", seconds=limit_seconds)
        print(f"taken up after {time.monotonic() - killed_at:.0f} s")  # noqa: T201 - for docs/reliability.md
        assert api.finished(job_id)["status"] == "completed"
