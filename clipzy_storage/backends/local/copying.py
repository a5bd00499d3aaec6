"""Copies within a local storage: they take no further space on the disk if its filesystem can share files."""

import errno
import hashlib
import os
import stat
from contextlib import suppress

from clipzy_storage.backends.base import READ_BLOCK_BYTES
from clipzy_storage.backends.local.dirfd import NO_HARD_LINKS, hard_link, status_of
from clipzy_storage.backends.local.errors import os_errors_translated
from clipzy_storage.backends.local.root import LocalRoot
from clipzy_storage.errors import NotFound

_READ_ONLY_MODE = 0o440
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_CANNOT_LINK = NO_HARD_LINKS | {errno.EMLINK, errno.EXDEV, errno.EACCES}


def sha256_of(file: int) -> str:
    """Hex digest of an open file. Raises ``OSError``."""
    digest, block, position = hashlib.sha256(), memoryview(bytearray(READ_BLOCK_BYTES)), 0
    while count := os.preadv(file, [block], position):
        digest.update(block[:count])
        position += count
    return digest.hexdigest()


def link_read_only(root: LocalRoot, file: int, directory: int, name: str, to: str) -> bool:
    """Give the open file ``name`` of ``directory`` the key ``to`` as well; false if that is impossible.

    Nobody can write to it from then on. Its age begins anew, under both names: otherwise the garbage collector could
    take files of a running job for remnants.

    Raises:
        NotFound: the file was deleted meanwhile.
        AlreadyExists: ``to`` is taken.
        StorageFull, StorageUnavailable
    """
    if not _made_read_only(file):
        return False

    def link(parent: int, new_name: str) -> None:
        try:
            status_of(directory, name)
        except FileNotFoundError as error:  # its number of links tells nothing: other jobs may share it
            raise NotFound("the file was deleted while it was copied") from error
        hard_link(directory, name, parent, new_name)

    try:
        os.utime(file)
        root.in_parent_of(to, link)
    except OSError as error:
        if error.errno in _CANNOT_LINK:
            return False
        with os_errors_translated(to, writing=True):
            raise
    return True


def _made_read_only(file: int) -> bool:
    """False if it belongs to another user, or the filesystem has no modes."""
    with suppress(PermissionError):
        os.fchmod(file, _READ_ONLY_MODE)
    return not os.fstat(file).st_mode & _WRITABLE
