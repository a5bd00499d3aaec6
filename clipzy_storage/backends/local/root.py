"""The root directory of a local storage, which must stay the one that was prepared."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clipzy_storage.backends.error_counts import counted
from clipzy_storage.backends.local.dirfd import ROOT, open_descendant, opened
from clipzy_storage.backends.local.errors import os_errors_translated
from clipzy_storage.backends.local.identity import read_identity
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.keys import STORAGE_ID, segments_of

RACE_ATTEMPTS = 200
"""Against other processes that remove a directory, or an identity, between two of our steps."""


class LocalRoot:
    """The directory that every key begins at, on this machine or on a mount.

    Each access checks that it still has its identity, so that no file is missed or written if a mount has vanished.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity: bytes | None = None
        """As it was read when the storage was prepared; None before: then any identity will do."""

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Its descriptor. Raises ``StorageUnavailable`` unless it has its identity."""
        try:
            root = os.open(self.path, ROOT)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._lost("gone", never="there is no such directory") from error
        with opened(root):
            found = read_identity(root)
            if not found or self.identity not in (None, found):
                never = f"the directory has no {STORAGE_ID} that can be read"
                raise self._lost("not the one seen at start", never=never)
            yield root

    def _lost(self, what: str, *, never: str) -> StorageUnavailable:
        """Why it cannot be used any more; or why it could ``never`` be, if it was not prepared."""
        return counted(
            StorageUnavailable(f"the storage directory is {what}; mount it again" if self.identity else never)
        )

    @contextmanager
    def parent_of(self, key: str) -> Iterator[tuple[int, str]]:
        """The directory with the file of ``key``, and its name there, to read or remove it.

        Errors of the operating system inside are translated. Raises ``NotFound`` if there is no such directory.
        """
        *names, name = segments_of(key)
        with os_errors_translated(key), self.opened() as root, open_descendant(root, names) as directory:
            yield directory, name

    def in_parent_of(self, key: str, act: Callable[[int, str], None]) -> None:
        """Call ``act`` with the directory for the file of ``key``, which is created, and the file's name there.

        It is called again if a concurrent deletion removed that directory. Raises ``OSError``, and what ``act`` raises.
        """
        *names, name = segments_of(key)
        for _ in range(RACE_ATTEMPTS):
            with (
                suppress(FileNotFoundError),  # it was removed right after it was opened
                self.opened() as root,
                open_descendant(root, names, create=True) as parent,
            ):
                act(parent, name)
                return
        raise StorageUnavailable("the directories of the storage change too fast to write a file; try again")
