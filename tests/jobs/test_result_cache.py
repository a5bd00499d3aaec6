"""Reuse: what Redis knows of alike results, and a worker that gives one to the job that it has claimed."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes, put_json, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.jobs import durable_records, result_cache
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.models.records import EVERYONE, ErrorCode, Status
from clipzy_storage.models.result_cache_key import result_cache_key
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing import analyse as processing_analyse
from clipzy_worker.processing import attempt
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.processing.scratch import OUT
from tests.support.finished_jobs import ARTIFACTS, SOURCE_SHA256, accepted, completed, files_of, found_in, result_of
from tests.support.jobs import new_job

UPLOAD = {"filename", "size_bytes", "sha256"}  # what is known of footage before it is analysed
DEFAULTS = {"sprites": True, "shots": {"sensitivity": 3}, "analyses": ["style", "color", "motion", "audio", "audio"]}


@pytest.fixture
def upkeep(redis_url: str) -> JobAdmin:
    found = JobAdmin(RedisDatabase(redis_url))
    found.set_reconciled(found.server_run())
    return found


@pytest.fixture
def work(make_settings: Any, storage: LocalStorage, jobs: JobStore, upkeep: JobAdmin) -> Callable[[str], str]:
    """A worker's way with one job. There is no footage: what it has to analyse it does not find."""
    settings: Settings = make_settings()
    place = WorkerContext(
        settings=settings,
        storage=storage,
        storage_id=storage.prepare(),
        jobs=jobs,
        upkeep=upkeep,
        leases=LeaseRenewer(jobs),
        hint=lambda _: None,
    )
    return lambda job_id: attempt.run(place, job_id)


def test_a_worker_gives_a_job_what_an_earlier_one_has_found(
    jobs: JobStore, storage: LocalStorage, work: Callable[[str], str]
) -> None:
    # Given a finished job, and one that asks for the same in other words
    first = completed(jobs, storage)
    second = accepted(jobs, storage, config=DEFAULTS, filename="beach.mp4")
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
    third = accepted(jobs, storage)
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
    jobs: JobStore, storage: LocalStorage, work: Callable[[str], str], changes: dict[str, Any]
) -> None:
    completed(jobs, storage)
    job = accepted(jobs, storage, **changes)
    assert work(job.job_id).startswith("released")
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]


def test_a_job_that_wants_no_reuse_can_be_reused(
    jobs: JobStore, storage: LocalStorage, work: Callable[[str], str]
) -> None:
    first = completed(jobs, storage, config={"reuse": False})
    second = accepted(jobs, storage)
    assert work(second.job_id) == "completed"
    assert result_of(storage, second.job_id)["reused_from"] == first.job_id


@pytest.mark.parametrize("version", ["0", ""])
def test_results_of_another_pipeline_are_not_reused(
    jobs: JobStore, storage: LocalStorage, work: Callable[[str], str], version: str
) -> None:
    completed(jobs, storage, version=version)
    assert work(accepted(jobs, storage).job_id).startswith("released")


def spoil(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


SPOILT: dict[str, Callable[[LocalStorage, str], object]] = {
    "a picture is gone": lambda storage, job_id: storage.delete(_picture(storage, job_id)),
    "a picture is damaged": lambda storage, job_id: spoil(Path(storage.place) / _picture(storage, job_id)),
    "the index is gone": lambda storage, job_id: storage.delete(keys.result_index(job_id)),
    "the index is damaged": lambda storage, job_id: spoil(Path(storage.place) / keys.result_index(job_id)),
    "the record is gone": lambda storage, job_id: storage.delete(keys.done_job(job_id)),
    "the record is damaged": lambda storage, job_id: spoil(Path(storage.place) / keys.done_job(job_id)),
    "the index is another's": lambda storage, job_id: _exchange(storage, job_id),
}


def _picture(storage: LocalStorage, job_id: str) -> str:
    return str(result_of(storage, job_id)["artifacts"][-1]["key"])


def _exchange(storage: LocalStorage, job_id: str) -> None:
    """Put the index of another job in its place, whose files are all there."""
    (other,) = {blob.key.split("/")[1] for blob in storage.list("results/")} - {job_id}
    path = Path(storage.place) / keys.result_index(job_id)
    path.chmod(0o644)
    path.write_bytes((Path(storage.place) / keys.result_index(other)).read_bytes())


@pytest.mark.parametrize("case", SPOILT)
def test_a_result_that_is_not_whole_is_left_alone(
    jobs: JobStore, storage: LocalStorage, work: Callable[[str], str], case: str
) -> None:
    # Given a result that lost something, beside another job's
    completed(jobs, storage, config={"sprites": False})
    first = completed(jobs, storage)
    SPOILT[case](storage, first.job_id)
    before = files_of(storage, first.job_id)
    # When a job asks for the same
    second = accepted(jobs, storage)
    # Then the footage is looked for, and nothing of the try is left, nor has the other been touched
    assert work(second.job_id).startswith("released")
    assert files_of(storage, second.job_id) == [keys.open_job(second.job_id)]
    assert files_of(storage, first.job_id) == before


def test_what_was_copied_in_vain_does_not_stand_in_the_way(
    jobs: JobStore, storage: LocalStorage, work: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An analysis writes files of the same names into the same folder."""
    # Given a result of which the last picture is gone, and footage from which the same pictures can be made
    first = completed(jobs, storage)
    storage.delete(_picture(storage, first.job_id))
    source = put_bytes(storage, keys.upload(keys.new_id("vid"), "mp4"), b"footage", content_type="video/mp4")
    job = accepted(jobs, storage, source_key=source.key, source_size_bytes=source.size_bytes)

    def analyse(_settings: object, _job: object, _source: object, folder: Path, **_: object) -> dict[str, Any]:
        for name, data in ARTIFACTS.items():
            path = folder / OUT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        about = {"kind": "poster", "content_type": "image/jpeg"}
        found = {name: found_there[name] for name in ("shots", "timings", "warnings")}
        return found | {
            "source": {name: value for name, value in found_there["source"].items() if name not in UPLOAD},
            "artifacts": [about | {"file": name} for name in ARTIFACTS],
        }

    found_there = json.loads(read_bytes(storage, keys.result_index(first.job_id)))
    monkeypatch.setattr(processing_analyse, "run_stages", analyse)
    # When a worker takes the job, then it analyses the footage
    assert work(job.job_id) == "completed"
    assert result_of(storage, job.job_id)["reused_from"] is None


def test_an_older_result_is_taken_where_the_latest_is_gone(
    jobs: JobStore, storage: LocalStorage, work: Callable[[str], str]
) -> None:
    older, latest = completed(jobs, storage), completed(jobs, storage, config={"reuse": False})
    storage.delete(keys.result_index(latest.job_id))
    job = accepted(jobs, storage)
    assert work(job.job_id) == "completed"
    assert result_of(storage, job.job_id)["reused_from"] == older.job_id


def test_a_failed_job_is_never_reused(jobs: JobStore, storage: LocalStorage, work: Callable[[str], str]) -> None:
    failing = accepted(jobs, storage)
    claim = jobs.claim(failing.job_id, nonce="a", storage_id=failing.storage_id)
    assert claim
    assert jobs.fail(failing.job_id, claim.token, ErrorCode.INVALID_MEDIA, "no video in it")
    decided = jobs.decided(failing.job_id, claim.token)
    assert decided
    assert jobs.finish(durable_records.write_done_job(storage, decided.job), claim.token)
    assert jobs.find_cached(result_cache_key(failing)) == []
    assert work(accepted(jobs, storage).job_id).startswith("released")


def test_copying_stops_where_the_job_is_wanted_no_more(jobs: JobStore, storage: LocalStorage) -> None:
    # Given a job that is cancelled while the first of many files is copied
    earlier = result_cache.find_earlier(jobs, storage, accepted(jobs, storage)) if completed(jobs, storage) else None
    assert earlier
    job = accepted(jobs, storage)

    def unwanted() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        result_cache.copy_result(
            storage, earlier, job, prefix=f"results/{job.job_id}/attempts/1-a/", on_progress=unwanted
        )
    # Then there is no index of it
    assert not [key for key in files_of(storage, job.job_id) if key.endswith("output.json")]


def test_a_worker_works_where_storage_gives_trouble_over_reuse(
    jobs: JobStore, storage: LocalStorage, work: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StorageUnavailable("no copies today")

    completed(jobs, storage)
    job = accepted(jobs, storage)
    monkeypatch.setattr(LocalStorage, "copy", fail)
    assert work(job.job_id) == "released: transient"  # the footage is not there, which it went to look for
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]


# what Redis knows of alike results


def test_the_latest_are_known_first_and_not_too_many(jobs: JobStore, storage: LocalStorage) -> None:
    ended = [completed(jobs, storage, pictures={}, config={"reuse": False}) for _ in range(10)]
    known = jobs.find_cached(result_cache_key(ended[0]))
    by_end = sorted(ended, key=lambda job: (job.finished_at, job.job_id), reverse=True)
    assert known == [job.job_id for job in by_end[:8]]


@pytest.mark.parametrize("way", ["forgotten", "expired", "pruned"])
def test_what_is_gone_is_known_no_more(
    jobs: JobStore, storage: LocalStorage, upkeep: JobAdmin, redis_client: Any, way: str
) -> None:
    job = completed(jobs, storage)
    recipe = result_cache_key(job)
    assert jobs.find_cached(recipe) == [job.job_id]
    match way:
        case "forgotten":
            upkeep.forget(job.job_id, while_it_is="final")
        case "expired":
            upkeep.expire(job.job_id)
        case "pruned":
            upkeep.prune(older_than_seconds=-1)
    assert jobs.find_cached(recipe) == []
    assert not redis_client.keys("*recipe*")


def test_a_redis_that_was_lost_learns_of_alike_results_again(
    jobs: JobStore, storage: LocalStorage, upkeep: JobAdmin, redis_client: Any
) -> None:
    # Given a result, one that has expired, and a Redis that has lost everything
    kept, expired = completed(jobs, storage), completed(jobs, storage, config={"sprites": False})
    put_json(storage, keys.expired_result(expired.job_id), {"job_id": expired.job_id})
    redis_client.flushall()
    # When it is compared with storage, also twice
    for _ in range(2):
        Recovery(jobs, upkeep, storage).rebuild()
        # Then it knows of the result, and what made it
        assert jobs.find_cached(result_cache_key(kept)) == [kept.job_id]
        assert jobs.find_cached(result_cache_key(expired)) == []
        assert jobs.get(kept.job_id, owner=EVERYONE).pipeline_version == kept.pipeline_version


def test_a_recipe_is_of_all_that_a_result_is_made_of() -> None:
    job = new_job(source_sha256=SOURCE_SHA256)
    find_cached = [
        new_job(source_sha256=SOURCE_SHA256, filename="other.mp4", created_at=datetime.now(UTC) + timedelta(days=1)),
        new_job(source_sha256=SOURCE_SHA256, config=DEFAULTS),
        new_job(source_sha256=SOURCE_SHA256, config={"reuse": False}),
    ]
    assert {result_cache_key(one) for one in find_cached} == {result_cache_key(job)}
    assert result_cache_key(job, pipeline_version="another") != result_cache_key(job)
    assert result_cache_key(job, pipeline_version=None) == ""


def test_the_pictures_are_files_of_their_own(jobs: JobStore, storage: LocalStorage, work: Callable[[str], str]) -> None:
    # Given a job with the result of another
    first, second = completed(jobs, storage), accepted(jobs, storage)
    work(second.job_id)
    # When the other is deleted
    for key in files_of(storage, first.job_id):
        storage.delete(key)
    # Then nothing is missing
    assert len(result_of(storage, second.job_id)["artifacts"]) == len(ARTIFACTS)
