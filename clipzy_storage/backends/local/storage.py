"""Storage in a directory of this machine, or in one that several machines mount.

A key is a path below the root, opened one directory at a time so that no symbolic link can lead elsewhere. A file grows
under ``.clipzy/incoming`` and appears under its key by a hard link, whole or not at all. If the filesystem has no hard
links, ``.clipzy/incoming/<sha256 of the key>.taken`` reserves the key while it is checked and the file is renamed.
"""

import errno
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, KeyOf, check_range, copy_through
from clipzy_storage.backends.error_counts import counted, not_what_was_stored
from clipzy_storage.backends.local.copying import link_read_only, sha256_of
from clipzy_storage.backends.local.dirfd import (
    MARKER_SUFFIX,
    READ,
    ROOT,
    idle_files,
    open_descendant,
    open_subdirectory,
    opened,
    remove_idle,
    size_bytes,
)
from clipzy_storage.backends.local.errors import explained, named, os_errors_translated
from clipzy_storage.backends.local.growing import LocalGrowingFile
from clipzy_storage.backends.local.identity import OWN_DIRECTORY, read_identity, verify, withdraw, write_identity
from clipzy_storage.backends.local.reader import RangeReader, list_files, time_of
from clipzy_storage.backends.local.root import RACE_ATTEMPTS, LocalRoot
from clipzy_storage.backends.local.writer import LocalWriter
from clipzy_storage.errors import (
    AlreadyExists,
    ConfigurationError,
    NotFound,
    StorageFull,
    StorageUnavailable,
)
from clipzy_storage.free_space import FreeSpace, free_space
from clipzy_storage.keys import prefix_segments_of, segments_of
from clipzy_storage.models.records import Link

FREE_RESERVE_BYTES, FREE_RESERVE_INODES = 256 << 20, 4096

_KEPT_DIRECTORIES = {OWN_DIRECTORY, "jobs"}
"""The directories in these are in use all the time, empty or not."""
_GROWING = "data"
"""The unfinished file of an upload in progress."""
_IDENTITY = re.compile(rb"([0-9a-f]{32})\n")
_REPAIR = "Restore that file from a backup; remove it only if nothing in the directory is worth keeping."


class LocalStorage:
    """The ``StorageBackend`` on a directory. Call ``prepare`` first: it verifies the directory and reads its identity.

    Every later call raises ``StorageUnavailable`` unless the directory still has that identity. Deletions are not made
    durable.
    """

    kind: Literal["local", "s3"] = "local"
    has_conditional_writes = True
    direct = None
    may_show_files_late = True  # it may be a mount of several machines, declared or not

    def __init__(
        self,
        root: Path,
        *,
        shared: bool,
        free_reserve_bytes: int = FREE_RESERVE_BYTES,
        free_reserve_inodes: int = FREE_RESERVE_INODES,
        writer: str = "",
    ) -> None:
        """A ``shared`` root is never created. The reserves are kept free for small files."""
        self._root = LocalRoot(Path(os.path.abspath(root)))
        self._shared = shared
        self._free_reserve_bytes = free_reserve_bytes
        self._free_reserve_inodes = free_reserve_inodes
        self._writer = writer
        self._created: list[Path] = []
        self._wrote_identity = False

    @property
    def location(self) -> str:
        return str(self._root.path)

    def prepare(self) -> str:
        path = self._root.path
        try:
            for _ in range(RACE_ATTEMPTS):
                with suppress(FileNotFoundError):  # another process retracts what it created here
                    self._create_root()
                    with opened(os.open(path, ROOT)) as root:
                        verify(root)
                        self._root.identity = identity = self._agree_on_identity(root)
                    return identity.decode().strip()
        except OSError as error:
            self.retract()
            raise explained(error, path) from error
        if not path.exists():
            raise ConfigurationError([f"{named(path)} cannot be created there. Set it to another directory."])
        raise StorageUnavailable("other processes create and remove the storage directory all the time; try again")

    def retract(self) -> None:
        identity = self._root.identity if self._wrote_identity else None
        self._wrote_identity = False
        with suppress(OSError), opened(os.open(self._root.path, ROOT)) as root:  # gone, or in use by other processes
            withdraw(root, identity)
        with suppress(OSError):
            while self._created:
                self._created.pop().rmdir()

    def check(self) -> None:
        with self.open_writer(f"{keys.PROBE}/check"):
            pass

    @contextmanager
    def open_writer(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",  # noqa: ARG002 - a file has none
        may_use_reserve: bool = False,
    ) -> Iterator[LocalWriter]:
        segments_of(key)
        if not may_use_reserve:
            self._check_room()
        with (
            os_errors_translated(keys.INCOMING, writing=True),
            self._root.opened() as root,
            open_descendant(root, keys.INCOMING.split("/"), create=True) as incoming,
        ):
            writer = LocalWriter(key, root=self._root, directory=os.dup(incoming), writer=self._writer)
        try:
            yield writer
        finally:
            writer.discard()

    def replace(self, key: str, data: bytes, *, content_type: str) -> None:
        with self.open_writer(key, content_type=content_type, may_use_reserve=True) as writer:
            writer.write(data)
            writer.replace()

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        check_range(start, length)
        with self._root.parent_of(key) as (directory, name):
            size_bytes(directory, name)
            file = os.open(name, READ, dir_fd=directory)
        return io.BufferedReader(RangeReader(file, key, start, length))

    def local_copy(
        self,
        key: str,
        scratch: Path,  # noqa: ARG002 - the file itself is returned
        *,
        sha256: str | None,  # noqa: ARG002
        on_progress: Callable[[], object] = lambda: None,  # noqa: ARG002
    ) -> Path:
        self.info(key)
        return self._root.path / key

    def copy(self, key: str, to: str, *, sha256: str) -> BlobInfo:
        """As a reflink, or else a hard link, or else by writing the bytes again."""
        if self.exists(to):
            raise AlreadyExists(f"{to} is stored already")
        with self._root.parent_of(key) as (directory, name):
            found = BlobInfo(to, size_bytes(directory, name))
            with opened(os.open(name, READ, dir_fd=directory)) as file:
                if (digest := sha256_of(file)) != sha256:
                    raise not_what_was_stored(key, digest)
                with self.open_writer(to) as writer:
                    if writer.reflink(file):
                        return writer.publish()
                if link_read_only(self._root, file, directory, name, to):
                    return found
        return copy_through(self, key, to, sha256=sha256)

    def info(self, key: str) -> BlobInfo:
        with self._root.parent_of(key) as (directory, name):
            return BlobInfo(key, size_bytes(directory, name))

    def exists(self, key: str) -> bool:
        try:
            self.info(key)
        except NotFound:
            return False
        return True

    def delete(self, key: str) -> bool:
        """Remove the file, and the directories that this leaves empty up to the top one; false if there was none."""
        try:
            with self._root.parent_of(key) as (directory, name):
                size_bytes(directory, name)
                os.unlink(name, dir_fd=directory)
        except NotFound:
            return False
        names = key.split("/")[:-1]
        with suppress(OSError), self._root.opened() as root:  # up to a directory that is in use, or already removed
            while len(names) > (2 if names[0] in _KEPT_DIRECTORIES else 1):
                with open_descendant(root, names[:-1]) as parent:
                    os.rmdir(names.pop(), dir_fd=parent)
        return True

    def list(self, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
        return self._listed(prefix, prefix_segments_of(prefix), after)

    def free_space(self) -> FreeSpace:
        with os_errors_translated("", writing=True), self._root.opened() as root:
            return free_space(root)

    def link(self, key: str) -> Link:
        return Link("/storage/" + "/".join(segments_of(key)), None)

    def sweep_incomplete(self, older_than_seconds: float, *, of_writer: str = "") -> int:
        removed = 0
        with os_errors_translated(keys.INCOMING, writing=True), self._root.opened() as root:
            for prefix in (keys.INCOMING, keys.PROBE):
                with open_descendant(root, prefix.split("/"), create=True) as directory:
                    is_ours = partial(_is_temporary, prefix, of_writer=of_writer)
                    removed += remove_idle(directory, older_than_seconds, is_ours=is_ours)
        return removed

    def count_incomplete(self, older_than_seconds: float = 0) -> int:
        with (
            suppress(NotFound),
            os_errors_translated(keys.INCOMING),
            self._root.opened() as root,
            open_descendant(root, keys.INCOMING.split("/")) as incoming,
        ):
            found = idle_files(incoming, older_than_seconds, is_ours=partial(_is_temporary, keys.INCOMING))
            return sum(not name.endswith(MARKER_SUFFIX) for name in found)
        return 0

    @contextmanager
    def open_growing(self, upload_id: str, *, key_of: KeyOf) -> Iterator[LocalGrowingFile]:
        self._check_room()
        key = keys.upload_state(upload_id, _GROWING)
        opened: list[LocalGrowingFile] = []

        def open_in(directory: int, name: str) -> None:
            opened.append(LocalGrowingFile(name, root=self._root, directory=os.dup(directory), key_of=key_of))

        with os_errors_translated(key, writing=True):
            self._root.in_parent_of(key, open_in)
        try:
            yield opened[0]
        finally:
            opened[0].close()

    def growing_bytes(self, upload_id: str) -> int:
        try:
            return self.info(keys.upload_state(upload_id, _GROWING)).size_bytes
        except NotFound:
            return 0

    def growing_idle_seconds(self, upload_id: str) -> float:
        return min((blob.age_seconds for blob in self.list(keys.upload_state(upload_id, ""))), default=0.0)

    def remove_growing(self, upload_id: str) -> None:
        for blob in list(self.list(keys.upload_state(upload_id, ""))):
            if keys.upload_id_in(blob.key):
                self.delete(blob.key)

    def _listed(self, prefix: str, names: Sequence[str], after: str) -> Iterator[BlobInfo]:
        with (
            suppress(NotFound),
            os_errors_translated(prefix),
            self._root.opened() as root,
            open_descendant(root, names) as directory,
        ):
            yield from list_files(directory, prefix, now=time_of(root), after=after)

    def _check_room(self) -> None:
        free = self.free_space()
        if free.lacks(size_bytes=self._free_reserve_bytes, inodes=self._free_reserve_inodes):
            raise counted(StorageFull(f"the storage has only {free} left; delete something or add space"))

    def _create_root(self) -> None:
        ancestors = (self._root.path, *self._root.path.parents)
        existing = next(directory for directory in ancestors if directory.exists())
        missing = self._root.path.relative_to(existing).parts
        if missing and self._shared:
            raise explained(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)), self._root.path)
        if missing:
            self._created = list(reversed(ancestors[: len(missing)]))
        with opened(os.open(existing, ROOT)) as base, open_descendant(base, missing, create=True):
            pass

    def _agree_on_identity(self, root: int) -> bytes:
        """The identity that the first process wrote, which may be this one. Raises ``OSError``."""
        with (
            open_descendant(root, [OWN_DIRECTORY]) as own,
            open_descendant(own, ["probe"], create=True) as probe,
        ):
            for _ in range(RACE_ATTEMPTS):
                self._wrote_identity = self._wrote_identity or write_identity(own, probe)
                if not self._wrote_identity:
                    os.close(open_subdirectory(own, "incoming", create=True))  # shows its writer that it is in use
                found = read_identity(root)
                if found is not None and _IDENTITY.fullmatch(found) is None:
                    damaged = f"{named(self._root.path)} holds a damaged {keys.STORAGE_ID}."
                    raise ConfigurationError([f"{damaged} {_REPAIR}"])
                if found is not None:
                    return found
        raise StorageUnavailable(f"other processes write and remove {keys.STORAGE_ID} all the time; try again")


def _is_temporary(prefix: str, name: str, *, of_writer: str = "") -> bool:
    return name.startswith(of_writer) and keys.is_temporary(f"{prefix}/{name}")
