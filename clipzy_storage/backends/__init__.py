"""Which backend the settings name. A third one is a new module and a line here."""

from clipzy_storage.backends.base import Storage
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.settings import Settings


def open_storage(settings: Settings, *, writer: str = "") -> Storage:
    """The backend that STORAGE_TYPE names, not yet proved: see ``Storage.prepare``. The only reader of that setting.

    ``writer`` marks what is written through it while it is unfinished, so that it can be found when the writer is gone.
    """
    if settings.storage_type == "local":
        return LocalStorage(settings.local_storage_path, shared=settings.local_storage_shared, writer=writer)
    from clipzy_storage.backends.s3.storage import (
        S3Storage,  # boto3 costs time and memory that local storage need not pay
    )

    return S3Storage(
        str(settings.s3_bucket_name),
        public_endpoint_url=settings.s3_public_endpoint_url,
        addressing_style=settings.s3_addressing_style,
        presign_expires_seconds=settings.s3_presign_expires_seconds,
        largest_file_bytes=settings.max_file_size_bytes,
        writer=writer,
    )
