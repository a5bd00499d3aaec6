"""Uploads in progress in storage: how each begins, is found, becomes a video or is given up."""

from contextlib import suppress
from datetime import UTC, datetime

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.errors import AlreadyExists, IdempotencyMismatch, NotFound, UploadNotFound
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.owner_accounts import OwnerAccounts
from clipzy_storage.models.records import Upload, UploadKind, Video


class UploadStore:
    """The records of all uploads in progress. Methods may raise ``StorageError``, ``QueueUnavailable``.

    Each step can be repeated, so whoever asks after a crash carries on.
    """

    def __init__(self, storage: StorageBackend, accounts: OwnerAccounts, *, expires_seconds: float) -> None:
        """``expires_seconds``: how long after its last byte an upload is removed."""
        self._storage = storage
        self._accounts = accounts
        self.expires_seconds = expires_seconds

    def begin(self, upload: Upload, *, is_keyed: bool) -> Upload:
        """Begin this upload; with an id that ``is_keyed`` again and again: then the first one is returned.

        Raises ``QuotaExceeded``, ``StorageFull``, and ``IdempotencyMismatch`` if the first one was another.
        """
        if is_keyed and (first := self._begun(upload)):
            return first
        self._accounts.add_upload(upload, expires_seconds=self.expires_seconds)
        try:
            durable_records.write_upload(self._storage, upload)
        except AlreadyExists:  # another request under the same key was quicker
            return self._begun(upload) or upload
        except BaseException:
            self._accounts.end_upload(upload, size_bytes=0)
            raise
        failpoint("upload-begun")
        return upload

    def _begun(self, upload: Upload) -> Upload | None:
        """The one with this id, if there is one. Raises ``IdempotencyMismatch`` if it is, or has become, another."""
        try:
            first = durable_records.read_upload(self._storage, upload.upload_id)
        except NotFound:
            self._check_video(upload)
            return None
        if first.model_copy(update={"created_at": upload.created_at}) != upload:
            raise IdempotencyMismatch
        return first

    def _check_video(self, upload: Upload) -> None:
        with suppress(NotFound):
            video = durable_records.read_video(self._storage, upload.upload_id)
            known = (video.filename, video.size_bytes, video.declared_sha256)
            if known != (upload.filename, upload.size_bytes, upload.sha256):
                raise IdempotencyMismatch

    def find(self, upload_id: str, *, owner: str, kind: UploadKind) -> Upload:
        """Raises ``UploadNotFound``, also once it is a video."""
        with suppress(NotFound):
            if keys.is_video_id(upload_id):
                upload = durable_records.read_upload(self._storage, upload_id)
                if (upload.owner, upload.kind) == (owner, kind):
                    return upload
        raise UploadNotFound(upload_id)

    def hold(self, upload: Upload, *, seconds: float | None = None) -> None:
        """Count it for so long from now on; without ``seconds``, as long as it takes to expire: something has come."""
        self._accounts.hold_upload(upload, expires_seconds=self.expires_seconds if seconds is None else seconds)

    def published(self, upload: Upload) -> str | None:
        """The key of its file, once that is whole and has one."""
        file = durable_records.find_source(self._storage, upload.upload_id)
        return file.key if file else None

    def finish(self, upload: Upload, key: str, *, container: str, sha256: str | None) -> Video:
        """Make the published file a video."""
        video = Video(
            owner=upload.owner,
            video_id=upload.upload_id,
            filename=upload.filename,
            key=key,
            container=container,
            size_bytes=upload.size_bytes,
            sha256=sha256,
            declared_sha256=upload.sha256,
            uploaded_at=datetime.now(UTC),
        )
        try:
            durable_records.write_video(self._storage, video)
        except AlreadyExists:
            video = durable_records.read_video(self._storage, upload.upload_id)
        failpoint("upload-recorded")
        self._accounts.end_upload(upload, size_bytes=upload.size_bytes)
        self._storage.remove_growing(upload.upload_id)
        return video

    def discard(self, upload: Upload) -> bool:
        """Keep nothing of it; false if it is a video, which stays."""
        is_video = self._storage.exists(keys.video_record(upload.upload_id))
        if not is_video and (key := self.published(upload)):  # a crash came before it was recorded
            self._storage.delete(key)
        self._storage.remove_growing(upload.upload_id)
        self._accounts.end_upload(upload, size_bytes=upload.size_bytes if is_video else 0)
        return not is_video
