"""A storage in a directory, for the tests next to this module."""

from pathlib import Path

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage

KEY = "uploads/vid_1/source.mp4"
REPOSITORY = Path(__file__).parents[3]


def prepared(root: Path) -> LocalStorage:
    storage = LocalStorage(root, shared=False, free_reserve_bytes=0)
    storage.prepare()
    return storage


def put(storage: LocalStorage, key: str, data: bytes) -> None:
    put_bytes(storage, key, data, content_type="video/mp4")


def unfinished(root: Path) -> list[str]:
    return [path.name for path in (root / keys.INCOMING).iterdir()]
