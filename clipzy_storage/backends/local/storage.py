"""Storage in a folder of this machine, or in one that many machines mount.

A key is a path below the root, reached folder by folder so that no symbolic link can lead out of it. A file grows
under ``.clipzy/incoming`` and appears under its key by a hard link, whole or not at all. Where the filesystem has no
hard links, ``.clipzy/incoming/<sha256 of the key>.taken`` reserves the key for the moment of a look and a rename.
"""

import errno
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, StorageWriter, copy_through
from clipzy_storage.backends.local.dirfd import (
    BLOCKED,
    FULL,
    MARKER_SUFFIX,
    READ,
    ROOT,
    descend,
    enter,
    link_once,
    opened,
    size_bytes,
    sweep,
    untouched,
)
from clipzy_storage.backends.local.identity import prove, read_identity, take_back, write_identity
from clipzy_storage.backends.local.reader import time_of, walk
from clipzy_storage.backends.local.writer import LocalWriter, RangeReader, translated
from clipzy_storage.errors import (
    ConfigurationError,
    NotFound,
    StorageFull,
    StorageUnavailable,
)
from clipzy_storage.keys import folder_of, segments_of
from clipzy_storage.models.records import Link

FREE_RESERVE_BYTES = 256 << 20

_OWN_FOLDER = ".clipzy"
_LASTING_FOLDERS = {_OWN_FOLDER, "jobs"}  # what lies in these is in use all the time, empty or not
_IDENTITY = re.compile(rb"([0-9a-f]{32})\n")
_TRIES = 200  # against others who remove a folder, or withdraw an identity, between two of our steps

_NO_ROOM = ("has no room for a test file", "Free some space or raise the quota")
_NOT_A_FOLDER = ("is no folder, or lies below something that is none", "Move away what is in its place")
_NO_RIGHT = ("may not be written by this user", "Give the user that runs Clipzy the right to write there")
_DAMAGED = "Restore that file from a backup; remove it only if nothing in the folder is worth keeping."
_REFUSALS = {
    errno.ENOENT: ("is declared shared but is not there", "Mount the share, or make the folder on it"),
    errno.EROFS: ("is mounted read-only", "Mount it writable"),
    **dict.fromkeys(FULL, _NO_ROOM),
    **dict.fromkeys((*BLOCKED, errno.EEXIST, errno.EISDIR), _NOT_A_FOLDER),
    **dict.fromkeys((errno.EACCES, errno.EPERM), _NO_RIGHT),
}


class LocalStorage:
    """The ``Storage`` protocol on a folder. Call ``prepare`` first: it proves the folder and learns its identity.

    Every later call looks whether the folder still has that identity, and raises ``StorageUnavailable`` where it has
    not, so that nothing is missed or written where a mount has vanished. Deletions are not made durable.
    """

    kind: Literal["local", "s3"] = "local"
    tells_writers_apart = True
    may_show_files_late = True  # it may be another machine's, declared or not

    def __init__(
        self, root: Path, *, shared: bool, free_reserve_bytes: int = FREE_RESERVE_BYTES, writer: str = ""
    ) -> None:
        """A ``shared`` root is never created. ``free_reserve_bytes`` are kept free for small files."""
        self._root = Path(os.path.abspath(root))
        self._shared = shared
        self._free_reserve_bytes = free_reserve_bytes
        self._writer = writer
        self._identity: bytes | None = None
        self._made: list[Path] = []
        self._wrote_identity = False

    @property
    def place(self) -> str:
        return str(self._root)

    def prepare(self) -> str:
        try:
            for _ in range(_TRIES):
                with suppress(FileNotFoundError):  # another process takes back what it made here
                    self._make_root()
                    with opened(os.open(self._root, ROOT)) as root:
                        prove(root)
                        self._identity = self._agree_on_identity(root)
                    return self._identity.decode().strip()
        except OSError as error:
            self.retract()
            raise self._refusal(error) from error
        if not self._root.exists():
            raise ConfigurationError([f"{self._named()} cannot be made there. Set it to another folder."])
        raise StorageUnavailable("the storage folder comes and goes while other processes start and stop; try again")

    def retract(self) -> None:
        identity = self._identity if self._wrote_identity else None
        self._wrote_identity = False
        with suppress(OSError), opened(os.open(self._root, ROOT)) as root:  # gone, or in use: left to others
            take_back(root, identity)
        with suppress(OSError):
            while self._made:
                self._made.pop().rmdir()

    def check(self) -> None:
        with self.incoming(f"{keys.PROBE}/check"):
            pass

    @contextmanager
    def incoming(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",  # noqa: ARG002 - a file has none
        may_use_reserve: bool = False,
    ) -> Iterator[StorageWriter]:
        segments_of(key)
        free_bytes = None if may_use_reserve else self.free_bytes()
        if free_bytes is not None and free_bytes < self._free_reserve_bytes:
            raise StorageFull(f"the storage has only {free_bytes} bytes left; delete something or add space")
        with (
            translated(keys.INCOMING, writing=True),
            self._mounted() as root,
            descend(root, keys.INCOMING.split("/"), create=True) as folder,
        ):
            incoming = LocalWriter(key, os.dup(folder), writer=self._writer, place=self._place)
        try:
            yield incoming
        finally:
            incoming.discard()

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        if start < 0 or (length is not None and length < 0):
            raise ValueError("a range begins at 0 or later and has a length of 0 or more")
        with self._parent(key) as (folder, name):
            size_bytes(folder, name)
            file = os.open(name, READ, dir_fd=folder)
        return io.BufferedReader(RangeReader(file, key, start, length))

    def local_copy(
        self,
        key: str,
        scratch: Path,  # noqa: ARG002 - the file itself is at hand
        *,
        sha256: str,  # noqa: ARG002
        on_progress: Callable[[], object] = lambda: None,  # noqa: ARG002
    ) -> Path:
        self.info(key)
        return self._root / key

    def copy(self, key: str, to: str, *, sha256: str) -> BlobInfo:
        """By reading and writing: with a hard link, what damages the file would damage it under both keys."""
        return copy_through(self, key, to, sha256=sha256)

    def info(self, key: str) -> BlobInfo:
        with self._parent(key) as (folder, name):
            return BlobInfo(key, size_bytes(folder, name))

    def exists(self, key: str) -> bool:
        try:
            self.info(key)
        except NotFound:
            return False
        return True

    def delete(self, key: str) -> bool:
        """Remove the file, and the folders that this leaves empty up to the top one; false if there was none."""
        try:
            with self._parent(key) as (folder, name):
                size_bytes(folder, name)
                os.unlink(name, dir_fd=folder)
        except NotFound:
            return False
        folders = key.split("/")[:-1]
        with suppress(OSError), self._mounted() as root:  # a folder that others use, or have removed, ends the climb
            while len(folders) > 1 and folders[0] not in _LASTING_FOLDERS:
                with descend(root, folders[:-1]) as parent:
                    os.rmdir(folders.pop(), dir_fd=parent)
        return True

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        return self._listed(prefix, folder_of(prefix))

    def free_bytes(self) -> int | None:
        with translated("", writing=True), self._mounted() as root:
            filesystem = os.statvfs(root)
        return filesystem.f_bavail * filesystem.f_frsize if filesystem.f_blocks else None

    def link(self, key: str) -> Link:
        return Link("/storage/" + "/".join(segments_of(key)), None)

    def sweep_incomplete(self, older_than_seconds: float, *, of_writer: str = "") -> int:
        removed = 0
        with translated(keys.INCOMING, writing=True), self._mounted() as root:
            for place in (keys.INCOMING, keys.PROBE):
                with descend(root, place.split("/"), create=True) as folder:
                    removed += sweep(folder, older_than_seconds, prefix=of_writer)
        return removed

    def unfinished(self, older_than_seconds: float = 0) -> int:
        folders = keys.INCOMING.split("/")
        with suppress(NotFound), translated(keys.INCOMING), self._mounted() as root, descend(root, folders) as folder:
            return sum(not name.endswith(MARKER_SUFFIX) for name in untouched(folder, older_than_seconds))
        return 0

    @contextmanager
    def _mounted(self) -> Iterator[int]:
        """The root's descriptor, if it has the identity that was proved at start."""
        try:
            root = os.open(self._root, ROOT)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageUnavailable("the storage folder is gone; mount it again") from error
        with opened(root):
            found = read_identity(root)
            if not found or self._identity not in (None, found):
                raise StorageUnavailable("the storage folder is not the one seen at start; mount it again")
            yield root

    @contextmanager
    def _parent(self, key: str) -> Iterator[tuple[int, str]]:
        """The folder that holds ``key``, and its name there, for a reader."""
        *folders, name = segments_of(key)
        with translated(key), self._mounted() as root, descend(root, folders) as folder:
            yield folder, name

    def _listed(self, prefix: str, folders: Sequence[str]) -> Iterator[BlobInfo]:
        with suppress(NotFound), translated(prefix), self._mounted() as root, descend(root, folders) as folder:
            yield from walk(folder, prefix, now=time_of(root))

    def _place(self, incoming: int, name: str, key: str) -> None:
        """Give the finished file ``name`` of the folder ``incoming`` its key, durably. Raises ``OSError``."""
        *folders, final = segments_of(key)
        for _ in range(_TRIES):
            with (
                suppress(FileNotFoundError),  # a deletion next door removed the folder that was just entered
                self._mounted() as root,
                descend(root, folders, create=True) as folder,
            ):
                link_once(incoming, name, folder, final, key)
                return
        raise StorageUnavailable("the storage folder changes too fast to write into it; try again")

    def _make_root(self) -> None:
        ancestors = (self._root, *self._root.parents)
        there = next(folder for folder in ancestors if folder.exists())
        missing = self._root.relative_to(there).parts
        if missing and self._shared:
            raise self._refusal(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        if missing:
            self._made = list(reversed(ancestors[: len(missing)]))
        with opened(os.open(there, ROOT)) as base, descend(base, missing, create=True):
            pass

    def _agree_on_identity(self, root: int) -> bytes:
        with descend(root, [_OWN_FOLDER]) as own, descend(own, ["probe"], create=True) as probe:
            for _ in range(_TRIES):
                self._wrote_identity = self._wrote_identity or write_identity(own, probe)
                if not self._wrote_identity:
                    os.close(enter(own, "incoming", create=True))  # tells its writer that others rely on it
                found = read_identity(root)
                if found is not None and _IDENTITY.fullmatch(found) is None:
                    raise ConfigurationError([f"{self._named()} holds a damaged {keys.STORAGE_ID}. {_DAMAGED}"])
                if found is not None:
                    return found
        raise StorageUnavailable(f"{keys.STORAGE_ID} comes and goes; other processes are starting or stopping")

    def _refusal(self, error: OSError) -> ConfigurationError | StorageUnavailable:
        if error.errno not in _REFUSALS:
            return StorageUnavailable(f"the storage does not answer: {error.strerror}")
        found, remedy = _REFUSALS[error.errno]
        return ConfigurationError([f"{self._named()} {found}. {remedy}, or set LOCAL_STORAGE_PATH to another folder."])

    def _named(self) -> str:
        return f"LOCAL_STORAGE_PATH={self._root}"
