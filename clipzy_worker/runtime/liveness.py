"""The sign of life of a worker: a file on its own disk, touched as long as it runs, whatever else is down.

``python -m clipzy_worker.runtime.liveness`` ends with status 0 where the workers of this data directory give theirs,
for containers that restart who does not.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.process import ProcessIdentity

FOLDER = "alive"
SILENT_AFTER_SECONDS = 60  # more than a look may take while Redis hangs, beside the pause between two

log = logging.getLogger(__name__)


class LivenessFile:
    """This process' file, there from ``with`` to its end. Where the disk does not take it, that is logged once."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FOLDER / str(os.getpid())
        self._made = [folder for folder in self._path.parents if not folder.exists()]
        self._has_complained = False
        self._writing = threading.Lock()
        self._is_over = False

    def __enter__(self) -> Self:
        for path in _files(self._path.parent):
            if (process := _process(path)) is not None and process.is_gone():
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)  # of an earlier process with the same id
        self.give()
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing, suppress(OSError):
            self._is_over = True
            self._path.unlink(missing_ok=True)
            for folder in self._made or [self._path.parent]:
                folder.rmdir()  # unless others are there

    def give(self) -> None:
        """Show that this process runs."""
        with self._writing:
            if self._is_over:
                return
            try:
                self._touch()
            except OSError as error:
                self._complain(error)

    def _touch(self) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.write_text(json.dumps(ProcessIdentity.own().as_dict()))
        os.utime(self._path)

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            log.warning("alive.not_shown: %s: %s; who asks for it finds none", self._path, error.strerror)
        self._has_complained = True


def silent(data_dir: Path, *, after_seconds: float) -> list[str] | None:
    """Process ids of workers that run and gave no sign for so long; ``None`` where there is no worker at all."""
    found = [
        (path.name, age_seconds > after_seconds)
        for path in _files(data_dir / FOLDER)
        if (process := _process(path)) is not None
        and (age_seconds := _age_seconds(path)) is not None
        # What a container's earlier life left is of no process that can be seen, and will only grow older.
        and (process.is_running() or (age_seconds <= after_seconds and not process.is_gone()))
    ]
    return [name for name, is_silent in found if is_silent] if found else None


def main() -> str | None:
    """What is wrong, for ``sys.exit``."""
    settings = settings_from_env()
    found = silent(settings.data_dir, after_seconds=SILENT_AFTER_SECONDS + settings.job_lease_seconds)
    if found is None:
        return f"no worker runs from {settings.data_dir}"
    return f"no sign of life from process {', '.join(found)}" if found else None


def _files(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from list(folder.iterdir())


def _age_seconds(path: Path) -> float | None:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # ended this moment
        return None


def _process(path: Path) -> ProcessIdentity | None:
    try:
        return ProcessIdentity.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError):  # being written, or ended this moment
        return None


if __name__ == "__main__":
    sys.exit(main())
