"""What filesystems do to a directory: no hard links, wrong results, full, read-only or vanished."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import (
    AlreadyExists,
    StorageFull,
    StorageUnavailable,
)
from tests.storage.local.directory import KEY, REPOSITORY, prepared, put, unfinished
from tests.storage.local.mounted import SCENES
from tests.support.requirements import missing


@pytest.fixture
def no_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """No filesystem without hard links can be mounted everywhere, so the system call answers as one would."""

    def refuse(*_args: Any, **_options: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("no_hard_links")
def test_without_hard_links_a_key_is_still_written_once(root: Path) -> None:
    # Given a storage on such a filesystem, and eight writers with a file each
    storage = prepared(root)
    barrier = threading.Barrier(8)
    won = []

    def publish(number: int) -> None:
        with storage.open_writer(KEY) as incoming:
            incoming.write(bytes([number]) * 10_000)
            barrier.wait(30)
            try:
                incoming.publish()
            except AlreadyExists:
                return
            won.append(number)

    # When they publish under one key
    threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Then one did, whole, and no marker is left
    assert len(won) == 1
    assert read_bytes(storage, KEY) == bytes(won) * 10_000
    assert unfinished(root) == []


@pytest.mark.usefixtures("no_hard_links")
def test_a_dead_writers_marker_is_waited_for_and_swept(root: Path) -> None:
    # Given the marker of a writer that died between marker and rename
    storage = prepared(root)
    put(storage, "uploads/vid_0/source.mp4", b"x")
    marker = root / keys.INCOMING / (hashlib.sha256(KEY.encode()).hexdigest() + ".taken")
    marker.touch()

    # Then its key cannot be written for now
    with pytest.raises(StorageUnavailable):
        put(storage, KEY, b"x")

    # And can be once the sweep was there
    assert storage.sweep_incomplete(0) == 1
    put(storage, KEY, b"x")


def test_a_link_that_worked_but_reported_failure_counts(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a network filesystem on which a repeated request reports failure; there is none to mount here
    link = os.link

    def link_twice(*args: Any, **options: Any) -> None:
        link(*args, **options)
        link(*args, **options)

    monkeypatch.setattr(os, "link", link_twice)

    # When a file is published
    put(storage, KEY, b"x")

    # Then it is taken for what it is: there
    assert read_bytes(storage, KEY) == b"x"


def test_a_file_is_durable_before_it_has_its_name(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a record of the system calls whose order only a power cut would show; they are made all the same
    calls: list[str] = []

    def watch(name: str) -> None:
        call = getattr(os, name)

        def watched(*args: Any, **options: Any) -> None:
            of_directory = name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode)
            calls.append("fsync of a directory" if of_directory else name)
            call(*args, **options)

        monkeypatch.setattr(os, name, watched)

    put(storage, "uploads/vid_1/video.json", b"x")
    watch("fsync")
    watch("link")

    # When a file is stored next to another, and one in a new directory
    put(storage, KEY, b"x")
    next_to_another, calls[:] = calls[:], []
    put(storage, "results/job_1/output.json", b"x")

    # Then content is durable before its name exists, and each name is made durable in its directory
    assert next_to_another == ["fsync", "link", "fsync of a directory"]
    assert calls == ["fsync", "fsync of a directory", "fsync of a directory", "link", "fsync of a directory"]


def test_a_file_that_lost_bytes_is_not_published(storage: LocalStorage, root: Path) -> None:
    # Given an unfinished file whose end the filesystem has dropped
    with storage.open_writer(KEY) as incoming:
        incoming.write(b"x" * 1000)
        (name,) = unfinished(root)
        os.truncate(root / keys.INCOMING / name, 999)

        # When it is published
        with pytest.raises(StorageUnavailable):
            incoming.publish()

    # Then it is refused and gone
    assert not storage.exists(KEY)
    assert unfinished(root) == []


def test_a_directory_that_goes_at_the_last_moment_is_made_again(
    storage: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a concurrent deletion that removes the directory just before the link; no race hits that reliably
    link, attempts = os.link, iter(range(3))

    def link_too_late(*args: Any, **options: Any) -> None:
        if next(attempts, None) is not None:
            (root / KEY).parent.rmdir()
        link(*args, **options)

    monkeypatch.setattr(os, "link", link_too_late)

    # When a file is published into it
    put(storage, KEY, b"x")

    # Then it is there nevertheless
    assert next(attempts, None) is None
    assert read_bytes(storage, KEY) == b"x"


def test_a_file_is_not_begun_into_the_reserve(root: Path) -> None:
    # Given a storage that is to keep more than there is
    storage = LocalStorage(root, shared=False, free_reserve_bytes=1 << 62)
    storage.prepare()

    # Then no upload is started
    with pytest.raises(StorageFull), storage.open_writer(KEY):
        pytest.fail("there is no space for it")
    assert not (root / keys.INCOMING).exists()

    # But a small record still finds its place: it is what brings jobs to their ends
    put(storage, "jobs/done/job_1.json", b"{}")
    assert storage.exists("jobs/done/job_1.json")


@pytest.mark.parametrize("scene", SCENES)
def test_on_a_filesystem_of_its_own(scene: str, tmp_path: Path) -> None:
    # Given a process with private mounts, if this user may have them
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:
        missing("needs user and mount namespaces")

    # When the scene runs in it
    command = [*unshare, sys.executable, "-m", "tests.storage.local.mounted", scene, str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)

    # Then all that it asserts holds
    assert done.returncode == 0, done.stderr
