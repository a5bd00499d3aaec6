"""An upload over several requests: begun, continued by any process, and a video once it is whole.

Its state is in storage alone: the record that it was begun with, and the bytes that have arrived. Each step of its
completion can be repeated, so whoever asks after a crash carries on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from clipzy_storage import keys
from clipzy_storage.backends.background import BackgroundHash
from clipzy_storage.backends.base import HEAD_BYTES, GrowingFile, StorageBackend, list_own
from clipzy_storage.errors import AlreadyExists, NotFound, OffsetMismatch, UploadNotFound
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.owner_accounts import OwnerAccounts
from clipzy_storage.models.records import Upload, Video
from clipzy_storage.uploads.digests import RunningDigests
from clipzy_storage.uploads.locks import Held, UploadLocks

ContainerOf = Callable[[bytes], str]
"""The container of a file that begins with these bytes; raises if it is none that is supported."""


@dataclass
class Continued:
    """One request's part of an upload. ``write`` may raise ``UploadLocked`` and what a ``GrowingFile`` raises."""

    upload: Upload
    _file: GrowingFile
    _lock: Held
    _digest: BackgroundHash | None
    _container_of: ContainerOf

    @property
    def size_bytes(self) -> int:
        """Bytes that the upload has now."""
        return self._file.size_bytes

    @property
    def missing_bytes(self) -> int:
        return self.upload.size_bytes - self._file.size_bytes

    def write(self, block: bytes) -> None:
        self._lock.check()
        if self._file.size_bytes == 0 and len(block) >= min(HEAD_BYTES, self.upload.size_bytes):
            self._container_of(block[:HEAD_BYTES])  # early, so that no more of it is sent
        if self._digest is not None:
            self._digest.update(block)
        self._file.write(block)


class ResumableUploads:
    """All uploads in progress in one storage. Methods may raise ``StorageError``, ``QueueUnavailable``."""

    def __init__(
        self,
        storage: StorageBackend,
        accounts: OwnerAccounts,
        locks: UploadLocks,
        *,
        container_of: ContainerOf,
        expires_seconds: float,
    ) -> None:
        """``expires_seconds``: how long after its last byte an upload is removed."""
        self._storage = storage
        self._accounts = accounts
        self._locks = locks
        self._container_of = container_of
        self._digests = RunningDigests()
        self.expires_seconds = expires_seconds

    def begin(self, *, owner: str, filename: str, size_bytes: int, metadata: str = "") -> Upload:
        """Raises ``QuotaExceeded``, ``StorageFull``."""
        upload = Upload(
            owner=owner,
            upload_id=keys.new_id("vid"),
            filename=filename,
            metadata=metadata,
            size_bytes=size_bytes,
            created_at=datetime.now(UTC),
        )
        self._accounts.add_upload(upload, expires_seconds=self.expires_seconds)
        try:
            durable_records.write_upload(self._storage, upload)
        except BaseException:
            self._accounts.end_upload(upload, size_bytes=0)
            raise
        failpoint("upload-begun")
        return upload

    def find(self, upload_id: str, *, owner: str) -> Upload:
        """Raises ``UploadNotFound``, also once it is a video."""
        if not keys.is_video_id(upload_id):
            raise UploadNotFound(upload_id)
        try:
            upload = durable_records.read_upload(self._storage, upload_id)
        except NotFound as error:
            raise UploadNotFound(upload_id) from error
        if upload.owner != owner:
            raise UploadNotFound(upload_id)
        return upload

    def size_bytes(self, upload: Upload) -> int:
        """How many bytes have arrived and are kept. An upload that is whole is made a video by this, if it is none."""
        if self._published(upload):
            with self._locks.held(upload.upload_id):
                self._finish(upload, sha256=None)
            return upload.size_bytes
        return self._storage.growing_bytes(upload.upload_id)

    @contextmanager
    def continued(self, upload: Upload, *, offset: int) -> Iterator[Continued]:
        """Append to the upload in the ``with`` block. What was written is kept whatever ends the block.

        Once the upload is whole it becomes a video. If its format is not supported it is removed.

        Raises ``OffsetMismatch``, ``UploadLocked``, ``UploadNotFound``, and what ``ContainerOf`` raises.
        """
        with self._locks.held(upload.upload_id) as lock:
            self.find(upload.upload_id, owner=upload.owner)  # another request may have ended it meanwhile
            if self._published(upload):
                self._finish(upload, sha256=None)
                raise OffsetMismatch(upload.size_bytes)
            with self._storage.open_growing(upload.upload_id, key_of=self._key_of(upload)) as file:
                if file.size_bytes != offset:
                    raise OffsetMismatch(file.size_bytes)
                digest = self._digests.take(upload.upload_id, offset)
                part = Continued(upload, file, lock, digest, self._container_of)
                try:
                    yield part
                finally:
                    if lock.is_valid:  # otherwise another request may have kept more
                        self._keep(part, digest)
                self._accounts.hold_upload(upload, expires_seconds=self.expires_seconds)
                is_whole = not part.missing_bytes
                if is_whole:
                    lock.check()
                    file.publish()
                    failpoint("upload-published")
            if is_whole:
                self._finish(upload, sha256=digest.hexdigest() if digest else None)

    def remove(self, upload: Upload) -> None:
        """End the upload, and keep nothing of it. Raises ``UploadLocked``."""
        with self._locks.held(upload.upload_id):
            self.discard(upload)

    def discard(self, upload: Upload) -> None:
        """The same for the holder of its lock."""
        self._storage.remove_growing(upload.upload_id)
        self._accounts.end_upload(upload, size_bytes=0)

    def _key_of(self, upload: Upload) -> Callable[[bytes], str]:
        return lambda head: keys.upload(upload.upload_id, self._container_of(head))

    def _keep(self, part: Continued, digest: BackgroundHash | None) -> None:
        part._file.keep()
        if digest is not None:
            self._digests.keep(part.upload.upload_id, part.size_bytes, digest)

    def _published(self, upload: Upload) -> str | None:
        """The key of its file, once that is whole and has one."""
        files = list_own(self._storage, keys.upload_prefix(upload.upload_id))
        return next((blob.key for blob in files if keys.is_source(blob.key)), None)

    def _finish(self, upload: Upload, *, sha256: str | None) -> None:
        """Make the published file a video. Every step may have been done before."""
        key = self._published(upload)
        if key is None:
            raise UploadNotFound(upload.upload_id)
        video = Video(
            owner=upload.owner,
            video_id=upload.upload_id,
            filename=upload.filename,
            key=key,
            container=keys.container_of(key),
            size_bytes=upload.size_bytes,
            sha256=sha256,
            uploaded_at=datetime.now(UTC),
        )
        with suppress(AlreadyExists):
            durable_records.write_video(self._storage, video)
        failpoint("upload-recorded")
        self._accounts.end_upload(upload, size_bytes=upload.size_bytes)
        self._storage.remove_growing(upload.upload_id)
