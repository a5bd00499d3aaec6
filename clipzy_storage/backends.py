"""Which backend the settings name. A third one is a new module and a line here."""

from clipzy_storage.base import Storage
from clipzy_storage.local import LocalStorage
from clipzy_storage.settings import Settings


def open_storage(settings: Settings) -> Storage:
    """The backend that STORAGE_TYPE names, not yet proved: see ``Storage.prepare``. The only reader of that setting."""
    return LocalStorage(settings.local_storage_path, shared=settings.local_storage_shared)
