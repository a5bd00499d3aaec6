"""Directories by descriptor, opened one level at a time, so that no symbolic link can lead elsewhere.

All functions may raise ``OSError``.
"""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from clipzy_storage.errors import StorageUnavailable

FILE_MODE, _DIRECTORY_MODE = 0o640, 0o750
ROOT = os.O_RDONLY | os.O_DIRECTORY
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # without O_NONBLOCK, opening a fifo would wait for its writer
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_DIRECTORY = ROOT | os.O_NOFOLLOW

FULL = {errno.ENOSPC, errno.EDQUOT}
BLOCKED = {errno.ENOTDIR, errno.ELOOP}
"""A file or a symbolic link where a directory should be."""
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""The filesystem has none."""
MARKER_SUFFIX = ".taken"
"""Of the file that reserves a key during ``link_once`` if there are no hard links."""
_MARKER_WAIT_SECONDS = 2.0


@contextmanager
def opened(descriptor: int) -> Iterator[int]:
    """Close the descriptor at the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_descendant(start: int, names: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """The directory at the path ``names`` below ``start``, following no symbolic link; closed at the end."""
    directory = os.dup(start)
    try:
        for name in names:
            deeper = open_subdirectory(directory, name, create=create)
            os.close(directory)
            directory = deeper
        yield directory
    finally:
        os.close(directory)


def open_subdirectory(directory: int, name: str, *, create: bool) -> int:
    """A descriptor of the directory ``name`` in this one, which is durable if it was created."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, _DIRECTORY_MODE, dir_fd=directory)
    _sync_directory(directory)
    return os.open(name, _DIRECTORY, dir_fd=directory)


def _sync_directory(directory: int) -> None:
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some filesystems cannot sync a directory
            raise


def status_of(directory: int, name: str) -> os.stat_result:
    """The status of a regular file; anything else counts as missing."""
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return status


def size_bytes(directory: int, name: str) -> int:
    """Size of a regular file; anything else counts as missing."""
    return status_of(directory, name).st_size


def clock(directory: int) -> float:
    """The time by the clock that dates the files in this directory: that of a network filesystem may differ from ours.

    Raises ``OSError`` if this user may not set the times of the directory.
    """
    os.utime(directory)
    return os.fstat(directory).st_mtime


def names_in(directory: int) -> set[str]:
    """The names of everything in the directory."""
    with os.scandir(directory) as entries:
        return {entry.name for entry in entries}


def link_once(source_directory: int, source: str, directory: int, name: str, key: str) -> None:
    """Give the file ``source`` the name ``name``, durably. Raises ``FileExistsError`` if that is taken.

    Without hard links it is renamed.
    """
    try:
        hard_link(source_directory, source, directory, name)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        _rename_once(source_directory, source, directory, name, key)
        _sync_directory(directory)


def hard_link(source_directory: int, source: str, directory: int, name: str) -> None:
    """Give the file ``source`` the name ``name`` as well, durably. Raises ``FileExistsError`` if that is taken."""
    try:
        os.link(source, name, src_dir_fd=source_directory, dst_dir_fd=directory, follow_symlinks=False)
    except OSError:
        # Over NFS a repeated request may report failure although the first one worked.
        if not _is_same_file(source_directory, source, directory, name):
            raise
    _sync_directory(directory)


def rename_over(source_directory: int, source: str, directory: int, name: str) -> None:
    """Give the file ``source`` the name ``name`` instead of its own, durably, whatever had that name before."""
    os.rename(source, name, src_dir_fd=source_directory, dst_dir_fd=directory)
    _sync_directory(directory)


def _is_same_file(directory: int, name: str, other_directory: int, other_name: str) -> bool:
    with suppress(OSError):
        first = os.stat(name, dir_fd=directory, follow_symlinks=False)
        return os.path.samestat(first, os.stat(other_name, dir_fd=other_directory, follow_symlinks=False))
    return False


def _rename_once(source_directory: int, source: str, directory: int, name: str, key: str) -> None:
    marker = hashlib.sha256(key.encode()).hexdigest() + MARKER_SUFFIX
    _take_marker(source_directory, marker)
    try:
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=directory, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.rename(source, name, src_dir_fd=source_directory, dst_dir_fd=directory)
    finally:
        os.unlink(marker, dir_fd=source_directory)


def _take_marker(directory: int, marker: str) -> None:
    """Wait for the marker to be free. The marker of a killed writer stays until the sweep."""
    deadline = time.monotonic() + _MARKER_WAIT_SECONDS
    while True:
        try:
            return os.close(os.open(marker, NEW_FILE, 0o600, dir_fd=directory))
        except FileExistsError as error:
            if time.monotonic() > deadline:
                raise StorageUnavailable("another writer holds this key; try again") from error
            time.sleep(0.01)


def write_small(directory: int, name: str, data: bytes) -> None:
    """Create a file, durably. Raises ``FileExistsError``."""
    with opened(os.open(name, NEW_FILE, FILE_MODE, dir_fd=directory)) as file:
        os.write(file, data)
        os.fsync(file)


def read_small(directory: int, name: str) -> bytes:
    """The first 4 KiB of a file."""
    with opened(os.open(name, READ, dir_fd=directory)) as file:
        return os.read(file, 4096)


@contextmanager
def removed_at_end(directory: int, name: str) -> Iterator[None]:
    """Remove the file at the end, if it still exists."""
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


def remove_idle(directory: int, older_than_seconds: float, *, is_ours: Callable[[str], bool]) -> int:
    """Remove the ``idle_files``, and return how many there were."""
    removed = 0
    for name in idle_files(directory, older_than_seconds, is_ours=is_ours):
        with suppress(FileNotFoundError):  # removed meanwhile
            os.unlink(name, dir_fd=directory)
            removed += 1
    return removed


def idle_files(directory: int, older_than_seconds: float, *, is_ours: Callable[[str], bool]) -> Iterator[str]:
    """Names of the regular files that were last written so long ago, by the clock of the filesystem."""
    now = clock(directory)
    for name in filter(is_ours, names_in(directory)):
        with suppress(FileNotFoundError):  # removed meanwhile, or a foreign directory or link
            if now - status_of(directory, name).st_mtime >= older_than_seconds:
                yield name
