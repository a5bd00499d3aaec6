"""Storage in a folder of this machine, or in one that many machines mount.

A key is a path below the root, reached folder by folder so that no symbolic link can lead out of it. A file grows
under ``.clipzy/incoming`` and appears under its key by a hard link, whole or not at all. Where the filesystem has no
hard links, ``.clipzy/incoming/<sha256 of the key>.taken`` reserves the key for the moment of a look and a rename.
"""

import errno
import hashlib
import io
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from clipzy_storage import keys
from clipzy_storage.base import BlobInfo, Incoming, Link
from clipzy_storage.errors import (
    AlreadyExists,
    BadKey,
    ConfigurationError,
    NotFound,
    StorageError,
    StorageFull,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FREE_RESERVE_BYTES = 256 << 20

_OWN_FOLDER, _ID_NAME = keys.STORAGE_ID.split("/")
_IDENTITY = re.compile(rb"([0-9a-f]{32})\n")
_TRIES = 20  # against others who remove a folder, or withdraw an identity, between two of our steps
_MARKER_WAIT_SECONDS = 2.0

_FOLDER_MODE, _FILE_MODE = 0o750, 0o640
_ROOT = os.O_RDONLY | os.O_DIRECTORY
_FOLDER = _ROOT | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # without O_NONBLOCK, opening a fifo would wait for its writer
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

_FULL = {errno.ENOSPC, errno.EDQUOT}
_BLOCKED = {errno.ENOTDIR, errno.ELOOP}  # a file or a symbolic link where a folder should be
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}

_NO_ROOM = ("has no room for a test file", "Free some space or raise the quota")
_NOT_A_FOLDER = ("is not a folder of files, or its .clipzy is not", "Move away what is in its place")
_NO_RIGHT = ("may not be written by this user", "Give the user that runs Clipzy the right to write there")
_DAMAGED = "Restore that file from a backup; remove it only if nothing in the folder is worth keeping."
_REFUSALS = {
    errno.ENOENT: ("is declared shared but is not there", "Mount the share, or make the folder on it"),
    errno.EROFS: ("is mounted read-only", "Mount it writable"),
    **dict.fromkeys(_FULL, _NO_ROOM),
    **dict.fromkeys((*_BLOCKED, errno.EEXIST, errno.EISDIR), _NOT_A_FOLDER),
    **dict.fromkeys((errno.EACCES, errno.EPERM), _NO_RIGHT),
}


class LocalStorage:
    """The ``Storage`` protocol on a folder. Call ``prepare`` first: it proves the folder and learns its identity.

    Every later call looks whether the folder still has that identity, and raises ``StorageUnavailable`` where it has
    not, so that nothing is missed or written where a mount has vanished. Deletions are not made durable.
    """

    kind: Literal["local", "s3"] = "local"

    def __init__(self, root: Path, *, shared: bool, free_reserve_bytes: int = FREE_RESERVE_BYTES) -> None:
        """A ``shared`` root is never created. No file is begun while less than ``free_reserve_bytes`` are free."""
        self._root = Path(os.path.abspath(root))
        self._shared = shared
        self._free_reserve_bytes = free_reserve_bytes
        self._identity: bytes | None = None
        self._made: list[Path] = []
        self._wrote_identity = False

    def prepare(self) -> str:
        try:
            for _ in range(_TRIES):
                with suppress(FileNotFoundError):  # another process takes back what it made here
                    self._make_root()
                    with _opened(os.open(self._root, _ROOT)) as root:
                        _prove(root)
                        self._identity = self._agree_on_identity(root)
                    return self._identity.decode().strip()
        except OSError as error:
            self.retract()
            raise self._refusal(error) from error
        raise StorageUnavailable("the storage folder comes and goes while other processes start and stop; try again")

    def retract(self) -> None:
        identity = self._identity if self._wrote_identity else None
        self._wrote_identity = False
        with suppress(OSError), _opened(os.open(self._root, _ROOT)) as root:  # gone, or in use: left to others
            _take_back(root, identity)
        with suppress(OSError):
            while self._made:
                self._made.pop().rmdir()

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        free_bytes = self.free_bytes()
        if free_bytes is not None and free_bytes < self._free_reserve_bytes:
            raise StorageFull(f"the storage has only {free_bytes} bytes left; delete something or add space")
        with (
            _translated(keys.INCOMING, writing=True),
            self._mounted() as root,
            _descend(root, keys.INCOMING.split("/"), create=True) as folder,
        ):
            incoming = _LocalIncoming(os.dup(folder), place=self._place)
        try:
            yield incoming
        finally:
            incoming.discard()

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        if start < 0 or (length is not None and length < 0):
            raise ValueError("a range begins at 0 or later and has a length of 0 or more")
        with self._parent(key) as (folder, name):
            _size_bytes(folder, name)
            file = os.open(name, _READ, dir_fd=folder)
        return io.BufferedReader(_Window(file, key, start, length))

    def local_copy(self, key: str, scratch: Path) -> Path:  # noqa: ARG002 - the file itself is at hand
        self.info(key)
        return self._root / key

    def info(self, key: str) -> BlobInfo:
        with self._parent(key) as (folder, name):
            return BlobInfo(key, _size_bytes(folder, name))

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
                _size_bytes(folder, name)
                os.unlink(name, dir_fd=folder)
        except NotFound:
            return False
        folders = key.split("/")[:-1]
        with suppress(OSError), self._mounted() as root:  # a folder that others use, or have removed, ends the climb
            while len(folders) > 1 and folders[0] != _OWN_FOLDER:
                with _descend(root, folders[:-1]) as parent:
                    os.rmdir(folders.pop(), dir_fd=parent)
        return True

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        if not prefix.endswith("/"):
            raise BadKey(f"{prefix[:80]!r} is not a folder of the storage, which ends in /")
        return self._listed(prefix, _parts(f"{prefix}_")[:-1])

    def free_bytes(self) -> int | None:
        with _translated("", writing=True), self._mounted() as root:
            filesystem = os.statvfs(root)
        return filesystem.f_bavail * filesystem.f_frsize if filesystem.f_blocks else None

    def link(self, key: str) -> Link:
        return Link("/storage/" + "/".join(_parts(key)), None)

    def sweep_incoming(self, older_than_seconds: float) -> int:
        """Remove what dead writers left unfinished so long ago, by the filesystem's own clock; how many files."""
        removed = 0
        with _translated(keys.INCOMING, writing=True), self._mounted() as root:
            for place in (keys.INCOMING, keys.PROBE):
                with _descend(root, place.split("/"), create=True) as folder:
                    removed += _sweep(folder, older_than_seconds)
        return removed

    @contextmanager
    def _mounted(self) -> Iterator[int]:
        """The root's descriptor, if it has the identity that was proved at start."""
        try:
            root = os.open(self._root, _ROOT)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageUnavailable("the storage folder is gone; mount it again") from error
        with _opened(root):
            found = _read_identity(root)
            if not found or self._identity not in (None, found):
                raise StorageUnavailable("the storage folder is not the one seen at start; mount it again")
            yield root

    @contextmanager
    def _parent(self, key: str) -> Iterator[tuple[int, str]]:
        """The folder that holds ``key``, and its name there, for a reader."""
        *folders, name = _parts(key)
        with _translated(key), self._mounted() as root, _descend(root, folders) as folder:
            yield folder, name

    def _listed(self, prefix: str, folders: Sequence[str]) -> Iterator[BlobInfo]:
        with suppress(NotFound), _translated(prefix), self._mounted() as root, _descend(root, folders) as folder:
            yield from _walk(folder, prefix)

    def _place(self, incoming: int, name: str, key: str) -> None:
        """Give the finished file ``name`` of the folder ``incoming`` its key, durably. Raises ``OSError``."""
        *folders, final = _parts(key)
        for _ in range(_TRIES):
            with (
                suppress(FileNotFoundError),  # a deletion next door removed the folder that was just entered
                self._mounted() as root,
                _descend(root, folders, create=True) as folder,
            ):
                _link_once(incoming, name, folder, final, key)
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
        with _opened(os.open(there, _ROOT)) as base, _descend(base, missing, create=True):
            pass

    def _agree_on_identity(self, root: int) -> bytes:
        with _descend(root, [_OWN_FOLDER]) as own, _descend(own, ["probe"], create=True) as probe:
            for _ in range(_TRIES):
                self._wrote_identity = self._wrote_identity or _write_identity(own, probe)
                if not self._wrote_identity:
                    os.close(_enter(own, "incoming", create=True))  # tells its writer that others rely on it
                found = _read_identity(root)
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


class _LocalIncoming:
    """One unfinished file, and the folder it lies in, which it closes."""

    def __init__(self, folder: int, *, place: Callable[[int, str, str], None]) -> None:
        self._folder = folder
        self._place = place
        self._name = secrets.token_hex(16)
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._closed = False
        try:
            self._file = io.FileIO(os.open(self._name, _NEW, 0o600, dir_fd=folder), "w")
        except OSError:
            os.close(folder)
            raise

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data).cast("B")
        self._hash.update(rest)
        with self._discarded_on_failure(keys.INCOMING):
            while rest:
                count = self._file.write(rest) or 0
                self._size_bytes += count
                rest = rest[count:]

    def publish(self, key: str, *, content_type: str = "application/octet-stream") -> BlobInfo:  # noqa: ARG002 - a file has none
        _parts(key)
        with self._discarded_on_failure(key):
            self._finish()
            self._place(self._folder, self._name, key)
        self.discard()
        return BlobInfo(key, self._size_bytes)

    def discard(self) -> None:
        if self._closed:
            return
        self._closed = True
        with suppress(OSError):  # an error here is about bytes that nobody wants
            self._file.close()
        with suppress(OSError):  # what cannot be removed counts for nothing here, and the sweep comes
            os.unlink(self._name, dir_fd=self._folder)
        os.close(self._folder)

    def _finish(self) -> None:
        """Make the content durable. Network filesystems tell of failed writes only here."""
        with suppress(PermissionError):  # some filesystems have no modes and refuse every change of them
            os.fchmod(self._file.fileno(), _FILE_MODE)
        os.fsync(self._file.fileno())
        self._file.close()
        if _size_bytes(self._folder, self._name) != self._size_bytes:
            raise StorageUnavailable("the storage kept fewer or more bytes than it was given")

    @contextmanager
    def _discarded_on_failure(self, key: str) -> Iterator[None]:
        try:
            with _translated(key, writing=True):
                yield
        except StorageError:
            self.discard()
            raise


class _Window(io.RawIOBase):
    """A range of an open file as a file of its own, which it closes. Seekable; read errors come translated."""

    def __init__(self, file: int, key: str, start: int, length: int | None) -> None:
        self._file, self._key, self._start = file, key, start
        rest = max(0, os.fstat(file).st_size - start)
        self._size = rest if length is None else min(rest, length)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = max(0, offset + (0, self._position, self._size)[whence])
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")[: max(0, self._size - self._position)]
        with _translated(self._key):
            count = os.preadv(self._file, [room], self._start + self._position)
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()


@contextmanager
def _translated(key: str, *, writing: bool = False) -> Iterator[None]:
    """Turn what the system says into our own errors, without the machine's paths."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("the storage is full; delete something or add space") from error
        if error.errno == errno.EEXIST:
            raise AlreadyExists(f"{key} is stored already") from error
        if error.errno in _BLOCKED and writing:
            raise BadKey(f"{key} leads through something that is not a folder") from error
        if error.errno in {*_BLOCKED, errno.ENOENT} and not writing:
            raise NotFound(f"there is no {key} in the storage") from error
        raise StorageUnavailable(f"the storage does not answer: {error.strerror}") from error


def _parts(key: str) -> list[str]:
    """The segments of a key that is for everyone. Raises ``BadKey``."""
    if key.startswith(f"{keys.INCOMING}/"):
        raise BadKey("unfinished files have no key")
    return keys.checked(key).split("/")


@contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _descend(start: int, folders: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """The folder so far below ``start``, following no symbolic link. Raises ``OSError``."""
    folder = os.dup(start)
    try:
        for name in folders:
            deeper = _enter(folder, name, create=create)
            os.close(folder)
            folder = deeper
        yield folder
    finally:
        os.close(folder)


def _enter(folder: int, name: str, *, create: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
    _sync_folder(folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def _sync_folder(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some filesystems cannot sync a folder by itself
            raise


def _size_bytes(folder: int, name: str) -> int:
    """Size of a regular file; anything else counts as missing. Raises ``OSError``."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return status.st_size


def _walk(folder: int, prefix: str) -> Iterator[BlobInfo]:
    """Everything below, in the order of whole keys, for which a folder's name ends in a slash."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries)
    for name in names:
        if name.startswith(".nfs") or f"{prefix}{name}" == f"{keys.INCOMING}/":
            continue
        with suppress(FileNotFoundError, NotADirectoryError, BadKey):  # removed meanwhile, or nothing of ours
            if name.endswith("/"):
                with _descend(folder, [name[:-1]]) as deeper:
                    yield from _walk(deeper, prefix + name)
            else:
                yield BlobInfo(keys.checked(prefix + name), _size_bytes(folder, name))


def _link_once(source_folder: int, source: str, folder: int, name: str, key: str) -> None:
    """Give the file its second name, durably, unless that name is taken: then ``FileExistsError``."""
    try:
        os.link(source, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        # Over NFS a repeated request may report failure although the first one worked: two names prove that it did.
        if os.stat(source, dir_fd=source_folder, follow_symlinks=False).st_nlink != 2:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _rename_once(source_folder, source, folder, name, key)
    _sync_folder(folder)


def _rename_once(source_folder: int, source: str, folder: int, name: str, key: str) -> None:
    marker = hashlib.sha256(key.encode()).hexdigest() + ".taken"
    _take_marker(source_folder, marker)
    try:
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
    finally:
        os.unlink(marker, dir_fd=source_folder)


def _take_marker(folder: int, marker: str) -> None:
    """Wait for the marker to be free. One that a dead writer left behind stays until the sweep."""
    deadline = time.monotonic() + _MARKER_WAIT_SECONDS
    while True:
        try:
            return os.close(os.open(marker, _NEW, 0o600, dir_fd=folder))
        except FileExistsError as error:
            if time.monotonic() > deadline:
                raise StorageUnavailable("another writer holds this key; try again") from error
            time.sleep(0.01)


def _prove(root: int) -> None:
    """Write, read and remove a file. Raises ``OSError``."""
    name, token = secrets.token_hex(16), secrets.token_bytes(32)
    with _descend(root, keys.PROBE.split("/"), create=True) as probe, _removed_in_the_end(probe, name):
        _write_small(probe, name, token)
        if _read_small(probe, name) != token:
            raise OSError(errno.EIO, "what was written reads back otherwise")


def _write_identity(own: int, probe: int) -> bool:
    """Whether this process came first and wrote it."""
    name = secrets.token_hex(16)
    with _removed_in_the_end(probe, name):
        _write_small(probe, name, f"{secrets.token_hex(16)}\n".encode())
        try:
            _link_once(probe, name, own, _ID_NAME, keys.STORAGE_ID)
        except FileExistsError:
            return False
    return True


def _read_identity(root: int) -> bytes | None:
    """The identity as it is written there: ``None`` where it is missing, empty where it cannot be read."""
    try:
        return _read_small(root, keys.STORAGE_ID)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {*_BLOCKED, errno.EISDIR, errno.EACCES}:
            return b""
        raise


def _take_back(root: int, identity: bytes | None) -> None:
    """Remove the identity that was written, unless somebody relies on it, and the emptied folders. Raises ``OSError``.

    Whoever adopts an identity first makes ``.clipzy/incoming`` and then reads it. So it is first moved aside: who is
    not seen to have made that folder by now will not find it any more.
    """
    with _descend(root, [_OWN_FOLDER]) as own:
        aside = secrets.token_hex(16)
        if identity is not None and identity == _read_identity(root) and "incoming" not in _names(own):
            os.rename(_ID_NAME, aside, src_dir_fd=own, dst_dir_fd=own)
            if "incoming" in _names(own):
                _link_once(own, aside, own, _ID_NAME, keys.STORAGE_ID)
            with suppress(FileNotFoundError):
                os.unlink(aside, dir_fd=own)
        if _names(own) == {"probe"}:
            os.rmdir("probe", dir_fd=own)
    os.rmdir(_OWN_FOLDER, dir_fd=root)


def _names(folder: int) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def _sweep(folder: int, older_than_seconds: float) -> int:
    os.utime(folder)  # no other clock is compared: a network filesystem's may differ from this machine's
    now, removed = os.fstat(folder).st_mtime, 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError, IsADirectoryError):  # removed meanwhile, or nothing of ours
                if now - entry.stat(follow_symlinks=False).st_mtime >= older_than_seconds:
                    os.unlink(entry.name, dir_fd=folder)
                    removed += 1
    return removed


@contextmanager
def _removed_in_the_end(folder: int, name: str) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def _write_small(folder: int, name: str, data: bytes) -> None:
    with _opened(os.open(name, _NEW, _FILE_MODE, dir_fd=folder)) as file:
        os.write(file, data)
        os.fsync(file)


def _read_small(folder: int, name: str) -> bytes:
    with _opened(os.open(name, _READ, dir_fd=folder)) as file:
        return os.read(file, 4096)
