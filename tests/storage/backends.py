"""How a test, or another process of it, opens the storage under test; and what the racing processes do."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path

from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.errors import AlreadyExists

RACERS = 4
RACE_TIMEOUT_SECONDS = 60

_meeting_points: list[Barrier] = []


@dataclass(frozen=True)
class Backend:
    """One storage. Every ``open`` gives another object that sees the same files, in whichever process."""

    kind: str
    location: str
    env: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> StorageBackend:
        if self.kind == "local":
            return LocalStorage(Path(self.location), shared=False, free_reserve_bytes=0)
        os.environ.update(self.env)
        return S3Storage(self.location)


def meet_at(barrier: Barrier) -> None:
    """Give a new process the barrier at which it waits for the others."""
    _meeting_points.append(barrier)


def prepare_together(backend: Backend) -> str:
    storage = backend.open()
    _meeting_points[0].wait(RACE_TIMEOUT_SECONDS)
    return storage.prepare()


def publish_together(backend: Backend, key: str, content: bytes) -> bool:
    """Whether this process won the key."""
    storage = backend.open()
    storage.prepare()
    with storage.open_writer(key) as incoming:
        incoming.write(content)
        _meeting_points[0].wait(RACE_TIMEOUT_SECONDS)
        try:
            incoming.publish()
        except AlreadyExists:
            return False
    return True
