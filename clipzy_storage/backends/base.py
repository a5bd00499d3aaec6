"""What Clipzy requires of a storage, as protocols promised in words; ``local`` and ``s3`` implement them.

A backend moves bytes and nothing else: size limits, formats and records are decided by its callers. Every key is
written once and is invisible until it is complete; a second write of the same key fails and changes nothing. Only what
is made for that can be replaced.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from clipzy_storage import keys
from clipzy_storage.backends.error_counts import not_what_was_stored
from clipzy_storage.errors import Damaged, StorageError, StorageUnavailable
from clipzy_storage.free_space import FreeSpace
from clipzy_storage.models.records import Link

READ_BLOCK_BYTES = 1 << 20
"""How much of a file is read at a time, wherever one is copied or hashed."""
RECORD_LIMIT_BYTES = 64 << 20
_REPLACED_ATTEMPTS = 10

HEAD_BYTES = 64 << 10
"""How much of a file ``KeyOf`` is given, if it has so much."""
KeyOf = Callable[[bytes], str]
"""The key of a file that begins with these bytes. May raise, and then nothing is stored under a key."""


@dataclass(frozen=True)
class BlobInfo:
    """One complete file."""

    key: str
    size_bytes: int
    age_seconds: float = field(default=0.0, compare=False)
    """Time since the file was written, by the clock of the storage, when the listing began.

    Only in listings; 0 if the storage does not report times, so that nothing counts as old there. Not compared: the
    same file is equal at any age.
    """


class StorageWriter(Protocol):
    """One file that is being written to its key. A context manager: a file that was not published is discarded.

    Every method may raise ``StorageFull`` or ``StorageUnavailable``; the unfinished file is then already removed, or
    is left under ``keys.INCOMING`` where it counts for nothing.
    """

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes written so far, computed while they are written."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of ``data``. It is written in the background: a later call may raise its error."""

    def publish(self) -> BlobInfo:
        """Make the file durable and then visible under its key, whole, in one step.

        Raises:
            AlreadyExists: the key is taken; the file there is unchanged.
        """

    def discard(self) -> None:
        """Remove the unfinished file. Safe to call twice and after ``publish``."""


class GrowingFile(Protocol):
    """A file that several requests write, one after the other and in any processes, until it is whole.

    All methods may raise ``StorageFull`` or ``StorageUnavailable``: what was written may be kept then, as far as it
    reached the storage.
    """

    @property
    def size_bytes(self) -> int:
        """Bytes written so far, those of earlier requests included."""

    def write(self, data: bytes) -> None:
        """Append all of ``data``. It is written in the background: a later call may raise its error."""

    def keep(self) -> None:
        """Wait until everything is kept for the next request. Without it the latest bytes may be lost."""

    def publish(self) -> BlobInfo:
        """Make the file durable and visible under its key. Raises ``AlreadyExists``, and what its ``KeyOf`` raises."""


class Storage(Protocol):
    """Reads and writes files. All methods are safe to call from several threads and processes.

    Besides the errors named at each method, all may raise ``BadKey`` and ``StorageUnavailable``.
    """

    may_show_files_late: bool
    """Whether a file that one machine has written may become visible on another only some time later."""

    def open_writer(
        self, key: str, *, content_type: str = "application/octet-stream", may_use_reserve: bool = False
    ) -> AbstractContextManager[StorageWriter]:
        """Start a file that ``publish`` will make visible under ``key``. May raise ``StorageFull``.

        A backend may keep some space free; only the small files that complete jobs ``may_use_reserve``.
        """

    def replace(self, key: str, data: bytes, *, content_type: str) -> None:
        """Write a small file over what is under ``key``, if anything is: the one exception from writing once.

        Durable and in one step as ``publish``; ``read_replaceable`` finds the old file or the new one. Of two that
        replace it at the same time either may be the last. May raise ``StorageFull``.
        """

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        """Read from byte ``start``, at most ``length`` bytes. Raises ``NotFound``."""

    def copy(self, key: str, to: str, *, sha256: str) -> BlobInfo:
        """Copy the file under ``key`` to ``to``, as whole and durable as any; deleting either leaves the other whole.

        A backend may let both share the stored bytes, and then neither can be written any more. Each has the full
        size, and the age of the copy. ``sha256`` is the digest of what was stored under ``key``. A backend that copies
        inside the service compares it only with the digest that was noted when the file was written, if there is one.
        ``to`` is refused only if it was taken some moments before; so it must be a key that no other process writes.
        May raise ``StorageFull``.

        Raises:
            NotFound: nothing is under ``key``.
            AlreadyExists: ``to`` is taken.
            Damaged: the file is not what was stored; nothing was written.
        """

    def info(self, key: str) -> BlobInfo:
        """Size of the file. Raises ``NotFound``."""

    def exists(self, key: str) -> bool:
        """Whether a complete file is there."""

    def delete(self, key: str) -> bool:
        """Remove the file; false if there was none."""

    def list(self, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
        """All complete files whose key begins with ``prefix``, which ends in ``/``, in key order.

        ``after``: only those whose key sorts after it. What sorts before costs nothing but the names in one directory.
        """

    def link(self, key: str) -> Link:
        """Where a client finds the file; made for each response and never stored."""


class StorageLifecycle(Protocol):
    """Verifies a storage at the start of a process, and while it runs."""

    @property
    def location(self) -> str:
        """The directory or bucket, for messages to operators."""

    @property
    def has_conditional_writes(self) -> bool:
        """Whether exactly one succeeds of several writers that publish one key at the same moment.

        Known after ``prepare``. If false, a key is refused only if it existed some moments before.
        """

    def prepare(self) -> str:
        """Verify that the storage can be written, read and deleted, and return its identity.

        The identity is written once, by the first process to prepare the storage, and never changes.

        Raises:
            ConfigurationError: the storage is missing, not writable or not what was declared.
            StorageUnavailable: it cannot be reached now.
        """

    def retract(self) -> None:
        """Remove what ``prepare`` of this object created, unless another process has used the storage since."""

    def check(self) -> None:
        """Check that files can be read and written now. Raises ``StorageFull``, ``StorageUnavailable``."""


class IncompleteUploads(Protocol):
    """The files that writers have not published, of this and of other processes, running or killed."""

    def sweep_incomplete(self, older_than_seconds: float, *, of_writer: str = "") -> int:
        """Remove the unfinished files that have not grown for so long, by the clock of the storage; their number.

        ``of_writer`` restricts it to the files of one writer, as named when its storage was opened.
        """

    def count_incomplete(self, older_than_seconds: float = 0) -> int:
        """The number of unfinished files that have not grown for so long."""


class GrowingFiles(Protocol):
    """The unfinished files of uploads in progress, each under ``keys.upload_state``."""

    def open_growing(self, upload_id: str, *, key_of: KeyOf) -> AbstractContextManager[GrowingFile]:
        """Continue the file of this upload, or begin it; only one at a time may do so. May raise ``StorageFull``."""

    def growing_bytes(self, upload_id: str) -> int:
        """How many bytes of the file are kept; 0 if nothing is."""

    def growing_idle_seconds(self, upload_id: str) -> float:
        """Time since anything of the upload was written, by the clock of the storage; 0 if nothing is there."""

    def remove_growing(self, upload_id: str) -> None:
        """Remove the unfinished file and everything else that is kept of the upload."""


@dataclass(frozen=True)
class StoredPart:
    """One part that the storage has received."""

    number: int
    etag: str
    """Without quotes."""
    size_bytes: int


class DirectParts(Protocol):
    """Files whose parts clients send to the storage service themselves. All methods may raise ``StorageUnavailable``.

    Those for an upload raise ``NotFound`` if it was not begun, or is completed, or was removed.
    """

    def begin(self, upload_id: str, key: str, *, part_bytes: int) -> None:
        """Begin the upload of a file that gets this key, unless it was begun before.

        ``GrowingFiles.remove_growing`` gives it up.
        """

    def sign(self, upload_id: str, numbers: Iterable[int]) -> tuple[dict[int, str], datetime]:
        """The URLs to which parts are sent, by their numbers from 1 to 10,000; and when these expire."""

    def parts(self, upload_id: str) -> list[StoredPart]:
        """The parts that have arrived, by number."""

    def complete(self, upload_id: str, numbers: Iterable[int]) -> BlobInfo:
        """Make these parts the file, visible under its key in one step. Raises ``AlreadyExists``."""


class StorageBackend(Storage, StorageLifecycle, IncompleteUploads, GrowingFiles, Protocol):
    """All that a backend implements."""

    kind: Literal["local", "s3"]
    """The value of ``STORAGE_TYPE``."""

    @property
    def direct(self) -> DirectParts | None:
        """None if clients cannot send files to the storage service themselves."""

    def free_space(self) -> FreeSpace:
        """Space left, as far as it is known. May raise ``StorageUnavailable``."""

    def local_copy(
        self, key: str, scratch: Path, *, sha256: str | None, on_progress: Callable[[], object] = lambda: None
    ) -> Path:
        """A path that a decoder can open: the file itself, or a copy in ``scratch``. Never written to.

        A copy is compared with ``sha256``, the digest of what was stored, if that is known; during the copy
        ``on_progress`` is called repeatedly, and may raise to stop it.

        Raises:
            NotFound: nothing is under ``key``.
            StorageFull: ``scratch`` has no space for the copy.
            Damaged: the copy is not what was stored.
        """


def list_own(storage: Storage, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
    """The files of a listing that Clipzy wrote, so that whatever else lies there is left alone."""
    return (blob for blob in storage.list(prefix, after=after) if keys.id_in(blob.key))


def check_range(start: int, length: int | None) -> None:
    """Raise ``ValueError`` unless this is a range that ``Storage.open`` can read."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range begins at 0 or later and has a length of 0 or more")


def check_kept(stored_bytes: int, given_bytes: int) -> None:
    """Raise ``StorageUnavailable`` unless the storage kept as many bytes as it was given."""
    if stored_bytes != given_bytes:
        raise StorageUnavailable(f"the storage kept fewer or more bytes than it was given: {stored_bytes}")


def copy_through(
    storage: Storage, key: str, to: str, *, sha256: str, content_type: str = "application/octet-stream"
) -> BlobInfo:
    """``Storage.copy`` by reading and writing, for a storage that cannot copy inside the service."""
    with storage.open(key) as stream, storage.open_writer(to, content_type=content_type) as writer:
        while block := stream.read(READ_BLOCK_BYTES):
            writer.write(block)
        if writer.sha256 != sha256:
            raise not_what_was_stored(key, writer.sha256)
        return writer.publish()


def put_bytes(storage: Storage, key: str, data: bytes, *, content_type: str) -> BlobInfo:
    """Write a small file. Raises what ``StorageWriter`` raises."""
    with storage.open_writer(key, content_type=content_type, may_use_reserve=True) as writer:
        writer.write(data)
        return writer.publish()


def put_json(storage: Storage, key: str, value: Any) -> BlobInfo:
    """Write one JSON record. Raises what ``StorageWriter`` raises."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    return put_bytes(storage, key, text.encode(), content_type="application/json")


def read_bytes(storage: Storage, key: str) -> bytes:
    """All of a small file. Raises ``NotFound``, and ``StorageError`` if it is larger than ``RECORD_LIMIT_BYTES``."""
    with storage.open(key) as stream:
        data = stream.read(RECORD_LIMIT_BYTES + 1)
    if len(data) > RECORD_LIMIT_BYTES:
        raise StorageError(f"{key} is larger than {RECORD_LIMIT_BYTES >> 20} MiB")
    return data


def read_replaceable(storage: Storage, key: str) -> bytes:
    """The same of a file that may be replaced while it is read. Raises ``Damaged`` if it is every time."""
    for _ in range(_REPLACED_ATTEMPTS - 1):
        with suppress(Damaged):
            return read_bytes(storage, key)
    return read_bytes(storage, key)
