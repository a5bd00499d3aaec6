"""Who a local storage is: the proof that it works, and its identity, written once and taken back if unused."""

import errno
import os
import secrets
from contextlib import suppress

from clipzy_storage import keys
from clipzy_storage.backends.local.dirfd import (
    BLOCKED,
    descend,
    link_once,
    names,
    read_small,
    removed_in_the_end,
    write_small,
)

_OWN_FOLDER, _ID_NAME = keys.STORAGE_ID.split("/")


def prove(root: int) -> None:
    """Write, read and remove a file. Raises ``OSError``."""
    name, token = secrets.token_hex(16), secrets.token_bytes(32)
    with descend(root, keys.PROBE.split("/"), create=True) as probe, removed_in_the_end(probe, name):
        write_small(probe, name, token)
        if read_small(probe, name) != token:
            raise OSError(errno.EIO, "what was written reads back otherwise")


def write_identity(own: int, probe: int) -> bool:
    """Whether this process came first and wrote it."""
    name = secrets.token_hex(16)
    with removed_in_the_end(probe, name):
        write_small(probe, name, f"{secrets.token_hex(16)}\n".encode())
        try:
            link_once(probe, name, own, _ID_NAME, keys.STORAGE_ID)
        except FileExistsError:
            return False
    return True


def read_identity(root: int) -> bytes | None:
    """The identity as it is written there: ``None`` where it is missing, empty where it cannot be read."""
    try:
        return read_small(root, keys.STORAGE_ID)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {*BLOCKED, errno.EISDIR, errno.EACCES}:
            return b""
        raise


def take_back(root: int, identity: bytes | None) -> None:
    """Remove the identity that was written, unless somebody relies on it, and the emptied folders. Raises ``OSError``.

    Whoever adopts an identity first makes ``.clipzy/incoming`` and then reads it. So it is first moved aside: who is
    not seen to have made that folder by now will not find it any more.
    """
    with descend(root, [_OWN_FOLDER]) as own:
        aside = secrets.token_hex(16)
        if identity is not None and identity == read_identity(root) and "incoming" not in names(own):
            os.rename(_ID_NAME, aside, src_dir_fd=own, dst_dir_fd=own)
            if "incoming" in names(own):
                link_once(own, aside, own, _ID_NAME, keys.STORAGE_ID)
            with suppress(FileNotFoundError):
                os.unlink(aside, dir_fd=own)
        if names(own) == {"probe"}:
            os.rmdir("probe", dir_fd=own)
    os.rmdir(_OWN_FOLDER, dir_fd=root)
