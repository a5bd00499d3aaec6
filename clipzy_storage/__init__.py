"""What front end and worker share: settings, storage, job records and the guard."""

from clipzy_storage.base import Storage
from clipzy_storage.local import LocalStorage
from clipzy_storage.settings import Settings


def open_storage(settings: Settings) -> Storage:
    """The backend that STORAGE_TYPE names, not yet proved: see ``Storage.prepare``."""
    return LocalStorage(settings.local_storage_path, shared=settings.local_storage_shared)


__all__ = ["LocalStorage", "Settings", "Storage", "open_storage"]
