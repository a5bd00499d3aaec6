"""The verification of a local storage, and its identity: written once, removed again if unused."""

import errno
import os
import secrets
from contextlib import suppress

from clipzy_storage import keys
from clipzy_storage.backends.local.dirfd import (
    BLOCKED,
    link_once,
    names_in,
    open_descendant,
    read_small,
    removed_at_end,
    write_small,
)

OWN_DIRECTORY, _ID_NAME = keys.STORAGE_ID.split("/")


def verify(root: int) -> None:
    """Write, read and remove a file. Raises ``OSError``."""
    name, token = secrets.token_hex(16), secrets.token_bytes(32)
    with open_descendant(root, keys.PROBE.split("/"), create=True) as probe, removed_at_end(probe, name):
        write_small(probe, name, token)
        if read_small(probe, name) != token:
            raise OSError(errno.EIO, "a test file is read back with other content")


def write_identity(own: int, probe: int) -> bool:
    """Write a new identity; false if another process has written one first. Raises ``OSError``."""
    name = secrets.token_hex(16)
    with removed_at_end(probe, name):
        write_small(probe, name, f"{secrets.token_hex(16)}\n".encode())
        try:
            link_once(probe, name, own, _ID_NAME, keys.STORAGE_ID)
        except FileExistsError:
            return False
    return True


def read_identity(root: int) -> bytes | None:
    """The identity as it is stored: None if it is missing, empty if it is not readable. Raises ``OSError``."""
    try:
        return read_small(root, keys.STORAGE_ID)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {*BLOCKED, errno.EISDIR, errno.EACCES}:
            return b""
        raise


def withdraw(root: int, identity: bytes | None) -> None:
    """Remove ``identity``, which this process wrote, unless another process uses it, and the emptied directories.

    A process that adopts an identity first creates ``.clipzy/incoming`` and then reads the identity. So the identity is
    first renamed: a process that has not created that directory by now will not find the identity any more.

    Raises ``OSError``, also if the directories are not empty.
    """
    with open_descendant(root, [OWN_DIRECTORY]) as own:
        aside = secrets.token_hex(16)
        if identity is not None and identity == read_identity(root) and "incoming" not in names_in(own):
            os.rename(_ID_NAME, aside, src_dir_fd=own, dst_dir_fd=own)
            if "incoming" in names_in(own):
                link_once(own, aside, own, _ID_NAME, keys.STORAGE_ID)
            with suppress(FileNotFoundError):
                os.unlink(aside, dir_fd=own)
        if names_in(own) == {"probe"}:
            os.rmdir("probe", dir_fd=own)
    os.rmdir(OWN_DIRECTORY, dir_fd=root)
