"""Where a deployment keeps its files, and a storage client that no fault reaches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.identity import ADOPTED
from tests.support import s3_servers
from tests.support.s3_servers import S3Server


@dataclass(frozen=True)
class Store:
    """One storage: the settings that lead to it, and ``storage``, which leads there undisturbed."""

    settings: dict[str, str]
    storage: StorageBackend
    server: S3Server | None = None
    bucket: str = ""

    @property
    def endpoint(self) -> str | None:
        """What proxies stand before, if anything."""
        return self.server.url if self.server else None

    def unfinished(self) -> list[str]:
        """Unfinished files and multipart uploads."""
        if self.server:
            markers = [key for key in self.server.keys(self.bucket) if key.startswith(f"{keys.INCOMING}/")]
            return [key for key in markers if key != ADOPTED] + self.server.unfinished(self.bucket)
        directory = Path(self.settings["LOCAL_STORAGE_PATH"], keys.INCOMING)
        return [path.name for path in directory.iterdir()] if directory.exists() else []


@contextmanager
def open_store(kind: str, directory: Path) -> Iterator[Store]:
    """An empty ``local`` or ``s3`` storage, there until the end."""
    if kind == "local":
        root = directory / "storage"
        root.mkdir()
        local = LocalStorage(root, shared=True)
        local.prepare()
        yield Store({"LOCAL_STORAGE_PATH": str(root), "LOCAL_STORAGE_SHARED": "true"}, local)
        return
    with s3_servers.running("rclone", directory / "s3") as server:
        bucket = server.new_bucket()
        settings = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": bucket, **server.env}
        storage = s3_servers.storage_of(server, bucket)
        storage.prepare()
        yield Store(settings, storage, server, bucket)
