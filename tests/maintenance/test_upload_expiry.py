"""Uploads in progress to which nothing comes any more are removed, and the others are counted."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend, put_bytes
from clipzy_storage.errors import UploadLocked, UploadNotFound
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.owner_accounts import OwnerAccounts
from clipzy_storage.jobs.owner_limits import OwnerLimits, OwnerUsage
from clipzy_storage.maintenance.stored_bytes import count_stored
from clipzy_storage.maintenance.upload_expiry import UploadExpiry
from clipzy_storage.models.records import Upload, Video
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_storage.uploads.resumable import ResumableUploads
from clipzy_storage.uploads.store import UploadStore
from tests.storage.conftest import backend, storage  # noqa: F401 - fixtures
from tests.support.forms import mp4_bytes
from tests.support.waiting import eventually

CONTENT = mp4_bytes(6_000_000)
"""More than a part of a bucket."""
DAY = 24 * 3600.0
_ABOUT: dict[str, Any] = {"size_bytes": len(CONTENT) + 1, "uploaded_at": datetime.now(UTC)}


@dataclass
class Tended:
    """The uploads of one storage."""

    storage: StorageBackend
    accounts: OwnerAccounts
    locks: UploadLocks

    def store(self, expires_seconds: float = DAY) -> UploadStore:
        return UploadStore(self.storage, self.accounts, expires_seconds=expires_seconds)

    def begun(self) -> Upload:
        """An upload with some bytes."""
        upload = Upload.begun_now(owner="a", filename="a.mp4", size_bytes=len(CONTENT) + 1)
        self.store().begin(upload, is_keyed=False)
        with self.storage.open_growing(upload.upload_id, key_of=lambda _: keys.upload(upload.upload_id, "mp4")) as file:
            file.write(CONTENT)
            file.keep()
        return upload

    def whole(self, *, is_recorded: bool) -> Upload:
        """One that has just become a video when its front end died; or that has its file, and no record of it yet."""
        upload = self.begun()
        key = keys.upload(upload.upload_id, "mp4")
        with self.storage.open_growing(upload.upload_id, key_of=lambda _: key) as file:
            file.write(b"x")
            file.publish()
        if is_recorded:
            video = Video(video_id=upload.upload_id, owner="a", filename="a.mp4", key=key, container="mp4", **_ABOUT)
            durable_records.write_video(self.storage, video)
        return upload

    def videos(self) -> list[str]:
        return [blob.key for blob in self.storage.list("uploads/")]

    def tend(self, expires_seconds: float = DAY) -> int:
        return UploadExpiry(self.storage, self.store(expires_seconds), self.locks).run()

    def left(self) -> list[str]:
        return [blob.key for blob in self.storage.list(keys.UPLOADS_IN_PROGRESS)]

    def usage(self) -> OwnerUsage:
        return self.accounts.usage("a")


@pytest.fixture
def tended(storage: StorageBackend, redis_url: str) -> Tended:  # noqa: F811
    redis = RedisDatabase(redis_url)
    return Tended(storage, OwnerAccounts(redis, OwnerLimits()), UploadLocks(redis))


def test_what_has_expired_is_removed_with_its_parts(tended: Tended) -> None:
    tended.begun()
    assert (tended.usage().uploads, tended.usage().stored_bytes) == (1, len(CONTENT) + 1)
    assert tended.tend() == 0
    # When nothing has come for long enough
    eventually(lambda: tended.tend(expires_seconds=0.5) == 1, "an upload that has expired")
    # Then nothing of it is left, neither in the storage nor in the counts
    assert tended.left() == []
    assert tended.storage.count_incomplete() == 0
    assert (tended.usage().uploads, tended.usage().stored_bytes) == (0, 0)


def test_what_is_being_written_has_not_expired(tended: Tended) -> None:
    upload = tended.begun()
    with tended.locks.held(upload.upload_id):
        assert tended.tend(expires_seconds=0) == 0
        with pytest.raises(UploadLocked), tended.locks.held(upload.upload_id):
            pass
    assert tended.left() != []
    assert tended.tend(expires_seconds=0) == 1


def test_after_a_loss_of_redis_uploads_count_again(tended: Tended, redis_client: Any, redis_url: str) -> None:
    tended.begun()
    redis_client.flushall()
    assert tended.usage().uploads == 0
    assert tended.tend() == 0
    count_stored(tended.storage, JobAdmin(RedisDatabase(redis_url)))
    assert (tended.usage().uploads, tended.usage().stored_bytes) == (1, len(CONTENT) + 1)


def test_what_a_crash_has_left_without_a_record_goes_too(tended: Tended) -> None:
    upload = tended.begun()
    tended.storage.delete(keys.upload_state(upload.upload_id, "upload.json"))
    assert tended.tend(expires_seconds=0) == 1
    assert tended.left() == []


@pytest.mark.parametrize("expires_seconds", [0, DAY])
def test_a_damaged_record_stays_and_hides_no_other(tended: Tended, expires_seconds: float, logged: list[Any]) -> None:
    damaged, other = tended.begun(), tended.begun()
    key = keys.upload_state(damaged.upload_id, "upload.json")
    tended.storage.delete(key)
    put_bytes(tended.storage, key, b"{", content_type="application/json")
    assert tended.tend(expires_seconds) == (1 if expires_seconds == 0 else 0)
    assert key in tended.left()
    assert (keys.upload_state(other.upload_id, "upload.json") in tended.left()) == (expires_seconds != 0)
    assert "upload.damaged" in [line["event"] for line in logged]


def test_a_whole_file_that_nobody_asks_for_goes_with_its_upload(tended: Tended) -> None:
    tended.whole(is_recorded=False)
    assert tended.tend(expires_seconds=0) == 1
    assert (tended.left(), tended.videos()) == ([], [])
    assert (tended.usage().uploads, tended.usage().stored_bytes) == (0, 0)


def test_of_a_video_only_what_its_upload_has_left_goes(tended: Tended) -> None:
    tended.whole(is_recorded=True)
    assert tended.tend(expires_seconds=0) == 0
    assert (tended.left(), len(tended.videos())) == ([], 2)
    assert (tended.usage().uploads, tended.usage().stored_bytes) == (0, len(CONTENT) + 1)


def test_giving_up_an_upload_removes_its_whole_file_but_no_video(tended: Tended) -> None:
    resumable = ResumableUploads(tended.storage, tended.store(), tended.locks, container_of=lambda _: "mp4")
    # Given an upload with a file, and none of them a video
    resumable.remove(tended.whole(is_recorded=False))
    assert (tended.left(), tended.videos(), tended.usage().stored_bytes) == ([], [], 0)
    # When it is one already, then it is not given up, and counts
    with pytest.raises(UploadNotFound):
        resumable.remove(tended.whole(is_recorded=True))
    assert (tended.left(), len(tended.videos()), tended.usage().stored_bytes) == ([], 2, len(CONTENT) + 1)
