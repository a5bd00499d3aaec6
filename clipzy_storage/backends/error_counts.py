"""Counts for `/metrics` the accesses to storage that fail, where the errors of the two backends arise."""

from typing import TypeVar

from clipzy_storage import metrics
from clipzy_storage.errors import CredentialsRefused, Damaged, StorageError, StorageFull, StorageUnavailable

_KINDS: tuple[tuple[type[StorageError], str], ...] = (
    (CredentialsRefused, "credentials"),
    (StorageUnavailable, "unavailable"),
    (StorageFull, "full"),
    (Damaged, "damaged"),
)

E = TypeVar("E", bound=StorageError)


def counted(error: E) -> E:
    """The same error, counted unless it is an ordinary answer, such as that there is no such file."""
    for kind, label in _KINDS:
        if isinstance(error, kind):
            metrics.count("clipzy_storage_errors_total", error=label)
            break
    return error


def not_what_was_stored(key: str, sha256: str) -> Damaged:
    """The error about a file with another digest than it had when it was written."""
    return counted(Damaged(f"{key} is not what was stored: its sha256 is {sha256}"))
