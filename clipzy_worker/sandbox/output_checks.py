"""Checks made by the parent on a media process: its memory, the files that it writes, the artifacts that it names."""

import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipzy_worker.sandbox.request import MediaLimits

_CHECK_INTERVAL_SECONDS = 0.5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_NAME = re.compile(r"(?:[a-z0-9][a-z0-9_-]{0,63}/)?[a-z0-9][a-z0-9_-]{0,63}\.[a-z0-9]{1,8}")


class OutputChecks:
    """Checks a running process and its output directory against the limits, at most twice a second."""

    def __init__(self, pid: int, out_folder: Path, limits: MediaLimits) -> None:
        self._pid = pid
        self._out_folder = out_folder
        self._limits = limits
        self._next_check_at = time.monotonic() + _CHECK_INTERVAL_SECONDS

    def excess(self) -> str | None:
        """What exceeds its limit, or None; also None if no check is due. Continues "The media process …"."""
        now = time.monotonic()
        if now < self._next_check_at:
            return None
        self._next_check_at = now + _CHECK_INTERVAL_SECONDS
        if resident_bytes(self._pid) > self._limits.resident_bytes:
            return "used more memory than it may"
        return output_excess(self._out_folder, self._limits)


def output_excess(out_folder: Path, limits: MediaLimits) -> str | None:
    """What exceeds its limit among the files below a directory, or None. Links count, but are not followed."""
    total_bytes = 0
    for count, size_bytes in enumerate(_sizes(out_folder), start=1):
        total_bytes += size_bytes
        if count > limits.output_files:
            return "wrote more files than it may"
        if total_bytes > limits.output_bytes:
            return "wrote more than it may"
    return None


def resident_bytes(pid: int) -> int:
    """Memory that a process really uses; 0 if the system does not report it."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def check_artifacts(result: dict[str, Any], out_folder: Path) -> None:
    """Every artifact is a regular file in ``out_folder``, reached through no link.

    Raises:
        ValueError: one is not; the text names no path.
    """
    artifacts = result.get("artifacts", [])
    if not isinstance(artifacts, list):
        raise ValueError("artifacts that are no list")
    for artifact in artifacts:
        name = artifact.get("file") if isinstance(artifact, dict) else None
        if not isinstance(name, str) or _NAME.fullmatch(name) is None or not _is_own_file(out_folder, name):
            raise ValueError("an artifact that is not a file of its folder")


def _sizes(directory: Path) -> Iterator[int]:
    """Of everything below; what is created or removed meanwhile counts at the next check."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield 0
                    yield from _sizes(Path(entry.path))
                else:
                    yield entry.stat(follow_symlinks=False).st_size
    except OSError:
        return


def _is_own_file(out_folder: Path, name: str) -> bool:
    path = out_folder / name
    try:
        own_directory = path.parent == out_folder or stat.S_ISDIR(path.parent.lstat().st_mode)
        return own_directory and stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
