"""What lies in a folder of a local storage, in the order of whole keys and with its age."""

import os
from collections.abc import Iterator
from contextlib import suppress

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo
from clipzy_storage.backends.local.dirfd import clock, descend, status_of
from clipzy_storage.errors import BadKey

_OWN_FOLDER = keys.STORAGE_ID.split("/")[:1]


def time_of(root: int) -> float | None:
    """The storage's time; ``None`` where it is mounted read-only, or belongs to another user."""
    with suppress(OSError), descend(root, _OWN_FOLDER) as own:
        return clock(own)
    return None


def walk(folder: int, prefix: str, *, now: float | None) -> Iterator[BlobInfo]:
    """Everything below; a folder's name sorts with the slash at its end. Raises ``OSError``."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries)
    for name in names:
        if name.startswith(".nfs") or f"{prefix}{name}" == f"{keys.INCOMING}/":
            continue
        with suppress(FileNotFoundError, NotADirectoryError, BadKey):  # removed meanwhile, or nothing of ours
            if name.endswith("/"):
                with descend(folder, [name[:-1]]) as deeper:
                    yield from walk(deeper, prefix + name, now=now)
            else:
                status = status_of(folder, name)
                # 0 also where the clock was set back since: what seems to come from the future is not old.
                age_seconds = 0.0 if now is None else max(0.0, now - status.st_mtime)
                yield BlobInfo(keys.checked(prefix + name), status.st_size, age_seconds)
