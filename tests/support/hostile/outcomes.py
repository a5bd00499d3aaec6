"""The outcomes of many files: each is analysed, refused or bounded, and nothing else."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from clipzy_worker.errors import MediaCrashed
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest
from clipzy_worker.sandbox.request import MediaLimits, Sandbox

_BATCH = Path(__file__).with_name("batch.py").read_text()
_FILE_TIMEOUT_SECONDS = 60
LIMITS = MediaLimits(resident_bytes=1 << 30)


def outcomes_of(
    directory: Path, out_directory: Path, *, container: str, sandbox: Sandbox = "best-effort"
) -> dict[str, str]:
    """The outcome of every file in ``directory``, by its name; ``crashed: …`` if it has killed the process."""
    out_directory.mkdir(exist_ok=True)
    request = MediaRequest(directory, container, out_directory, limits=LIMITS, sandbox=sandbox)
    found: dict[str, str] = {}
    waiting = sorted(path.name for path in directory.iterdir())
    while waiting:
        reason = _run(request, waiting)
        found |= _logged(out_directory, reason)
        left = [name for name in waiting if name not in found]
        if left == waiting:
            raise AssertionError(f"the batch makes no progress: {reason}")
        waiting = left
    return found


def harmful(found: dict[str, str]) -> dict[str, str]:
    """Those that are neither analysed nor refused nor bounded."""
    return {name: what for name, what in found.items() if what.startswith(("error", "crashed"))}


def _run(request: MediaRequest, names: Sequence[str]) -> str:
    """How the process ended. It sends no result, so that is a crash also if no file has killed it."""
    command = (sys.executable, "-I", "-c", _BATCH, json.dumps(names))
    log = request.out_directory / "outcomes.jsonl"
    with MediaProcess(request, command=command) as media:
        size_bytes, give_up_at = 0, time.monotonic() + _FILE_TIMEOUT_SECONDS
        for _fraction in media.updates():
            if log.exists() and log.stat().st_size > size_bytes:
                size_bytes, give_up_at = log.stat().st_size, time.monotonic() + _FILE_TIMEOUT_SECONDS
            if time.monotonic() > give_up_at:
                return "crashed: took too long"
        try:
            media.result()
        except MediaCrashed as error:
            return f"crashed: {error} {media.stderr_tail}"
    return ""


def _logged(out_directory: Path, reason: str) -> dict[str, str]:
    """The logged outcomes; a file that was begun and not finished has the ``reason``."""
    path = out_directory / "outcomes.jsonl"
    if not path.exists():
        raise AssertionError(f"the batch did not begin: {reason}")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {name: reason if what is None else what for name, what in lines}
