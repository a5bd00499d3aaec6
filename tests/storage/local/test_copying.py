"""Copies on a local storage: they share the bytes where the filesystem can, and are written anew where it cannot."""

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import Damaged, NotFound
from tests.storage.local.directory import REPOSITORY, unfinished
from tests.support.requirements import missing

FIRST, SECOND = "results/job_1/attempts/1-a/poster.jpg", "results/job_2/attempts/1-b/poster.jpg"
CONTENT = b"a poster" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DAY_SECONDS = 24 * 3600


@pytest.fixture(autouse=True)
def _first(storage: LocalStorage) -> None:
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")


def test_a_copy_takes_no_further_space_and_cannot_be_written(storage: LocalStorage, root: Path) -> None:
    if (
        subprocess.run(
            ["cp", "--reflink=always", root / FIRST, root / "reflink"], check=False, capture_output=True
        ).returncode
        == 0
    ):
        missing("needs a filesystem without reflinks")

    # When a file is copied
    storage.copy(FIRST, SECOND, sha256=SHA256)

    # Then both keys have one file, each in its full size, to which nobody may write
    first, second = (root / FIRST).stat(), (root / SECOND).stat()
    assert first.st_ino == second.st_ino
    assert [blob.size_bytes for blob in storage.list("results/")] == [len(CONTENT)] * 2
    assert stat.S_IMODE(first.st_mode) == 0o440
    assert unfinished(root) == []


def test_a_copy_of_an_old_file_is_new(storage: LocalStorage, root: Path) -> None:
    """The garbage collector goes by ages: files of an attempt in progress must not look like remnants."""
    # Given a file that is a day old
    yesterday = (root / FIRST).stat().st_mtime - DAY_SECONDS
    os.utime(root / FIRST, (yesterday, yesterday))

    # When it is copied
    storage.copy(FIRST, SECOND, sha256=SHA256)

    # Then the copy is as young as any file that was just written
    (copied,) = storage.list("results/job_2/")
    assert copied.age_seconds < DAY_SECONDS / 2


@pytest.mark.parametrize("error", [errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP])
def test_without_hard_links_the_bytes_are_written_again(
    storage: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    # Given a file that cannot have a further name; no such filesystem can be mounted everywhere
    link = os.link

    def refuse(source: str, *args: Any, **options: Any) -> None:
        if source == Path(FIRST).name:
            raise OSError(error, os.strerror(error))
        link(source, *args, **options)

    monkeypatch.setattr(os, "link", refuse)

    # When it is copied, Then the copy is a file of its own, and the original is where it was
    storage.copy(FIRST, SECOND, sha256=SHA256)
    assert (root / FIRST).stat().st_ino != (root / SECOND).stat().st_ino
    assert read_bytes(storage, FIRST) == read_bytes(storage, SECOND) == CONTENT
    assert unfinished(root) == []


def test_a_file_that_stays_writable_is_not_shared(
    storage: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a file whose mode cannot be changed, as one of another user; root may change all
    def refuse(*_args: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)

    # When it is copied, Then the copy is a file of its own
    storage.copy(FIRST, SECOND, sha256=SHA256)
    assert (root / FIRST).stat().st_ino != (root / SECOND).stat().st_ino
    assert read_bytes(storage, SECOND) == CONTENT


def test_a_damaged_file_is_not_copied(storage: LocalStorage, root: Path) -> None:
    # Given a file whose bytes have changed on the disk
    (root / FIRST).chmod(0o644)
    (root / FIRST).write_bytes(b"otherwise")

    # Then it is not copied
    with pytest.raises(Damaged):
        storage.copy(FIRST, SECOND, sha256=SHA256)
    assert not storage.exists(SECOND)


def test_a_symbolic_link_is_not_copied(storage: LocalStorage, root: Path, tmp_path: Path) -> None:
    # Given a link to a file outside, with the same content, in the place of the file
    outside = tmp_path / "outside"
    outside.write_bytes(CONTENT)
    (root / FIRST).unlink()
    (root / FIRST).symlink_to(outside)

    # Then there is nothing to copy, and the other file is as it was
    mode = outside.stat().st_mode
    with pytest.raises(NotFound):
        storage.copy(FIRST, SECOND, sha256=SHA256)
    assert (outside.stat().st_mode, outside.stat().st_nlink) == (mode, 1)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_file_that_is_deleted_meanwhile_is_missing(
    storage: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch, *, is_shared: bool
) -> None:
    if is_shared:  # with another job: then the file lives on under that key
        os.link(root / FIRST, root / "shared")
    # Given a deletion between the comparison and the link; no race hits that reliably
    fchmod = os.fchmod

    def delete_first(*args: Any) -> None:
        fchmod(*args)
        (root / FIRST).unlink(missing_ok=True)

    monkeypatch.setattr(os, "fchmod", delete_first)

    # When it is copied, Then it is reported missing, and nothing is left
    with pytest.raises(NotFound):
        storage.copy(FIRST, SECOND, sha256=SHA256)
    assert not storage.exists(SECOND)
    assert unfinished(root) == []


def test_a_filesystem_with_reflinks_shares_the_bytes_of_two_files(tmp_path: Path) -> None:
    if shutil.which("mkfs.xfs") is None or os.geteuid() != 0:
        missing("needs mkfs.xfs, and root to mount")
    # Given an XFS of its own, in a process with private mounts
    image, mounted = tmp_path / "xfs", tmp_path / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(400 << 20)
    subprocess.run(["mkfs.xfs", "-q", image], check=True)
    command: list[str | Path] = [
        "unshare",
        "--mount",
        sys.executable,
        "-m",
        "tests.storage.local.reflinks",
        image,
        mounted,
    ]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    if "cannot be mounted" in done.stderr:
        missing("needs a loop device")

    # Then all that the process asserts holds
    assert done.returncode == 0, done.stderr
