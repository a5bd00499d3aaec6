"""An upload whose bytes go from the client to the S3 service, and never through a front end."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from clipzy_storage import keys, metrics
from clipzy_storage.backends.base import HEAD_BYTES, DirectParts, StorageBackend
from clipzy_storage.errors import NotFound, PartsMismatch, UploadNotFound
from clipzy_storage.failpoints import failpoint
from clipzy_storage.models.records import Upload, Video
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_storage.uploads.resumable import ContainerOf
from clipzy_storage.uploads.store import UploadStore

LEAST_PART_BYTES = 16 << 20
MOST_PARTS = 9000
"""Services accept 10,000."""


def part_bytes_of(size_bytes: int) -> int:
    """How large every part but the last one of such a file is."""
    return max(LEAST_PART_BYTES, -(-size_bytes // MOST_PARTS))


class DirectUploads:
    """All direct uploads into one bucket. Methods may raise ``StorageError``, ``QueueUnavailable``."""

    def __init__(
        self,
        storage: StorageBackend,
        parts: DirectParts,
        store: UploadStore,
        locks: UploadLocks,
        *,
        container_of: ContainerOf,
    ) -> None:
        self._storage = storage
        self._parts = parts
        self._store = store
        self._locks = locks
        self._container_of = container_of

    def begin(self, upload: Upload, *, is_keyed: bool = False) -> Upload:
        """As ``UploadStore.begin`` does. Also raises ``UploadLocked``."""
        upload = self._store.begin(upload, is_keyed=is_keyed)
        key = keys.upload(upload.upload_id, _claimed_container(upload.filename))
        with self._locks.held(upload.upload_id):
            self._parts.begin(upload.upload_id, key, part_bytes=part_bytes_of(upload.size_bytes))
        return upload

    def find(self, upload_id: str, *, owner: str) -> Upload:
        """Raises ``UploadNotFound``, also once it is a video."""
        return self._store.find(upload_id, owner=owner, kind="s3")

    def sign(self, upload: Upload, numbers: Iterable[int]) -> tuple[dict[int, str], datetime]:
        """The URLs of these parts, and when they expire. Raises ``UploadNotFound``."""
        try:
            signed = self._parts.sign(upload.upload_id, numbers)
        except NotFound as error:
            raise UploadNotFound(upload.upload_id) from error
        self._store.hold(upload)
        return signed

    def complete(self, upload: Upload, etags: Mapping[int, str]) -> Video:
        """Make the parts with these ETags, by their numbers, the video. May be repeated.

        Raises:
            PartsMismatch: they are not the parts that have arrived, or not of the size that was declared. Nothing is
                lost: parts can be sent again.
            UploadLocked, UploadNotFound: and what ``ContainerOf`` raises; the upload is removed then.
        """
        with self._locks.held(upload.upload_id):
            self.find(upload.upload_id, owner=upload.owner)
            key = self._store.published(upload) or self._publish(upload, etags)
            with self._storage.open(key, length=HEAD_BYTES) as stream:
                head = stream.read(HEAD_BYTES)
            try:
                container = self._container_of(head)
            except BaseException:
                self._storage.delete(key)
                self._store.discard(upload)
                raise
            return self._store.finish(upload, key, container=container, sha256=None)

    def remove(self, upload: Upload) -> None:
        """End the upload, and keep nothing of it. Raises ``UploadLocked``; ``UploadNotFound`` if it is a video."""
        with self._locks.held(upload.upload_id):
            if not self._store.discard(upload):
                raise UploadNotFound(upload.upload_id)

    def _publish(self, upload: Upload, etags: Mapping[int, str]) -> str:
        try:
            self._check(upload, etags)
            blob = self._parts.complete(upload.upload_id, etags)
        except NotFound as error:
            raise UploadNotFound(upload.upload_id) from error
        failpoint("upload-published")
        if blob.size_bytes != upload.size_bytes:
            self._storage.delete(blob.key)
            self._store.discard(upload)
            raise PartsMismatch(f"the object has {blob.size_bytes} bytes, and {upload.size_bytes} were declared")
        metrics.count("clipzy_upload_bytes_total", blob.size_bytes, method="s3")
        return blob.key

    def _check(self, upload: Upload, etags: Mapping[int, str]) -> None:
        arrived = {part.number: part for part in self._parts.parts(upload.upload_id)}
        for number, etag in etags.items():
            if number not in arrived:
                raise PartsMismatch(f"part {number} has not arrived")
            if arrived[number].etag != etag:
                raise PartsMismatch(f"part {number} has the ETag {arrived[number].etag}")
        part_bytes = part_bytes_of(upload.size_bytes)
        for number in sorted(etags)[:-1]:  # services refuse small ones, and some those of different sizes
            if arrived[number].size_bytes != part_bytes:
                raise PartsMismatch(f"part {number} has {arrived[number].size_bytes} bytes, and not {part_bytes}")
        size_bytes = sum(arrived[number].size_bytes for number in etags)
        if size_bytes != upload.size_bytes:
            raise PartsMismatch(f"the parts have {size_bytes} bytes together, and {upload.size_bytes} were declared")


def _claimed_container(filename: str) -> str:
    """By which the object is named, since it needs a name before a byte of it is known; its content decides later."""
    extension = filename.rpartition(".")[2].lower()
    return extension if extension in keys.CONTAINERS else "mp4"
