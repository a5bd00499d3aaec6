"""Where files live: ``base`` has the interface, ``local`` and ``s3`` implement it, ``open_storage`` chooses.

May import ``models``, ``config``, ``keys`` and ``errors``; moves bytes, and knows neither a job nor Redis.
"""

from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.settings import Settings


def open_storage(settings: Settings, *, writer: str = "") -> StorageBackend:
    """The backend that STORAGE_TYPE names, not yet verified: see ``StorageLifecycle.prepare``.

    ``writer`` marks its unfinished files, so that they can be found when this process is gone.
    """
    if settings.storage_type == "local":
        return LocalStorage(settings.local_storage_path, shared=settings.local_storage_shared, writer=writer)
    from clipzy_storage.backends.s3.storage import (
        S3Storage,  # importing boto3 takes time and memory that local storage does not need
    )

    return S3Storage(
        str(settings.s3_bucket_name),
        public_endpoint_url=settings.s3_public_endpoint_url,
        addressing_style=settings.s3_addressing_style,
        presign_expires_seconds=settings.s3_presign_expires_seconds,
        largest_file_bytes=settings.max_file_size_bytes,
        writer=writer,
    )
