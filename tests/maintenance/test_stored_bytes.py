"""What owners have in storage is counted as it comes and goes, and anew from storage where Redis lost it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import QuotaExceeded, StorageUnavailable
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.attempt import AttemptResult
from clipzy_storage.jobs.deletion import delete_job, delete_video
from clipzy_storage.jobs.owner_limits import OwnerLimits
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.maintenance.stored_bytes import count_stored
from clipzy_storage.models.records import Job, Video
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.runtime.janitor import Janitor
from tests.support.jobs import attempt_at, created, noting

MIB = 1 << 20


class Shelf:
    """Videos and results of owners in a storage, as front ends and workers leave them."""

    def __init__(self, store: JobStore, admin: JobAdmin, storage: LocalStorage) -> None:
        self.store, self.admin, self.storage = store, admin, storage

    def video(self, owner: str, size_bytes: int) -> Video:
        video_id = keys.new_id("vid")
        key = keys.upload(video_id, "mp4")
        put_bytes(self.storage, key, bytes(size_bytes), content_type="video/mp4")
        about = {"container": "mp4", "sha256": "0" * 64, "uploaded_at": datetime.now(UTC), "filename": "a.mp4"}
        video = Video(owner=owner, video_id=video_id, key=key, size_bytes=size_bytes, **about)
        durable_records.write_video(self.storage, video)
        self.store.accounts.add_video(video)
        return video

    def job(self, video: Video) -> Job:
        """A new one."""
        created_at = datetime.now(UTC)
        return Job.for_video(video, owner=video.owner, storage_id=self.storage.prepare(), created_at=created_at)

    def completed(self, video: Video, artifact_bytes: int) -> tuple[Job, int]:
        """A finished job, and what its result takes."""
        job = self.job(video)
        durable_records.write_open_job(self.storage, job)
        created(self.store, job)
        attempt = attempt_at(self.store, self.storage, job.job_id)
        key = attempt.prefix + "poster.jpg"
        index = f'{{"artifacts": [{{"key": "{key}", "size_bytes": {artifact_bytes}}}]}}'.encode()
        put_bytes(self.storage, key, bytes(artifact_bytes), content_type="image/jpeg")
        put_bytes(self.storage, attempt.prefix + "output.json", index, content_type="application/json")
        finished = attempt.commit(AttemptResult(1, attempt.prefix, index))
        assert finished is not None
        return finished, artifact_bytes + 2 * len(index)

    def stored(self, owner: str) -> int:
        found = self.store.accounts.usage(owner).stored_bytes
        assert found == sum(self.admin.stored().get(owner, {}).values())
        return found


@pytest.fixture
def shelf(redis_url: str, admin: JobAdmin, storage: LocalStorage) -> Shelf:
    limits = OwnerLimits(stored_bytes=MIB)
    return Shelf(JobStore(RedisDatabase(redis_url), lease_seconds=60, limits=limits), admin, storage)


def test_videos_and_results_count_until_they_are_deleted(shelf: Shelf) -> None:
    # Given a video and the result of a job over it
    video = shelf.video("a", 1000)
    assert shelf.stored("a") == 1000
    job, result_bytes = shelf.completed(video, 500)
    assert shelf.stored("a") == 1000 + result_bytes
    assert shelf.stored("b") == 0
    # When each is deleted, also twice, then what it took is free
    for _ in range(2):
        delete_job(shelf.storage, shelf.admin, job)
        assert shelf.stored("a") == 1000
    shelf.admin.set_reconciled(shelf.admin.run_id())
    delete_video(shelf.storage, shelf.admin, video)
    assert shelf.stored("a") == 0
    assert shelf.admin.stored() == {"a": {}}


def test_a_video_beyond_the_limit_is_refused(shelf: Shelf) -> None:
    shelf.video("a", MIB - 100)
    with pytest.raises(QuotaExceeded, match="OWNER_MAX_STORED_MB allows 1 MiB"):
        shelf.video("a", 101)
    assert shelf.stored("a") == MIB - 100
    last = shelf.video("a", 100)
    shelf.video("b", 100)
    assert shelf.stored("a") == MIB
    # And so is a job over one that there is, since its result would be beyond the limit
    with pytest.raises(QuotaExceeded, match=r"there are already 1\.0"):
        created(shelf.store, shelf.job(last))


def test_of_50_uploads_at_once_as_many_are_counted_as_are_allowed(shelf: Shelf) -> None:
    def is_accepted(_number: int) -> bool:
        try:
            shelf.video("a", MIB // 7)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(50) as clients:
        assert sum(clients.map(is_accepted, range(50))) == 7
    assert shelf.stored("a") == MIB // 7 * 7


def test_after_a_loss_of_redis_storage_tells_what_there_is(shelf: Shelf, redis_client: Any) -> None:
    # Given two owners with videos and results, of which a job was deleted
    first, second = shelf.video("a", 1000), shelf.video("b", 70_000)
    _, result_bytes = shelf.completed(first, 500)
    gone, _ = shelf.completed(first, 600)
    delete_job(shelf.storage, shelf.admin, gone)
    shelf.completed(second, 700)
    before = shelf.admin.stored()
    assert shelf.stored("a") == 1000 + result_bytes
    # When Redis is emptied, and its records are rebuilt and what there is is counted
    redis_client.flushall()
    Recovery(shelf.store, shelf.admin, shelf.storage).rebuild()
    assert not shelf.admin.is_counted()
    count_stored(shelf.storage, shelf.admin)
    # Then it is as it was
    assert shelf.admin.is_counted()
    assert shelf.admin.stored() == before
    assert shelf.stored("a") == 1000 + result_bytes


def test_a_count_corrects_what_crashes_left_wrong(shelf: Shelf) -> None:
    video = shelf.video("a", 1000)
    before = shelf.admin.stored()
    # Given a video that is counted wrongly, one that is not counted, and one that is no more
    other = shelf.video("a", 300)
    shelf.admin.set_stored("a", video.video_id, 7)
    shelf.admin.set_stored("a", other.video_id, 0)
    shelf.admin.set_stored("a", keys.new_id("vid"), 5_000)
    # When it is counted anew
    count_stored(shelf.storage, shelf.admin)
    # Then all is right
    assert shelf.admin.stored() == {"a": {**before["a"], other.video_id: 300}}
    assert shelf.stored("a") == 1300


def test_what_is_deleted_during_a_count_does_not_come_back(shelf: Shelf) -> None:
    """The listing was made before."""
    video = shelf.video("a", 1000)
    shelf.admin.set_stored("a", video.video_id, 0)  # as after a loss
    first, second = shelf.admin.begin_count(), shelf.admin.begin_count()
    shelf.admin.set_reconciled(shelf.admin.run_id())
    delete_video(shelf.storage, shelf.admin, video)
    # Not for the other count either, when one has ended
    for count in (first, second):
        shelf.admin.add_stored("a", {video.video_id: 1000})
        assert shelf.stored("a") == 0
        shelf.admin.end_count(count)
    assert shelf.admin.stored() == {"a": {}}


def test_a_count_corrects_nothing_that_has_changed_since(shelf: Shelf) -> None:
    video = shelf.video("a", 1000)
    shelf.admin.correct_stored("a", video.video_id, 1000, instead_of=7)
    shelf.admin.set_stored("a", video.video_id, 0)
    shelf.admin.correct_stored("a", video.video_id, 1000, instead_of=1000)
    assert shelf.stored("a") == 0
    assert shelf.admin.stored() == {"a": {}}


def test_a_damaged_record_hides_no_others_from_a_count(shelf: Shelf, redis_client: Any) -> None:
    # Given two finished jobs, of which one has a damaged record in Redis, and the other one in storage
    video = shelf.video("a", 1000)
    in_redis, _ = shelf.completed(video, 500)
    in_storage, _ = shelf.completed(video, 600)
    before = shelf.admin.stored()
    redis_client.hset(f"{keys.REDIS_PREFIX}job:{in_redis.job_id}", "record", "{")
    shelf.storage.delete(keys.done_job(in_storage.job_id))
    put_bytes(shelf.storage, keys.done_job(in_storage.job_id), b"{", content_type="application/json")
    for one in list(before["a"]):
        shelf.admin.set_stored("a", one, 0)
    # When it is counted anew
    count_stored(shelf.storage, shelf.admin)
    # Then each is counted by the record that it still has
    assert shelf.admin.stored() == before


def test_a_deletion_that_fails_half_way_frees_the_bytes(shelf: Shelf) -> None:
    """The file has no record then, and the garbage collector removes it as no one's."""
    video = shelf.video("a", 1000)
    shelf.admin.set_reconciled(shelf.admin.run_id())
    with pytest.raises(StorageUnavailable):
        delete_video(cast(Any, _Undeletable(shelf.storage, video.key)), shelf.admin, video)
    assert shelf.stored("a") == 0


class _Undeletable:
    """The storage, which fails to delete one file."""

    def __init__(self, storage: LocalStorage, key: str) -> None:
        self._storage, self._key = storage, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def delete(self, key: str) -> bool:
        if key == self._key:
            raise StorageUnavailable("it does not respond")
        return self._storage.delete(key)


def test_a_redis_that_was_set_back_is_counted_anew(shelf: Shelf) -> None:
    # Given a video that Redis has forgotten, and no job
    shelf.video("a", 1000)
    lost = shelf.video("a", 5000)
    shelf.admin.end_count(shelf.admin.begin_count())
    shelf.admin.set_stored("a", lost.video_id, 0)
    # When its records are compared with storage, then what there is is counted too
    assert not Recovery(shelf.store, shelf.admin, shelf.storage).rebuild().finished
    assert not shelf.admin.is_counted()
    count_stored(shelf.storage, shelf.admin)
    assert shelf.stored("a") == 6000


def test_retention_lowers_what_is_stored(shelf: Shelf, make_settings: Any) -> None:
    # Given a video and a result, older than they are kept
    video = shelf.video("a", 1000)
    job, _ = shelf.completed(video, 500)
    other = shelf.video("b", 70)
    shelf.admin.set_reconciled(shelf.admin.run_id())
    aged = cast(Any, _Aged(shelf.storage, {job.job_id: 7, video.video_id: 30}))
    # When a garbage collector expires the result, and then the video too
    GarbageCollector(aged, shelf.admin, make_settings(RESULT_TTL_HOURS="6")).sweep()
    assert shelf.stored("a") == 1000
    GarbageCollector(aged, shelf.admin, make_settings(UPLOAD_TTL_HOURS="24")).sweep()
    # Then nothing is left of its owner, and all of the other
    assert shelf.stored("a") == 0
    assert shelf.stored("b") == other.size_bytes
    # And a count finds the same, though the marker of the expired result is still there
    assert shelf.storage.exists(keys.expired_result(job.job_id))
    before = shelf.admin.stored()
    count_stored(shelf.storage, shelf.admin)
    assert shelf.admin.stored() == before


class _Aged:
    """The storage, in which files whose keys have these ids are so many hours older."""

    def __init__(self, storage: LocalStorage, hours: dict[str, float]) -> None:
        self._storage, self._hours = storage, hours

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def list(self, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
        for blob in self._storage.list(prefix, after=after):
            yield self._aged(blob)

    def info(self, key: str) -> BlobInfo:
        return self._aged(self._storage.info(key))

    def _aged(self, blob: BlobInfo) -> BlobInfo:
        older = 3600 * self._hours.get(str(keys.id_in(blob.key)), 0)
        return replace(blob, age_seconds=blob.age_seconds + older)


def test_the_janitor_counts_once_after_a_loss(
    shelf: Shelf, make_settings: Any, redis_url: str, redis_client: Any
) -> None:
    # Given what an owner has stored, and an empty Redis
    shelf.completed(shelf.video("a", 1000), 500)
    before = shelf.stored("a")
    redis_client.flushall()
    ctx = WorkerContext(
        settings=make_settings(),
        storage=shelf.storage,
        storage_id=shelf.storage.prepare(),
        store=shelf.store,
        admin=shelf.admin,
        leases=LeaseRenewer(shelf.store),
        notify_workers=noting([]),
    )
    janitor = Janitor(ctx, UploadLocks(RedisDatabase(redis_url)))
    # When the janitor has looked a few times, then it has rebuilt the records, and counted
    for _ in range(3):
        janitor.run_once()
    assert shelf.admin.is_counted()
    assert shelf.stored("a") == before
