from pathlib import Path
from typing import Any, Literal

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from tests.support.aged_storage import AgingBucket, Shelf
from tests.support.s3_servers import S3Server


@pytest.fixture(params=["local", pytest.param("moto", marks=pytest.mark.long)])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """An empty storage. What is decided here is the same on every one; ages are in the conformance suite."""
    if request.param == "local":
        return Shelf(LocalStorage(tmp_path / "storage", shared=False, free_reserve_bytes=0))
    server: S3Server = request.getfixturevalue("moto_server")
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return Shelf(AgingBucket(server.new_bucket()))


class Recorder:
    """Stands for the job records where the order of steps is looked at, or what happens between two of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.in_use: set[str] = set()

    def expire(self, job_id: str) -> bool:
        self.calls.append(f"expire {job_id}")
        return True

    def block_video(self, video_id: str) -> Literal["dropped", "in use"]:
        self.calls.append(f"drop {video_id}")
        return "in use" if video_id in self.in_use else "dropped"


@pytest.fixture
def records() -> Recorder:
    return Recorder()


@pytest.fixture
def leftovers(shelf: Shelf, records: Recorder) -> Any:
    """The sweep of the shelf under these settings."""

    def make(**given: str) -> GarbageCollector:
        return GarbageCollector(shelf.storage, records, settings_from_env(given))

    return make
