"""Scenes that need a separate filesystem. Each runs in a process with private mounts, which end with it.

Run as ``unshare … python -m tests.storage.local.mounted SCENE DIRECTORY``; a scene that fails ends with a traceback.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import ConfigurationError, StorageFull, StorageUnavailable

KEY = "uploads/vid_1/source.mp4"


def full_disk(root: Path) -> None:
    # Given a storage of 2 MiB
    _mount("-t", "tmpfs", "-o", "size=2m", "none", root)
    storage = LocalStorage(root, shared=True, free_reserve_bytes=0)
    storage.prepare()

    # When a file does not fit
    with storage.open_writer(KEY) as incoming:
        incoming.write(b"x" * 1_000_000)
        incoming.write(b"x" * 2_000_000)  # in the background
        with pytest.raises(StorageFull) as refusal:
            incoming.publish()

        # Then it is removed immediately, and so are its bytes
        assert list((root / ".clipzy/incoming").iterdir()) == []
    assert str(root) not in str(refusal.value)
    assert not storage.exists(KEY)

    # And what fits is stored
    _put(storage, b"x" * 1_000_000)
    assert len(read_bytes(storage, KEY)) == 1_000_000


def few_inodes(root: Path) -> None:
    # Given a storage with much space, and few inodes more than the reserve
    _mount("-t", "tmpfs", "-o", "size=64m,nr_inodes=100", "none", root)
    storage = LocalStorage(root, shared=True, free_reserve_bytes=0, free_reserve_inodes=80)
    storage.prepare()
    _put(storage, b"x")

    # When others take what is free up to the reserve
    for number in range((storage.free_space().inodes or 0) - 79):
        (root / f"{number}").touch()

    # Then no upload is begun, and the refusal says of what there is too little
    with pytest.raises(StorageFull, match=r"only 63 MiB and 79 inodes left"), storage.open_writer("uploads/x/y"):
        pytest.fail("it is begun")

    # But a small record still finds its place
    put_bytes(storage, "jobs/done/job_1.json", b"{}", content_type="application/json")


def unlimited_inodes(root: Path) -> None:
    # Given a filesystem that reports no inodes, as btrfs does
    _mount("-t", "tmpfs", "-o", "nr_inodes=0", "none", root)
    assert os.statvfs(root).f_files == 0
    storage = LocalStorage(root, shared=True)
    storage.prepare()

    # Then it has enough of them
    with storage.open_writer(KEY) as incoming:
        incoming.publish()


def no_space_for_the_probe(root: Path) -> None:
    # Given a full filesystem
    _mount("-t", "tmpfs", "-o", "size=64k", "none", root)
    (root / "others").write_bytes(b"x" * 65_536)

    # When a storage starts on it
    message = _refusal(root)

    # Then it is refused for that, and leaves nothing
    assert "no space" in message
    assert [path.name for path in root.iterdir()] == ["others"]


def read_only(root: Path) -> None:
    # Given a mount that cannot be written
    _mount("--bind", root, root)
    _mount("-o", "remount,bind,ro", root)

    # Then a storage is refused for that
    assert "read-only" in _refusal(root)


def vanished(root: Path) -> None:
    # Given a storage on a mount, with a file in it and an unfinished one
    _mount("-t", "tmpfs", "none", root)
    storage = LocalStorage(root, shared=True, free_reserve_bytes=0)
    storage.prepare()
    _put(storage, b"x")
    with storage.open_writer("uploads/vid_2/source.mp4") as incoming:
        incoming.write(b"y")

        # When the mount is removed
        subprocess.run(["umount", "--lazy", root], check=True)

        # Then the unfinished file is not published
        with pytest.raises(StorageUnavailable):
            incoming.publish()

    # And nothing is written below the mount point, nor reported missing
    with pytest.raises(StorageUnavailable):
        _put(storage, b"z")
    with pytest.raises(StorageUnavailable):
        storage.exists(KEY)
    assert list(root.iterdir()) == []


def _put(storage: LocalStorage, data: bytes) -> None:
    put_bytes(storage, KEY, data, content_type="video/mp4")


def _refusal(root: Path) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        LocalStorage(root, shared=True).prepare()
    (line,) = refusal.value.problems
    assert f"LOCAL_STORAGE_PATH={root}" in line
    return line


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


SCENES = {
    scene.__name__: scene
    for scene in (full_disk, few_inodes, unlimited_inodes, no_space_for_the_probe, read_only, vanished)
}

if __name__ == "__main__":
    SCENES[sys.argv[1]](Path(sys.argv[2]))
