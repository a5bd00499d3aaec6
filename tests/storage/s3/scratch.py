"""Copies a source to a disk that others fill up meanwhile. The disk is a small mount of this process alone."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.config import logs
from clipzy_storage.config.environment import log_settings_from_env
from clipzy_storage.errors import StorageError


def run_on_a_small_disk(directory: Path, bucket: str, key: str, sha256: str, *, env: Mapping[str, str]) -> str | None:
    """What the copy returned; None if mounting is not permitted on this machine."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode:
        return None
    command = [unshare, "-m", sys.executable, "-m", "tests.storage.s3.scratch", str(directory), bucket, key, sha256]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _copy(directory: Path, bucket: str, key: str, sha256: str) -> str:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "none", directory], check=True)
    storage = S3Storage(bucket, scratch_reserve_bytes=0)
    storage.prepare()

    def fill() -> None:
        others = directory / "others"
        if not others.exists():
            others.write_bytes(bytes(3 << 20))

    try:
        storage.local_copy(key, directory, sha256=sha256, on_progress=fill)
    except StorageError as error:
        return f"{type(error).__name__}: {error}"
    return "copied"


if __name__ == "__main__":
    logs.configure(log_settings_from_env())  # otherwise events are printed next to the answer
    sys.stdout.write(_copy(Path(sys.argv[1]), *sys.argv[2:]))
