"""The root directory of a local storage, which must stay the one that was prepared."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clipzy_storage.backends.local.dirfd import ROOT, link_once, open_descendant, opened
from clipzy_storage.backends.local.errors import os_errors_translated
from clipzy_storage.backends.local.identity import read_identity
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.keys import segments_of

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
            raise StorageUnavailable("the storage directory is gone; mount it again") from error
        with opened(root):
            found = read_identity(root)
            if not found or self.identity not in (None, found):
                raise StorageUnavailable("the storage directory is not the one seen at start; mount it again")
            yield root

    @contextmanager
    def parent_of(self, key: str) -> Iterator[tuple[int, str]]:
        """The directory with the file of ``key``, and its name there, to read or remove it.

        Errors of the operating system inside are translated. Raises ``NotFound`` if there is no such directory.
        """
        *names, name = segments_of(key)
        with os_errors_translated(key), self.opened() as root, open_descendant(root, names) as directory:
            yield directory, name

    def link(self, directory: int, name: str, key: str) -> None:
        """Give the file ``name`` of ``directory`` its key, durably.

        Raises ``OSError``: ``FileExistsError`` if the key is taken.
        """
        *names, final_name = segments_of(key)
        for _ in range(RACE_ATTEMPTS):
            with (
                suppress(FileNotFoundError),  # a concurrent deletion removed the directory that was just opened
                self.opened() as root,
                open_descendant(root, names, create=True) as parent,
            ):
                link_once(directory, name, parent, final_name, key)
                return
        raise StorageUnavailable("the directories of the storage change too fast to write a file; try again")
