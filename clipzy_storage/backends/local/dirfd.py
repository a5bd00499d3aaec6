"""Steps on one folder at a time, by descriptor, so that no symbolic link can lead elsewhere. All raise ``OSError``."""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from clipzy_storage.errors import StorageUnavailable

FILE_MODE, _FOLDER_MODE = 0o640, 0o750
ROOT = os.O_RDONLY | os.O_DIRECTORY
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # without O_NONBLOCK, opening a fifo would wait for its writer
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_FOLDER = ROOT | os.O_NOFOLLOW

FULL = {errno.ENOSPC, errno.EDQUOT}
BLOCKED = {errno.ENOTDIR, errno.ELOOP}  # a file or a symbolic link where a folder should be
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
MARKER_SUFFIX = ".taken"
_MARKER_WAIT_SECONDS = 2.0


@contextmanager
def opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def descend(start: int, folders: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """The folder so far below ``start``, following no symbolic link. Raises ``OSError``."""
    folder = os.dup(start)
    try:
        for name in folders:
            deeper = enter(folder, name, create=create)
            os.close(folder)
            folder = deeper
        yield folder
    finally:
        os.close(folder)


def enter(folder: int, name: str, *, create: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
    _sync_folder(folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def _sync_folder(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some filesystems cannot sync a folder by itself
            raise


def status_of(folder: int, name: str) -> os.stat_result:
    """Of a regular file; anything else counts as missing. Raises ``OSError``."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return status


def size_bytes(folder: int, name: str) -> int:
    """Size of a regular file; anything else counts as missing. Raises ``OSError``."""
    return status_of(folder, name).st_size


def clock(folder: int) -> float:
    """The time by the clock that dates the files around this folder: a network filesystem's may differ from ours.

    Raises ``OSError`` where the folder may not be touched.
    """
    os.utime(folder)
    return os.fstat(folder).st_mtime


def names(folder: int) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def link_once(source_folder: int, source: str, folder: int, name: str, key: str) -> None:
    """Give the file its second name, durably, unless that name is taken: then ``FileExistsError``."""
    try:
        os.link(source, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        # Over NFS a repeated request may report failure although the first one worked: two names prove that it did.
        if os.stat(source, dir_fd=source_folder, follow_symlinks=False).st_nlink != 2:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _rename_once(source_folder, source, folder, name, key)
    _sync_folder(folder)


def _rename_once(source_folder: int, source: str, folder: int, name: str, key: str) -> None:
    marker = hashlib.sha256(key.encode()).hexdigest() + MARKER_SUFFIX
    _take_marker(source_folder, marker)
    try:
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
    finally:
        os.unlink(marker, dir_fd=source_folder)


def _take_marker(folder: int, marker: str) -> None:
    """Wait for the marker to be free. One that a dead writer left behind stays until the sweep."""
    deadline = time.monotonic() + _MARKER_WAIT_SECONDS
    while True:
        try:
            return os.close(os.open(marker, NEW_FILE, 0o600, dir_fd=folder))
        except FileExistsError as error:
            if time.monotonic() > deadline:
                raise StorageUnavailable("another writer holds this key; try again") from error
            time.sleep(0.01)


def write_small(folder: int, name: str, data: bytes) -> None:
    with opened(os.open(name, NEW_FILE, FILE_MODE, dir_fd=folder)) as file:
        os.write(file, data)
        os.fsync(file)


def read_small(folder: int, name: str) -> bytes:
    with opened(os.open(name, READ, dir_fd=folder)) as file:
        return os.read(file, 4096)


@contextmanager
def removed_in_the_end(folder: int, name: str) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def sweep(folder: int, older_than_seconds: float, *, prefix: str) -> int:
    removed = 0
    for name in untouched(folder, older_than_seconds, prefix=prefix):
        with suppress(FileNotFoundError, IsADirectoryError):  # removed meanwhile, or nothing of ours
            os.unlink(name, dir_fd=folder)
            removed += 1
    return removed


def untouched(folder: int, older_than_seconds: float, *, prefix: str = "") -> Iterator[str]:
    """Names of files that nobody has written to for so long."""
    now = clock(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(prefix):
                continue
            with suppress(FileNotFoundError):  # removed meanwhile
                if now - entry.stat(follow_symlinks=False).st_mtime >= older_than_seconds:
                    yield entry.name
