"""Real processes for the tests of the commands."""

import os
import select
import subprocess
import sys
from pathlib import Path

CLIPZY = (sys.executable, "-m", "clipzy_api.cli")
PATIENCE_SECONDS = 60


def clipzy(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end with nothing set but ``settings``."""
    return subprocess.run(
        [*CLIPZY, *arguments],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def environment(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **settings}


class Watched:
    """Any process of this machine, watched from now on so that its end cannot be missed."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def has_ended(self) -> bool:
        """Wait for its end; false when patience runs out."""
        try:
            return bool(select.select([self._descriptor], [], [], PATIENCE_SECONDS)[0])
        finally:
            os.close(self._descriptor)
