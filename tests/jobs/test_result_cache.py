"""Reuse: what Redis knows of alike results, and a worker that gives one to the job that it has claimed."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, put_bytes, put_json
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.jobs import durable_records, result_cache
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.models.records import EVERYONE, ErrorCode, Status
from clipzy_storage.models.result_cache_key import result_cache_key
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing import attempt
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from tests.support.finished_jobs import ARTIFACTS, SOURCE_SHA256, accepted, completed, files_of, found_in, result_of
from tests.support.jobs import attempt_at, new_job, noting

DEFAULTS = {"sprites": True, "shots": {"sensitivity": 3}, "analyses": ["style", "color", "motion", "audio", "audio"]}


@pytest.fixture
def admin(redis_url: str) -> JobAdmin:
    found = JobAdmin(RedisDatabase(redis_url))
    found.set_reconciled(found.run_id())
    return found


@pytest.fixture
def new_worker(make_settings: Any, store: JobStore, admin: JobAdmin) -> Callable[[LocalStorage], Callable[[str], str]]:
    """What a worker on this storage does with one job."""

    def make(storage: LocalStorage) -> Callable[[str], str]:
        ctx = WorkerContext(
            settings=make_settings(),
            storage=storage,
            storage_id=storage.prepare(),
            store=store,
            admin=admin,
            leases=LeaseRenewer(store),
            notify_workers=noting([]),
        )
        return lambda job_id: attempt.run(ctx, job_id)

    return make


@pytest.fixture
def work(new_worker: Callable[[LocalStorage], Callable[[str], str]], storage: LocalStorage) -> Callable[[str], str]:
    """There is no video in the storage, unless a test puts one there: a job that must be analysed is released."""
    return new_worker(storage)


def test_a_worker_gives_a_job_what_an_earlier_one_has_found(
    store: JobStore, storage: LocalStorage, work: Callable[[str], str]
) -> None:
    # Given a finished job, and one that asks for the same in other words
    first = completed(store, storage)
    second = accepted(store, storage, config=DEFAULTS, filename="beach.mp4")
    # When a worker claims it
    assert work(second.job_id) == "completed"
    # Then it has the same result, as its own, and says whose it was
    one, other = result_of(storage, first.job_id), result_of(storage, second.job_id)
    assert found_in(one) == found_in(other)
    assert other["source"]["filename"] == "beach.mp4"
    assert (other["job_id"], other["video_id"]) == (second.job_id, second.video_id)
    assert (one["reused_from"], other["reused_from"]) == (None, first.job_id)
    # And it came to its end as any other
    done = durable_records.read_done(storage, second.job_id)
    assert (done.status, done.attempt, done.pipeline_version) == (Status.COMPLETED, 1, first.pipeline_version)
    assert not storage.exists(keys.open_job(second.job_id))
    # And a third names the one that has analysed the footage, although the second is given to it
    third = accepted(store, storage)
    assert work(third.job_id) == "completed"
    assert result_of(storage, third.job_id)["reused_from"] == first.job_id


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"reuse": False}},
        {"config": {"sprites": False}},
        {"config": {"shots": {"sensitivity": 4}}},
        {"config": {"analyses": ["audio"]}},
        {"config": {"of a later version": 1}},
        {"source_sha256": hashlib.sha256(b"other footage").hexdigest()},
        {"owner": "somebody"},
    ],
    ids=str,
)
def test_what_is_not_alike_is_worked_on(
    store: JobStore, storage: LocalStorage, work: Callable[[str], str], changes: dict[str, Any]
) -> None:
    completed(store, storage)
    job = accepted(store, storage, **changes)
    assert work(job.job_id).startswith("released")
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]


def test_a_job_that_wants_no_reuse_can_be_reused(
    store: JobStore, storage: LocalStorage, work: Callable[[str], str]
) -> None:
    first = completed(store, storage, config={"reuse": False})
    second = accepted(store, storage)
    assert work(second.job_id) == "completed"
    assert result_of(storage, second.job_id)["reused_from"] == first.job_id


@pytest.mark.parametrize("version", ["0", ""])
def test_results_of_another_pipeline_are_not_reused(
    store: JobStore, storage: LocalStorage, work: Callable[[str], str], version: str
) -> None:
    completed(store, storage, version=version)
    assert work(accepted(store, storage).job_id).startswith("released")


def spoil(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


SPOILT: dict[str, Callable[[LocalStorage, str], object]] = {
    "a picture is gone": lambda storage, job_id: storage.delete(_picture(storage, job_id)),
    "a picture is damaged": lambda storage, job_id: spoil(Path(storage.location) / _picture(storage, job_id)),
    "the index is gone": lambda storage, job_id: storage.delete(keys.result_index(job_id)),
    "the index is damaged": lambda storage, job_id: spoil(Path(storage.location) / keys.result_index(job_id)),
    "the record is gone": lambda storage, job_id: storage.delete(keys.done_job(job_id)),
    "the record is damaged": lambda storage, job_id: spoil(Path(storage.location) / keys.done_job(job_id)),
    "the index is another's": lambda storage, job_id: _exchange(storage, job_id),
    "the index lists a picture of another": lambda storage, job_id: _borrow(storage, job_id),
}


def _picture(storage: LocalStorage, job_id: str) -> str:
    return str(result_of(storage, job_id)["artifacts"][-1]["key"])


def _exchange(storage: LocalStorage, job_id: str) -> None:
    """Put the index of another job in its place, whose files are all there."""
    _rewrite_index(storage, job_id, result_of(storage, _other(storage, job_id)))


def _borrow(storage: LocalStorage, job_id: str) -> None:
    """List the same picture of another job, which is there, in place of its last one."""
    index = result_of(storage, job_id)
    index["artifacts"][-1]["key"] = _picture(storage, _other(storage, job_id))
    _rewrite_index(storage, job_id, index)


def _other(storage: LocalStorage, job_id: str) -> str:
    (other,) = {blob.key.split("/")[1] for blob in storage.list("results/")} - {job_id}
    return other


def _rewrite_index(storage: LocalStorage, job_id: str, index: dict[str, Any]) -> None:
    path = Path(storage.location) / keys.result_index(job_id)
    path.chmod(0o644)
    path.write_text(json.dumps(index))


@pytest.mark.parametrize("case", SPOILT)
def test_a_result_that_is_not_whole_is_left_alone(
    store: JobStore, storage: LocalStorage, work: Callable[[str], str], case: str
) -> None:
    # Given a result that lost something, beside another job's
    completed(store, storage, config={"sprites": False})
    first = completed(store, storage)
    SPOILT[case](storage, first.job_id)
    before = files_of(storage, first.job_id)
    # When a job asks for the same
    second = accepted(store, storage)
    # Then the footage is looked for, and nothing of the try is left, nor has the other been touched
    assert work(second.job_id).startswith("released")
    assert files_of(storage, second.job_id) == [keys.open_job(second.job_id)]
    assert files_of(storage, first.job_id) == before


def test_what_was_copied_in_vain_does_not_stand_in_the_way(
    store: JobStore, storage: LocalStorage, work: Callable[[str], str], clip: Path
) -> None:
    """An analysis writes files of the same names under the same prefix."""
    # Given a result of which one image is missing, and the video from which the other can be made
    video = clip.read_bytes()
    about: dict[str, Any] = {"source_sha256": hashlib.sha256(video).hexdigest(), "config": {"analyses": []}}
    first = completed(store, storage, pictures={"poster.jpg": b"poster", "missing.jpg": b"gone"}, **about)
    storage.delete(_picture(storage, first.job_id))
    source = put_bytes(storage, keys.upload(keys.new_id("vid"), "mp4"), video, content_type="video/mp4")
    job = accepted(store, storage, source_key=source.key, source_size_bytes=source.size_bytes, **about)
    # When a worker takes the job, then it analyses the video
    assert work(job.job_id) == "completed"
    result = result_of(storage, job.job_id)
    assert result["reused_from"] is None
    assert "poster.jpg" in [artifact["name"] for artifact in result["artifacts"]]


def test_an_older_result_is_taken_where_the_latest_is_gone(
    store: JobStore, storage: LocalStorage, work: Callable[[str], str]
) -> None:
    older, latest = completed(store, storage), completed(store, storage, config={"reuse": False})
    storage.delete(keys.result_index(latest.job_id))
    job = accepted(store, storage)
    assert work(job.job_id) == "completed"
    assert result_of(storage, job.job_id)["reused_from"] == older.job_id


def test_a_failed_job_is_never_reused(store: JobStore, storage: LocalStorage, work: Callable[[str], str]) -> None:
    failing = accepted(store, storage)
    attempt_at(store, storage, failing.job_id).fail(ErrorCode.INVALID_MEDIA, "no video in it")
    assert store.find_cached(result_cache_key(failing)) == []
    assert work(accepted(store, storage).job_id).startswith("released")


def test_a_result_over_the_limit_is_not_reused(store: JobStore, storage: LocalStorage) -> None:
    """The operator may have lowered the limit since."""
    # Given a finished job
    earlier = completed(store, storage)
    job = accepted(store, storage)
    index = result_of(storage, earlier.job_id)
    size_bytes = sum(artifact["size_bytes"] for artifact in index["artifacts"])
    # Then its result is found with a limit for all of its files, and not with less
    found = result_cache.find_cached_result(store, storage, job, max_bytes=size_bytes)
    assert found
    assert (found.job_id, found.size_bytes) == (earlier.job_id, size_bytes)
    assert result_cache.find_cached_result(store, storage, job, max_bytes=size_bytes - 1) is None


def test_copying_stops_where_the_job_is_wanted_no_more(store: JobStore, storage: LocalStorage) -> None:
    # Given a job that is cancelled while the first of many files is copied
    earlier = (
        result_cache.find_cached_result(store, storage, accepted(store, storage), max_bytes=1 << 20)
        if completed(store, storage)
        else None
    )
    assert earlier
    job = accepted(store, storage)

    def unwanted() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        result_cache.copy_result(
            storage, earlier, job, prefix=f"results/{job.job_id}/attempts/1-a/", on_progress=unwanted
        )
    # Then there is no index of it
    assert not [key for key in files_of(storage, job.job_id) if key.endswith("output.json")]


class StorageWithoutCopies(LocalStorage):
    """A local storage that fails every copy."""

    def copy(self, key: str, to: str, *, sha256: str) -> BlobInfo:
        raise StorageUnavailable(f"no copy of {key} to {to} ({sha256})")


def test_a_worker_analyses_if_the_storage_fails_to_copy(
    store: JobStore, storage: LocalStorage, new_worker: Callable[[LocalStorage], Callable[[str], str]]
) -> None:
    completed(store, storage)
    job = accepted(store, storage)
    work = new_worker(StorageWithoutCopies(Path(storage.location), shared=False))
    assert work(job.job_id) == "released: transient"  # the video that it went on to analyse is missing
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]


# what Redis knows of alike results


def test_the_latest_are_known_first_and_not_too_many(store: JobStore, storage: LocalStorage) -> None:
    ended = [completed(store, storage, pictures={}, config={"reuse": False}) for _ in range(10)]
    known = store.find_cached(result_cache_key(ended[0]))
    by_end = sorted(ended, key=lambda job: (job.finished_at, job.job_id), reverse=True)
    assert known == [job.job_id for job in by_end[:8]]


@pytest.mark.parametrize("way", ["forgotten", "expired", "pruned"])
def test_what_is_gone_is_known_no_more(
    store: JobStore, storage: LocalStorage, admin: JobAdmin, redis_client: Any, way: str
) -> None:
    job = completed(store, storage)
    cache_key = result_cache_key(job)
    assert store.find_cached(cache_key) == [job.job_id]
    match way:
        case "forgotten":
            admin.forget(job.job_id, while_it_is="final")
        case "expired":
            admin.expire(job.job_id)
        case "pruned":
            admin.prune(older_than_seconds=-1)
    assert store.find_cached(cache_key) == []
    assert not redis_client.keys("*recipe*")


def test_a_redis_that_was_lost_learns_of_alike_results_again(
    store: JobStore, storage: LocalStorage, admin: JobAdmin, redis_client: Any
) -> None:
    # Given a result, one that has expired, and a Redis that has lost everything
    kept, expired = completed(store, storage), completed(store, storage, config={"sprites": False})
    put_json(storage, keys.expired_result(expired.job_id), {"job_id": expired.job_id})
    redis_client.flushall()
    # When it is compared with storage, also twice
    for _ in range(2):
        Recovery(store, admin, storage).rebuild()
        # Then it knows of the result, and what made it
        assert store.find_cached(result_cache_key(kept)) == [kept.job_id]
        assert store.find_cached(result_cache_key(expired)) == []
        assert store.look_up(kept.job_id, owner=EVERYONE)[0].pipeline_version == kept.pipeline_version


def test_a_cache_key_covers_all_that_a_result_depends_on() -> None:
    job = new_job(source_sha256=SOURCE_SHA256)
    alike = [
        new_job(source_sha256=SOURCE_SHA256, filename="other.mp4", created_at=datetime.now(UTC) + timedelta(days=1)),
        new_job(source_sha256=SOURCE_SHA256, config=DEFAULTS),
        new_job(source_sha256=SOURCE_SHA256, config={"reuse": False}),
    ]
    assert {result_cache_key(one) for one in alike} == {result_cache_key(job)}
    assert result_cache_key(job, pipeline_version="another") != result_cache_key(job)
    assert result_cache_key(job, pipeline_version=None) == ""


@pytest.mark.parametrize("deleted", ["the first", "the second"])
def test_either_outlasts_the_other(
    store: JobStore, storage: LocalStorage, work: Callable[[str], str], deleted: str
) -> None:
    # Given a job with the result of another
    first, second = completed(store, storage), accepted(store, storage)
    work(second.job_id)
    # When one of them is deleted
    gone, left = (first, second) if deleted == "the first" else (second, first)
    for key in files_of(storage, gone.job_id):
        storage.delete(key)
    # Then nothing is missing from the other, and each file counts in full
    artifacts = result_of(storage, left.job_id)["artifacts"]
    assert len(artifacts) == len(ARTIFACTS)
    for artifact in artifacts:
        assert storage.info(artifact["key"]).size_bytes == artifact["size_bytes"]
