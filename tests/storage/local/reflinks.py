"""Copies on a filesystem with reflinks, which is mounted for this process alone.

Run as ``unshare --mount python -m tests.storage.local.reflinks IMAGE DIRECTORY``.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage

FIRST, SECOND = "results/job_1/attempts/1-a/sprites.jpg", "results/job_2/attempts/1-b/sprites.jpg"
SIZE_BYTES = 64 << 20


def main(image: str, directory: str) -> None:
    if subprocess.run(["mount", "-o", "loop", image, directory], check=False).returncode != 0:
        sys.exit("the image cannot be mounted")
    # Given a storage with a large file
    root = Path(directory) / "storage"
    storage = LocalStorage(root, shared=False, free_reserve_bytes=0)
    storage.prepare()
    content = os.urandom(SIZE_BYTES)
    put_bytes(storage, FIRST, content, content_type="image/jpeg")
    before = storage.free_space().size_bytes or 0

    # When it is copied
    copied = storage.copy(FIRST, SECOND, sha256=hashlib.sha256(content).hexdigest())

    # Then the copy is a file of its own, in the full size, and takes no further space
    assert (root / FIRST).stat().st_ino != (root / SECOND).stat().st_ino
    assert copied == storage.info(SECOND)
    assert copied.size_bytes == SIZE_BYTES
    assert before - (storage.free_space().size_bytes or 0) < SIZE_BYTES // 8

    # And it is whole when the first is deleted
    storage.delete(FIRST)
    assert read_bytes(storage, SECOND) == content


if __name__ == "__main__":
    main(*sys.argv[1:])
