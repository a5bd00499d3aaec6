"""Disks that run full, and files that fill them."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.requirements import missing


@contextlib.contextmanager
def small_disk(directory: Path, *, mib: int, options: str = "rw") -> Iterator[Path]:
    """A filesystem of this size, mounted on ``directory`` with these options of tmpfs."""
    directory.mkdir(parents=True)
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={mib}m,{options}", "tmpfs", str(directory)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        missing("mounting a small filesystem needs root")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(disk: Path, *, leave_mib: int = 0) -> Path:
    """Write a file that leaves ``leave_mib`` free; returns it, to be removed."""
    filler = disk / "filler"
    room = shutil.disk_usage(disk).free - (leave_mib << 20)
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for _ in range(0, room, 1 << 20):
            file.write(bytes(1 << 20))
        while leave_mib == 0:
            file.write(bytes(4096))
    return filler


def padded(clip: Path, path: Path, *, mib: int) -> Path:
    """Write the clip to ``path`` with this much more in a box that players skip."""
    size_bytes = mib << 20
    path.write_bytes(clip.read_bytes() + size_bytes.to_bytes(4, "big") + b"free" + bytes(size_bytes - 8))
    return path
