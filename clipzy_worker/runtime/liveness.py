"""Liveness of workers: each has a file on its own disk that it touches as long as it runs, whatever else is down.

``python -m clipzy_worker.runtime.liveness`` exits with status 0 if the workers of this data directory touch theirs, for
containers that are restarted otherwise.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import structlog
from pydantic import TypeAdapter, ValidationError

from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.process import ProcessIdentity

DIRECTORY = "alive"
MAX_CHECK_SECONDS = 60  # more than a check of the watchdog may take while Redis hangs

_IDENTITY = TypeAdapter(ProcessIdentity)

log = structlog.stdlib.get_logger(__name__)


class LivenessFile:
    """The file of this process, which exists inside ``with``. If it cannot be written, that is logged once."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / DIRECTORY / str(os.getpid())
        self._created = [directory for directory in self._path.parents if not directory.exists()]
        self._has_warned = False
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        for path in _files(self._path.parent):
            if (process := _process(path)) is not None and process.is_gone():
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)  # of an earlier process with the same id
        self.touch()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock, suppress(OSError):
            self._is_closed = True
            self._path.unlink(missing_ok=True)
            for directory in self._created or [self._path.parent]:
                directory.rmdir()  # unless it holds other files

    def touch(self) -> None:
        """Show that this process runs. Raises nothing."""
        with self._lock:
            if self._is_closed:
                return
            try:
                self._touch()
            except OSError as error:
                self._warn_once(error)

    def _touch(self) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.write_text(json.dumps(ProcessIdentity.own().as_dict()))
        os.utime(self._path)

    def _warn_once(self, error: OSError) -> None:
        if not self._has_warned:
            log.warning("liveness.not_written", path=str(self._path), reason=error.strerror)
        self._has_warned = True


def silent_workers(data_dir: Path, *, after_seconds: float) -> list[str] | None:
    """Process ids of running workers whose file is older than ``after_seconds``; None if there is no worker at all."""
    found = [
        (path.name, age_seconds > after_seconds)
        for path in _files(data_dir / DIRECTORY)
        if (process := _process(path)) is not None
        and (age_seconds := _age_seconds(path)) is not None
        # Files from before a restart of the container belong to no process that is visible, and only grow older.
        and (process.is_running() or (age_seconds <= after_seconds and not process.is_gone()))
    ]
    return [name for name, is_silent in found if is_silent] if found else None


def main() -> str | None:
    """What is wrong, for ``sys.exit``."""
    settings = settings_from_env()
    silent = silent_workers(settings.data_dir, after_seconds=MAX_CHECK_SECONDS + settings.job_lease_seconds)
    if silent is None:
        return f"no worker runs from {settings.data_dir}"
    return f"liveness file not touched by process {', '.join(silent)}" if silent else None


def _files(directory: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from list(directory.iterdir())


def _age_seconds(path: Path) -> float | None:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # removed at this moment
        return None


def _process(path: Path) -> ProcessIdentity | None:
    try:
        return _IDENTITY.validate_json(path.read_bytes())
    except (OSError, ValidationError):  # written or removed at this moment
        return None


if __name__ == "__main__":
    sys.exit(main())
