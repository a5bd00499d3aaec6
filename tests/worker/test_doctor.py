"""The worker's checks for `clipzy doctor`, which reads them from standard output."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.disks import small_disk
from tests.support.processes import environment


def test_what_is_logged_does_not_get_into_the_report(tmp_path: Path) -> None:
    # Given a scratch directory without room, which is logged
    with small_disk(tmp_path / "work", mib=16) as work_dir:
        ended = subprocess.run(
            [sys.executable, "-m", "clipzy_worker.doctor"],
            cwd=tmp_path,
            env=environment(WORK_DIR=str(work_dir)),
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
    # Then standard output is the report and nothing else, and says that jobs wait
    found = json.loads(ended.stdout)["scratch"]
    assert found["ok"] is False
    assert found["detail"].startswith("jobs wait: WORK_DIR has ")
    assert found["detail"].endswith(" Free some, or set WORK_DIR to a directory on a larger disk.")
    assert "scratch.full" in ended.stderr
