"""Checks of a media process from outside: the memory it holds, the files it writes, the artifacts it lists."""

import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_worker.sandbox.request import SEGMENTS, MediaLimits

TOO_MANY_BYTES = "wrote more bytes than allowed"

_SECONDS_BETWEEN_CHECKS = 0.5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ARTIFACT_NAME = re.compile(r"(?:[a-z0-9][a-z0-9_-]{0,63}/)?[a-z0-9][a-z0-9_-]{0,63}\.[a-z0-9]{1,8}")


class OutputChecks:
    """Checks a running process and its output directory, at most twice a second."""

    def __init__(self, pid: int, directory: Path, limits: MediaLimits) -> None:
        self._pid = pid
        self._directory = directory
        self._limits = limits
        self._next_check_at = time.monotonic() + _SECONDS_BETWEEN_CHECKS

    def excess(self) -> str | None:
        """Which limit is exceeded; ``None`` if none is or no check is due. Continues "The media process …"."""
        now = time.monotonic()
        if now < self._next_check_at:
            return None
        self._next_check_at = now + _SECONDS_BETWEEN_CHECKS
        if resident_bytes(self._pid) > self._limits.resident_bytes:
            return "used more memory than allowed"
        return output_excess(self._directory, self._limits)


def resident_bytes(pid: int) -> int:
    """0 if the system does not report it."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def output_excess(directory: Path, limits: MediaLimits) -> str | None:
    """Which limit the files in a directory exceed, if any. Continues "The media process …".

    Segments count for themselves: until the video that they become is whole, both are there.
    """
    segments = directory / SEGMENTS
    of_segments = iter(()) if segments.is_symlink() else _sizes(segments)
    return _excess(_sizes(directory, without=SEGMENTS), limits) or _excess(of_segments, limits)


def _excess(sizes: Iterator[int], limits: MediaLimits) -> str | None:
    total_bytes = 0
    for count, size_bytes in enumerate(sizes, start=1):
        total_bytes += size_bytes
        if count > limits.output_files:
            return "wrote more files than allowed"
        if total_bytes > limits.output_bytes:
            return TOO_MANY_BYTES
    return None


def _sizes(directory: Path, *, without: str = "") -> Iterator[int]:
    """The size of everything below, but for the directory ``without``; the next check sees concurrent changes."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield 0
                    if entry.name != without:
                        yield from _sizes(directory / entry.name)
                else:
                    yield entry.stat(follow_symlinks=False).st_size
    except OSError:
        return


def check_artifacts(artifacts: Sequence[ArtifactFile], directory: Path) -> None:
    """Every artifact is a regular file in ``directory``, reached through no link.

    Raises:
        ValueError: one is not; the text contains no path.
    """
    for artifact in artifacts:
        if _ARTIFACT_NAME.fullmatch(artifact.file) is None or not _is_regular_file(directory, artifact.file):
            raise ValueError("an artifact that is not a file of its output directory")


def _is_regular_file(directory: Path, name: str) -> bool:
    path = directory / name
    try:
        has_real_parent = path.parent == directory or stat.S_ISDIR(path.parent.lstat().st_mode)
        return has_real_parent and stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
