"""Which backend the settings name. A third one is a new module and a line here."""

from clipzy_storage.base import Storage
from clipzy_storage.local import LocalStorage
from clipzy_storage.settings import Settings


def open_storage(settings: Settings, *, writer: str = "") -> Storage:
    """The backend that STORAGE_TYPE names, not yet proved: see ``Storage.prepare``. The only reader of that setting.

    ``writer`` marks what is written through it while it is unfinished, so that it can be found when the writer is gone.
    """
    return LocalStorage(settings.local_storage_path, shared=settings.local_storage_shared, writer=writer)
