"""Removes uploads in progress to which nothing has come for too long, and has the others counted."""

import structlog

from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.errors import NotFound, StorageError, StorageUnavailable, UploadLocked
from clipzy_storage.jobs import durable_records
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_storage.uploads.store import UploadStore

log = structlog.stdlib.get_logger(__name__)


class UploadExpiry:
    """Tends all uploads in progress of one storage."""

    def __init__(self, storage: StorageBackend, store: UploadStore, locks: UploadLocks) -> None:
        self._storage = storage
        self._store = store
        self._locks = locks

    def run(self) -> int:
        """One pass; returns how many were removed. Raises ``StorageUnavailable``, ``QueueUnavailable``."""
        removed = 0
        for upload_id, age_seconds in durable_records.uploads_in_progress(self._storage).items():
            try:
                removed += self._tend(upload_id, age_seconds)
            except (NotFound, UploadLocked):  # it has ended, or is being written
                log.debug("upload.left", upload_id=upload_id)
            except StorageUnavailable:
                raise
            except StorageError as error:
                log.warning("upload.damaged", upload_id=upload_id, reason=str(error))
        if removed:
            log.info("upload.expired", count=removed)
        return removed

    def _tend(self, upload_id: str, age_seconds: float) -> bool:
        """Whether it had expired, and is removed."""
        limit_seconds = self._store.expires_seconds
        if age_seconds >= limit_seconds:
            age_seconds = self._storage.growing_idle_seconds(upload_id)
        if age_seconds < limit_seconds:
            upload = durable_records.read_upload(self._storage, upload_id)
            self._store.hold(upload, seconds=limit_seconds - age_seconds)
            return False
        with self._locks.held(upload_id):
            return self._storage.growing_idle_seconds(upload_id) >= limit_seconds and self._remove(upload_id)

    def _remove(self, upload_id: str) -> bool:
        try:
            upload = durable_records.read_upload(self._storage, upload_id)
        except NotFound:  # what its end, or its beginning, has left
            self._storage.remove_growing(upload_id)
            return True
        return self._store.discard(upload)
