"""What the storage tests of this folder stand on: deployments, disks and clips that take harm."""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tests.support.deployment import Process, Stack
from tests.support.requirements import missing
from tests.support.s3_servers import S3Server

IMPAIRED = (sys.executable, "-P", str(Path(__file__).with_name("storage_impaired.py")))
FIRST_DELAY_SECONDS = 10  # after the first trouble with storage or scratch
_LINE = re.compile(r"^(\S+Z) \[\w+\s*\] (.*)$", re.MULTILINE)


class Deployment(Stack):
    """Processes with short leases, of which any worker may be impaired."""

    def __init__(self, folder: Path, *, redis_url: str, **settings: str) -> None:
        super().__init__(folder, redis_url=redis_url, **{"JOB_LEASE_SECONDS": "2", **settings})

    def impaired_worker(self, changes: str, **settings: str) -> Process:
        """A worker that takes jobs, with ``changes`` as `storage_impaired.py` knows them."""
        self.command = IMPAIRED
        try:
            return self.worker(IMPAIRED=changes, **settings)
        finally:
            del self.command


def on_s3(folder: Path, redis_url: str, server: S3Server, bucket: str, **more: str) -> Deployment:
    settings = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": bucket, "WORKER_COUNT": "2", **server.env, **more}
    return Deployment(folder, redis_url=redis_url, **settings)


@contextlib.contextmanager
def small_disk(folder: Path, *, mib: int) -> Iterator[Path]:
    """A filesystem of this size, mounted on ``folder``."""
    folder.mkdir(parents=True)
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        missing("mounting a small filesystem needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, *, leave_mib: int = 0) -> Path:
    """Take what room there is, but for ``leave_mib``; the file to be removed is returned."""
    filler = disk / "filler"
    room = shutil.disk_usage(disk).free - (leave_mib << 20)
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for _ in range(0, room, 1 << 20):
            file.write(bytes(1 << 20))
        while leave_mib == 0:
            file.write(bytes(4096))
    return filler


def padded(clip: Path, path: Path, *, mib: int) -> Path:
    """The clip with so much more in it that no player looks at."""
    size_bytes = mib << 20
    path.write_bytes(clip.read_bytes() + size_bytes.to_bytes(4, "big") + b"free" + bytes(size_bytes - 8))
    return path


def moments(process: Process, event: str) -> list[datetime]:
    """When the process logged what begins so."""
    return [datetime.fromisoformat(at) for at, text in _LINE.findall(process.output()) if text.startswith(event)]


def attempts_of(process: Process, job_id: str) -> int:
    """How often the process took the job up."""
    return len(moments(process, f"job.claimed: {job_id}"))
