"""The seam between Clipzy and where its files live.

A backend moves bytes and nothing else: sizes, caps, formats and records are decided by its callers. Every key is
written once and is invisible until it is complete; a second write of the same key fails and changes nothing.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from clipzy_storage.errors import Damaged, StorageError
from clipzy_storage.models.records import Link

RECORD_LIMIT_BYTES = 64 << 20
COPY_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class BlobInfo:
    """What a listing knows of one complete file.

    ``age_seconds`` is told by listings alone: since it was written, by the storage's own clock, as of when the listing
    began. 0 where the storage does not tell the time, so that nothing counts as old there.
    """

    key: str
    size_bytes: int
    age_seconds: float = field(default=0.0, compare=False)  # the same file, however often one looks


class StorageWriter(Protocol):
    """One file on its way to its key. Used with ``with``: what is not published by the end of it is gone.

    Every method may raise ``StorageFull`` or ``StorageUnavailable``; the unfinished file is then already removed, or
    is left in the incoming area where it counts for nothing.
    """

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes written so far, computed on the way."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of ``data``."""

    def publish(self) -> BlobInfo:
        """Make the file durable and then visible under its key, whole, in one step.

        Raises:
            AlreadyExists: the key is taken; what is there stays as it was.
        """

    def discard(self) -> None:
        """Remove the unfinished file. Safe to call twice and after ``publish``."""


class Storage(Protocol):
    """One backend. All methods are safe to call from several threads and processes.

    Besides the errors named at each method, all may raise ``BadKey`` and ``StorageUnavailable``.
    """

    kind: Literal["local", "s3"]
    may_show_files_late: bool  # what one machine has written another may see only some time later

    @property
    def place(self) -> str:
        """Where it is, for messages to operators."""

    @property
    def tells_writers_apart(self) -> bool:
        """Whether of several who publish one key at the same moment exactly one succeeds.

        Known after ``prepare``. Where false, a key is refused only when it was there some moments before.
        """

    def prepare(self) -> str:
        """Prove that the storage can be written, read and deleted, and return its identity.

        The identity is written once, by whoever comes first, and never changes.

        Raises:
            ConfigurationError: it is missing, not writable or not what was declared.
            StorageUnavailable: it cannot be reached now.
        """

    def retract(self) -> None:
        """Take back what ``prepare`` of this object created, if nothing else was written there since."""

    def check(self) -> None:
        """Ask whether files can be read and written now. Raises ``StorageFull``, ``StorageUnavailable``."""

    def incoming(
        self, key: str, *, content_type: str = "application/octet-stream", may_use_reserve: bool = False
    ) -> AbstractContextManager[StorageWriter]:
        """Begin a file that is to appear under ``key``. May raise ``StorageFull``.

        A backend may keep some room free; only the small files that bring jobs to their ends ``may_use_reserve``.
        """

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        """Read from byte ``start``, at most ``length`` bytes. Raises ``NotFound``."""

    def local_copy(
        self, key: str, scratch: Path, *, sha256: str, on_progress: Callable[[], object] = lambda: None
    ) -> Path:
        """A path that a decoder can open: the file itself, or a copy in ``scratch``. Never to be written.

        A copy is compared with ``sha256``, the digest of what was stored; meanwhile ``on_progress`` is called again
        and again, and may raise to end it.

        Raises:
            NotFound: nothing is there.
            StorageFull: ``scratch`` has no room for the copy.
            Damaged: the copy is not what was stored.
        """

    def copy(self, key: str, to: str, *, sha256: str) -> BlobInfo:
        """Write what lies under ``key`` under ``to`` as well, a file of its own, as whole and durable as any.

        ``sha256`` is what was stored under ``key``. A storage that copies by itself may go by what it was told of that
        when the file was written, and refuses ``to`` only where it was taken some moments before; so it is to be a key
        that nobody else writes. May raise ``StorageFull``.

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

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """All complete files whose key begins with ``prefix`` (a folder, ending in ``/``), in key order."""

    def sweep_incomplete(self, older_than_seconds: float, *, of_writer: str = "") -> int:
        """Remove what was left unfinished so long ago, by the storage's own clock; how many files there were.

        ``of_writer`` keeps to the files of one writer, as named when its storage was opened.
        """

    def unfinished(self, older_than_seconds: float = 0) -> int:
        """How many files are on their way in, or were left so, whose writers have shown nothing for so long."""

    def free_bytes(self) -> int | None:
        """Room left, or ``None`` where nobody knows."""

    def link(self, key: str) -> Link:
        """Where a client finds the file; made anew for every answer and never stored."""


def copy_through(
    storage: Storage, key: str, to: str, *, sha256: str, content_type: str = "application/octet-stream"
) -> BlobInfo:
    """``Storage.copy`` by reading and writing, for a storage that cannot do it by itself."""
    with storage.open(key) as stream, storage.incoming(to, content_type=content_type) as incoming:
        while block := stream.read(COPY_BLOCK_BYTES):
            incoming.write(block)
        if incoming.sha256 != sha256:
            raise Damaged(f"{key} is not what was stored: its sha256 is {incoming.sha256}")
        return incoming.publish()


def put_bytes(storage: Storage, key: str, data: bytes, *, content_type: str) -> BlobInfo:
    """Write a small file. Raises what ``StorageWriter`` raises."""
    with storage.incoming(key, content_type=content_type, may_use_reserve=True) as incoming:
        incoming.write(data)
        return incoming.publish()


def put_json(storage: Storage, key: str, value: Any) -> BlobInfo:
    """Write one JSON record. Raises what ``StorageWriter`` raises."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    return put_bytes(storage, key, text.encode(), content_type="application/json")


def read_bytes(storage: Storage, key: str) -> bytes:
    """All of a small file. Raises ``NotFound``, and ``StorageError`` where it is larger than any of ours can be."""
    with storage.open(key) as stream:
        data = stream.read(RECORD_LIMIT_BYTES + 1)
    if len(data) > RECORD_LIMIT_BYTES:
        raise StorageError(f"{key} is larger than {RECORD_LIMIT_BYTES >> 20} MiB")
    return data
