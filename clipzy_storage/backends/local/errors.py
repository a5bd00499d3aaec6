"""Errors of the operating system as our own, without the paths of this machine."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipzy_storage.backends.error_counts import counted
from clipzy_storage.backends.local.dirfd import BLOCKED, FULL
from clipzy_storage.errors import (
    AlreadyExists,
    BadKey,
    ConfigurationError,
    NotFound,
    StorageError,
    StorageFull,
    StorageUnavailable,
)

_NO_SPACE = ("has no space for a test file", "Free some space or raise the quota")
_NOT_A_DIRECTORY = ("is not a directory, or is below something that is not one", "Move away what is in its place")
_NOT_PERMITTED = ("is not writable by this user", "Give the user that runs Clipzy the permission to write there")

START_FAILURES = {
    errno.ENOENT: ("is declared shared but does not exist", "Mount the share, or create the directory on it"),
    errno.EROFS: ("is mounted read-only", "Mount it writable"),
    **dict.fromkeys(FULL, _NO_SPACE),
    **dict.fromkeys((*BLOCKED, errno.EEXIST, errno.EISDIR), _NOT_A_DIRECTORY),
    **dict.fromkeys((errno.EACCES, errno.EPERM), _NOT_PERMITTED),
}
"""What an error at the start shows about the storage directory, and the remedy."""


@contextmanager
def os_errors_translated(key: str, *, writing: bool = False) -> Iterator[None]:
    """Raise any ``OSError`` as a ``StorageError`` about ``key``."""
    try:
        yield
    except OSError as error:
        raise counted(_translated(error, key, writing=writing)) from error


def _translated(error: OSError, key: str, *, writing: bool) -> StorageError:
    if error.errno in FULL:
        return StorageFull("the storage is full; delete something or add space")
    if error.errno == errno.EEXIST:
        return AlreadyExists(f"{key} is stored already")
    if error.errno in BLOCKED and writing:
        return BadKey(f"the path of {key} leads through something that is not a directory")
    if error.errno in {*BLOCKED, errno.ENOENT} and not writing:
        return NotFound(f"there is no {key} in the storage")
    return unavailable(error)


def explained(error: OSError, root: Path) -> ConfigurationError | StorageUnavailable:
    """The error at the start: a ``ConfigurationError`` with the remedy if only an operator can fix it."""
    if error.errno not in START_FAILURES:
        return unavailable(error)
    found, remedy = START_FAILURES[error.errno]
    return ConfigurationError([f"{named(root)} {found}. {remedy}, or set LOCAL_STORAGE_PATH to another directory."])


def unavailable(error: OSError) -> StorageUnavailable:
    """The error if it may be temporary."""
    return StorageUnavailable(f"the storage does not respond: {error.strerror}")


def named(root: Path) -> str:
    """The setting and its value, as messages to operators begin."""
    return f"LOCAL_STORAGE_PATH={root}"
