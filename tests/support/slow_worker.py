"""The worker with one step that takes its time: `python slow_worker.py STEP FILE` waits in it until FILE is there.

All else is as it comes.
"""

import functools
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.store import JobStore
from clipzy_worker.__main__ import main as work
from clipzy_worker.processing import upload_results

PATIENCE_SECONDS = 30
# What is slow, and whether it is so before or after the step itself.
STEPS: dict[str, tuple[Any, str, str]] = {
    "claim": (JobStore, "claim", "after"),
    "copy": (LocalStorage, "local_copy", "before"),
    "store": (upload_results, "store_attempt", "before"),
    "commit": (JobStore, "commit", "after"),
}
log = logging.getLogger("slow")


def slowed(step: Callable[..., Any], name: str, when: str, file: Path) -> Callable[..., Any]:
    def wait() -> None:
        log.info("slow.%s", name)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    @functools.wraps(step)
    def slow(*args: Any, **more: Any) -> Any:
        if when == "before":
            wait()
        answer = step(*args, **more)
        if when == "after" and answer:
            wait()
        return answer

    return slow


def main(name: str, file: str, *_: str) -> int:
    owner, attribute, when = STEPS[name]
    setattr(owner, attribute, slowed(getattr(owner, attribute), name, when, Path(file)))
    return work()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
