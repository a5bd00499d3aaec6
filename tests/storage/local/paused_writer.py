"""A process that stores one file and stops at a named moment, so that it can be killed there.

Run as ``python -m tests.storage.local.paused_writer ROOT KEY MOMENT``. It prints a line when it has reached its moment.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipzy_storage.backends.local.storage import LocalStorage

HALF = b"x" * 100_000
MOMENTS = ("half written", "before fsync", "before link", "after link", "before unlink")


def main(root: Path, key: str, moment: str) -> None:
    storage = LocalStorage(root, shared=False, free_reserve_bytes=0)
    storage.prepare()
    with storage.open_writer(key) as incoming:
        incoming.write(HALF)
        if moment == "half written":
            _stop()
        incoming.write(HALF)
        when, _, call = moment.partition(" ")
        if when in ("before", "after"):
            setattr(os, call, _stopping(getattr(os, call), before=when == "before"))
        incoming.publish()


def _stopping(call: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    """The system call, with a stop before or after it: nothing slower than a signal could hit the moment."""

    def stop(*args: Any, **options: Any) -> None:
        if not before:
            call(*args, **options)
        _stop()

    return stop


def _stop() -> None:
    print("stopped", flush=True)  # noqa: T201 - the parent waits for this line
    sys.stdin.read()  # ends only with the parent
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
