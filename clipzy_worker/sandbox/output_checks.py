"""What a running media process takes, looked at from outside: the files it has written, the memory it holds."""

import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipzy_worker.sandbox.request import MediaLimits

_SECONDS_BETWEEN_LOOKS = 0.5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class OutputChecks:
    """Looks at a process and its folder, at most twice a second."""

    def __init__(self, pid: int, folder: Path, limits: MediaLimits) -> None:
        self._pid = pid
        self._folder = folder
        self._limits = limits
        self._next_look_at = time.monotonic() + _SECONDS_BETWEEN_LOOKS

    def excess(self) -> str | None:
        """What is over its limit, if anything is and it is time to look. Continues "The media process …"."""
        now = time.monotonic()
        if now < self._next_look_at:
            return None
        self._next_look_at = now + _SECONDS_BETWEEN_LOOKS
        if resident_bytes(self._pid) > self._limits.resident_bytes:
            return "used more memory than it may"
        return output_excess(self._folder, self._limits)


def output_excess(folder: Path, limits: MediaLimits) -> str | None:
    """What is too much of the files in a folder, if anything is."""
    total_bytes = 0
    for count, size_bytes in enumerate(_sizes(folder), start=1):
        total_bytes += size_bytes
        if count > limits.output_files:
            return "wrote more files than it may"
        if total_bytes > limits.output_bytes:
            return "wrote more than it may"
    return None


def resident_bytes(pid: int) -> int:
    """0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def _sizes(folder: Path) -> Iterator[int]:
    """Of everything below; what is made or removed meanwhile is seen the next time."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield 0
                    yield from _sizes(Path(entry.path))
                else:
                    yield entry.stat(follow_symlinks=False).st_size
    except OSError:
        return


_NAME = re.compile(r"(?:[a-z0-9][a-z0-9_-]{0,63}/)?[a-z0-9][a-z0-9_-]{0,63}\.[a-z0-9]{1,8}")


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


def _is_own_file(out_folder: Path, name: str) -> bool:
    path = out_folder / name
    try:
        own_folder = path.parent == out_folder or stat.S_ISDIR(path.parent.lstat().st_mode)
        return own_folder and stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
