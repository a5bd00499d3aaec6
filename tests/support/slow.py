"""Starts a worker that comes to a halt where a test wants it to."""

import os
import sys
from pathlib import Path

from tests.support import slow_worker
from tests.support.deployment import Process, Stack


def slow_to(stack: Stack, step: str, **settings: str) -> tuple[Process, Path]:
    """A worker that comes to a halt in one step, until the file is there."""
    gate = stack.folder / f"{step}-goes-on"
    env = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **stack.settings, **settings}
    command = (sys.executable, "-m", slow_worker.__name__, step, str(gate))
    log = stack.folder / f"slow-{step}.log"
    worker = Process("worker", cwd=stack.folder, env=env, log=log, command=command)
    stack.processes.append(worker)
    return worker.says("worker.ready"), gate
