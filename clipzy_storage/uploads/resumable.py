"""An upload over several requests: begun, continued by any process, and a video once it is whole.

Its state is in storage alone: the record that it was begun with, and the bytes that have arrived.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from clipzy_storage import keys
from clipzy_storage.backends.background import BackgroundHash
from clipzy_storage.backends.base import HEAD_BYTES, GrowingFile, StorageBackend
from clipzy_storage.errors import OffsetMismatch, QueueUnavailable, StorageError, UploadNotFound
from clipzy_storage.failpoints import failpoint
from clipzy_storage.models.records import Upload
from clipzy_storage.uploads.digests import RunningDigests
from clipzy_storage.uploads.locks import Held, UploadLocks
from clipzy_storage.uploads.store import UploadStore

SILENT_SECONDS = 2.0
"""A request from which nothing has come for so long gives the upload up to another one that wants to continue it."""

ContainerOf = Callable[[bytes], str]
"""The container of a file that begins with these bytes; raises if it is none that is supported."""


@dataclass
class Continued:
    """One request's part of an upload. ``write`` may raise ``UploadLocked`` and what a ``GrowingFile`` raises."""

    upload: Upload
    file: GrowingFile
    lock: Held
    digest: BackgroundHash | None
    """Of all bytes so far; None if another process has received some of them, or one could not be written."""
    container_of: ContainerOf
    writing: threading.Lock = field(default_factory=threading.Lock)
    """Held while the file is changed: by the request, or by the thread that gives the upload up for it."""

    @property
    def size_bytes(self) -> int:
        """Bytes that the upload has now."""
        return self.file.size_bytes

    @property
    def missing_bytes(self) -> int:
        return self.upload.size_bytes - self.file.size_bytes

    def write(self, block: bytes) -> None:
        with self.writing:
            self.lock.check()
            if self.size_bytes == 0 and len(block) >= min(HEAD_BYTES, self.upload.size_bytes):
                self.container_of(block[:HEAD_BYTES])  # early, so that no more of it is sent
            digest, self.digest = self.digest, None  # of a block that fails nobody knows how much was written
            self.file.write(block)
            if digest is not None:
                digest.update(block)
            self.digest = digest


class ResumableUploads:
    """All uploads in progress in one storage. Methods may raise ``StorageError``, ``QueueUnavailable``."""

    def __init__(
        self,
        storage: StorageBackend,
        store: UploadStore,
        locks: UploadLocks,
        *,
        container_of: ContainerOf,
    ) -> None:
        self._storage = storage
        self._store = store
        self._locks = locks
        self._container_of = container_of
        self._digests = RunningDigests()

    @property
    def expires_seconds(self) -> float:
        """How long after its last byte an upload is removed."""
        return self._store.expires_seconds

    def begin(self, upload: Upload, *, is_keyed: bool = False) -> Upload:
        """As ``UploadStore.begin`` does."""
        return self._store.begin(upload, is_keyed=is_keyed)

    def find(self, upload_id: str, *, owner: str) -> Upload:
        """Raises ``UploadNotFound``, also once it is a video."""
        return self._store.find(upload_id, owner=owner, kind="tus")

    def size_bytes(self, upload: Upload) -> int:
        """How many bytes have arrived and are kept.

        An upload that is whole is made a video by this, if a crash came before. Raises ``UploadLocked``, and what
        ``ContainerOf`` raises.
        """
        kept_bytes = self._storage.growing_bytes(upload.upload_id)  # first: nothing grows any more once it is published
        if kept_bytes < upload.size_bytes and not self._store.published(upload):
            return kept_bytes
        with self._locks.held(upload.upload_id):
            self._complete(upload)
        return upload.size_bytes

    @contextmanager
    def continued(self, upload: Upload, *, offset: int, silent_seconds: Callable[[], float]) -> Iterator[Continued]:
        """Append to the upload in the ``with`` block. What was written is kept whatever ends the block.

        Once the upload is whole it becomes a video. If its format is not supported it is removed.

        ``silent_seconds`` reports for how long nothing has come from the client. If that is long, as it is once a
        client has changed its network, another request that is refused makes this one give the upload up.

        Raises ``OffsetMismatch``, ``UploadLocked``, ``UploadNotFound``, and what ``ContainerOf`` raises.
        """
        with self._locks.held(upload.upload_id) as lock:
            self.find(upload.upload_id, owner=upload.owner)  # another request may have ended it meanwhile
            if self._store.published(upload):
                self._complete(upload)
                raise OffsetMismatch(upload.size_bytes)
            with self._opened(upload) as file:
                if file.size_bytes != offset:
                    raise OffsetMismatch(file.size_bytes)
                digest = self._digests.take(upload, offset)
                part = Continued(upload, file, lock, digest, self._container_of)
                lock.when_wanted = partial(self._give_up_silent, part, silent_seconds)
                try:
                    yield part
                except BaseException:
                    self._keep(part)
                    raise
                finally:
                    lock.when_wanted = None
                if part.missing_bytes:
                    self._keep(part)
                lock.check()
                if part.missing_bytes:
                    return
                failpoint("upload-received")
                key = file.publish().key
                failpoint("upload-published")
            lock.check()  # otherwise whoever has it makes it a video, or has removed it
            self._finish(upload, key, sha256=digest.hexdigest() if digest else None)

    def remove(self, upload: Upload) -> None:
        """End the upload, and keep nothing of it. Raises ``UploadLocked``; ``UploadNotFound`` if it is a video."""
        with self._locks.held(upload.upload_id):
            if not self._store.discard(upload):
                raise UploadNotFound(upload.upload_id)

    def _opened(self, upload: Upload) -> AbstractContextManager[GrowingFile]:
        def key_of(head: bytes) -> str:
            return keys.upload(upload.upload_id, self._container_of(head))

        return self._storage.open_growing(upload.upload_id, key_of=key_of)

    def _keep(self, part: Continued) -> None:
        """For the next request; unless the lock is lost: then another one may have kept more."""
        with part.writing:
            if part.lock.is_valid:
                self._save(part)

    def _give_up_silent(self, part: Continued, silent_seconds: Callable[[], float]) -> None:
        """Have another request continue the upload, after what is here, unless its client still sends."""
        if part.writing.acquire(blocking=False):
            try:
                if part.lock.is_valid and silent_seconds() >= SILENT_SECONDS:
                    with suppress(StorageError, QueueUnavailable):  # then it is held on, until its own end
                        self._save(part)
                        self._locks.release(part.lock)
            finally:
                part.writing.release()

    def _save(self, part: Continued) -> None:
        part.file.keep()
        if part.digest is not None:
            self._digests.keep(part.upload, part.size_bytes, part.digest)
        self._store.hold(part.upload)

    def _complete(self, upload: Upload) -> None:
        """Make an upload that is whole a video; every step may have been done before. For the holder of its lock."""
        key = self._store.published(upload)
        if key is None:
            with self._opened(upload) as file:
                key = file.publish().key
        self._finish(upload, key, sha256=None)

    def _finish(self, upload: Upload, key: str, *, sha256: str | None) -> None:
        """The published file was given its key by its container."""
        self._store.finish(upload, key, container=keys.container_of(key), sha256=sha256)
