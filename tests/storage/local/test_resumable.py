"""Uploads over several requests into a directory, while it fails or they are begun anew."""

import hashlib
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import StorageError
from clipzy_storage.jobs.durable_records import read_video
from clipzy_storage.jobs.owner_accounts import OwnerAccounts
from clipzy_storage.jobs.owner_limits import OwnerLimits
from clipzy_storage.models.records import Upload
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.uploads.locks import HOLDS_PER_TTL, TTL_SECONDS, UploadLocks
from clipzy_storage.uploads.resumable import ResumableUploads
from clipzy_storage.uploads.store import UploadStore
from tests.support.forms import mp4_bytes
from tests.support.waiting import eventually

CONTENT = mp4_bytes(600_000)
HALF = len(CONTENT) // 2


@dataclass
class Uploads:
    """What two processes do with the uploads of one directory."""

    storage: LocalStorage
    processes: list[ResumableUploads]

    def begun(self, upload_id: str | None = None) -> Upload:
        upload = Upload.begun_now(upload_id=upload_id, filename="a.mp4", size_bytes=len(CONTENT))
        return self.processes[0].begin(upload)

    def append(self, upload: Upload, *blocks: bytes, offset: int = 0, process: int = 0) -> None:
        resumable = self.processes[process]
        with resumable.continued(upload, offset=offset, silent_seconds=lambda: 0.0) as part:
            for block in blocks:
                part.write(block)

    def known_digest(self, upload: Upload) -> str | None:
        return read_video(self.storage, upload.upload_id).sha256


@pytest.fixture
def uploads(storage: LocalStorage, redis_url: str) -> Uploads:
    def process() -> ResumableUploads:
        redis = RedisDatabase(redis_url)
        store = UploadStore(storage, OwnerAccounts(redis, OwnerLimits()), expires_seconds=3600)
        return ResumableUploads(storage, store, UploadLocks(redis), container_of=lambda _: "mp4")

    return Uploads(storage, [process(), process()])


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to let any file grow further."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_could_not_be_written_is_in_no_digest(uploads: Uploads) -> None:
    # Given a piece that the disk has room for up to the end of a block
    upload = uploads.begun()
    with files_of_at_most(HALF), pytest.raises(StorageError):
        uploads.append(upload, CONTENT[:HALF], CONTENT[HALF:])
    assert uploads.processes[0].size_bytes(upload) == HALF
    # When the same process receives the rest
    uploads.append(upload, CONTENT[HALF:], offset=HALF)
    # Then it does not take another digest for that of the file
    assert uploads.known_digest(upload) in (None, hashlib.sha256(CONTENT).hexdigest())


def test_an_upload_that_is_begun_anew_has_a_digest_of_its_own(uploads: Uploads) -> None:
    # Given an upload of which this process has received a piece, and that was given up
    first = uploads.begun(keys.new_id("vid"))
    uploads.append(first, CONTENT[:HALF])
    uploads.processes[1].remove(first)
    # When another file is sent under its id, first to another process
    again = first.model_copy(update={"created_at": first.created_at + timedelta(seconds=1)})
    uploads.processes[0].begin(again)
    other = CONTENT[:1000] + bytes(HALF - 1000)
    uploads.append(again, other, process=1)
    uploads.append(again, CONTENT[HALF:], offset=HALF)
    # Then what came before is not taken for its beginning
    assert uploads.known_digest(again) in (None, hashlib.sha256(other + CONTENT[HALF:]).hexdigest())


def test_an_upload_that_becomes_a_video_meanwhile_is_whole(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a process that asks how much there is, when another one receives the rest
    upload, growing_bytes = uploads.begun(), LocalStorage.growing_bytes
    uploads.append(upload, CONTENT[:HALF])

    def after_the_rest(storage: LocalStorage, upload_id: str) -> int:
        monkeypatch.undo()
        uploads.append(upload, CONTENT[HALF:], offset=HALF, process=1)
        return growing_bytes(storage, upload_id)

    monkeypatch.setattr(LocalStorage, "growing_bytes", after_the_rest)
    # Then it does not see an upload of nothing
    assert uploads.processes[0].size_bytes(upload) == len(CONTENT)


def test_a_lock_that_redis_has_lost_is_not_valid_for_long(redis_client: Any, redis_url: str) -> None:
    """Another process can take it at once."""
    mine, other = UploadLocks(RedisDatabase(redis_url)), UploadLocks(RedisDatabase(redis_url))
    upload_id = keys.new_id("vid")
    with mine.held(upload_id) as lock:
        redis_client.flushall()
        with other.held(upload_id):
            eventually(lambda: not lock.is_valid, "one lock", seconds=2 * TTL_SECONDS / HOLDS_PER_TTL)
