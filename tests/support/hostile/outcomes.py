"""What becomes of many files at once: each analysed, refused or bounded, and never anything else."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from clipzy_worker.errors import MediaCrashed
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest
from clipzy_worker.sandbox.request import MediaLimits, Sandbox

_BATCH = Path(__file__).with_name("batch.py").read_text()
_PATIENCE_SECONDS = 60  # for one small file
LIMITS = MediaLimits(resident_bytes=1 << 30)


def outcomes_of(folder: Path, out_folder: Path, *, container: str, sandbox: Sandbox = "best-effort") -> dict[str, str]:
    """What came of every file in ``folder``, by its name; ``crashed: …`` where one has killed its process."""
    out_folder.mkdir(exist_ok=True)
    request = MediaRequest(folder, container, out_folder, limits=LIMITS, sandbox=sandbox)
    found: dict[str, str] = {}
    waiting = sorted(path.name for path in folder.iterdir())
    while waiting:
        reason = _run(request, waiting)
        found |= _written(out_folder, reason)
        left = [name for name in waiting if name not in found]
        if left == waiting:
            raise AssertionError(f"the batch does not go on: {reason}")
        waiting = left
    return found


def harmful(found: dict[str, str]) -> dict[str, str]:
    """Those that are neither analysed nor refused nor bounded."""
    return {name: what for name, what in found.items() if what.startswith(("error", "crashed"))}


def _run(request: MediaRequest, names: Sequence[str]) -> str:
    """How the process ended, if not well."""
    command = (sys.executable, "-I", "-c", _BATCH, json.dumps(names))
    written = request.out_folder / "outcomes.jsonl"
    with MediaProcess(request, command=command) as media:
        size_bytes, give_up_at = 0, time.monotonic() + _PATIENCE_SECONDS
        for _fraction in media.updates():
            if written.exists() and written.stat().st_size > size_bytes:
                size_bytes, give_up_at = written.stat().st_size, time.monotonic() + _PATIENCE_SECONDS
            if time.monotonic() > give_up_at:
                return "crashed: took too long"
        try:
            media.result()
        except MediaCrashed as error:
            return f"crashed: {error} {media.stderr_tail}"
    return ""


def _written(out_folder: Path, reason: str) -> dict[str, str]:
    """What is written down; who was begun and not ended has the ``reason`` of the end."""
    path = out_folder / "outcomes.jsonl"
    if not path.exists():
        raise AssertionError(f"the batch has not even begun: {reason}")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {name: reason if what is None else what for name, what in lines}
