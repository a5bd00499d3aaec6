"""What is garbage is deleted once it is old enough; what may be needed stays, whatever it looks like."""

from collections.abc import Callable
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.maintenance.garbage_collector import MAX_STORAGE_ERRORS
from clipzy_storage.maintenance.retention_rules import Kind
from clipzy_storage.models.records import Status
from tests.maintenance.conftest import NewCollector
from tests.support.aged_storage import AgedStorage


def _upload_without_record(aged: AgedStorage, hours: float) -> set[str]:
    return {aged.put(keys.upload(keys.new_id("vid"), "mp4"), hours=hours)}


def _result_without_job(aged: AgedStorage, hours: float) -> set[str]:
    job_id = keys.new_id("job")
    index = aged.attempt(job_id, hours=hours + 30)
    aged.put(keys.expired_result(job_id), hours=hours + 30)
    aged.put(keys.result_index(job_id), index, hours=hours)  # the youngest counts
    return {key for key in aged.stored() if key.startswith(keys.result_prefix(job_id))}


def _unused_attempt(aged: AgedStorage, hours: float) -> set[str]:
    job = aged.completed_job(hours=100, attempt="2-bbbb")
    for name in ("1-aaaa", "2-bbbc"):
        aged.attempt(job.job_id, name, hours=hours)
    aged.put(f"results/{job.job_id}/attempts/3-cccc/poster.jpg", hours=0.5)  # still being written
    prefixes = [f"results/{job.job_id}/attempts/{name}/" for name in ("1-aaaa", "2-bbbc")]
    return {key for key in aged.stored() if key.startswith(tuple(prefixes))}


def _attempt_of_failed(aged: AgedStorage, hours: float) -> set[str]:
    job = aged.done_job(Status.FAILED, hours=100)
    aged.attempt(job.job_id, hours=hours)
    return {key for key in aged.stored() if key.startswith(keys.result_prefix(job.job_id))}


def _result_of_cancelled(aged: AgedStorage, hours: float) -> set[str]:
    job = aged.done_job(Status.CANCELLED, hours=hours - 0.2)
    aged.put(keys.result_index(job.job_id), aged.attempt(job.job_id, hours=hours), hours=hours)
    return {key for key in aged.stored() if key.startswith(keys.result_prefix(job.job_id))}


def _idle_cancellation(aged: AgedStorage, hours: float) -> set[str]:
    return {aged.cancellation_request(keys.new_id("job"), hours=hours)}


def _deliveries_without_job(aged: AgedStorage, hours: float) -> set[str]:
    return {aged.put(keys.deliveries(keys.new_id("job")), hours=hours)}


def _segments_without_job(aged: AgedStorage, hours: float) -> set[str]:
    return aged.segments(keys.new_id("job"), hours=hours)


def _segments_of_ended(aged: AgedStorage, hours: float) -> set[str]:
    return aged.segments(aged.done_job(Status.CANCELLED, hours=hours).job_id, hours=hours)


CASES = {
    Kind.SEGMENTS_OF_ENDED_JOB: [(_segments_without_job, 1), (_segments_of_ended, 1)],
    Kind.DELIVERIES_WITHOUT_JOB: [(_deliveries_without_job, 24)],
    Kind.UPLOAD_WITHOUT_RECORD: [(_upload_without_record, 24)],
    Kind.RESULT_WITHOUT_JOB: [(_result_without_job, 24)],
    Kind.UNUSED_ATTEMPT: [(_unused_attempt, 1)],
    Kind.RESULT_OF_UNCOMPLETED: [(_attempt_of_failed, 1), (_result_of_cancelled, 1)],
    Kind.IDLE_CANCELLATION: [(_idle_cancellation, 1)],
}


def _in_use(aged: AgedStorage) -> None:
    """What a healthy service has: none of it is ever garbage."""
    aged.upload(hours=1000)
    aged.put(keys.deliveries(aged.completed_job(hours=1000).job_id), hours=1000)
    aged.done_job(Status.FAILED, hours=1000)
    aged.done_job(Status.CANCELLED, hours=1000)
    running = aged.open_job(hours=1000)
    aged.attempt(running.job_id, hours=1000)
    aged.cancellation_request(running.job_id, hours=1000)
    aged.segments(running.job_id, hours=1000)


@pytest.mark.parametrize("kind", CASES)
def test_garbage_is_deleted_and_nothing_else(aged: AgedStorage, new_collector: NewCollector, kind: Kind) -> None:
    # Given what is in use, and garbage of one kind: some that is just old enough, some that is not
    _in_use(aged)
    old, young = set(), set()
    for make, hours in CASES[kind]:
        old |= make(aged, hours + 0.1)
        young |= make(aged, hours - 0.1)
    before = aged.stored()

    # When there are two passes
    first, second = new_collector().sweep(), new_collector().sweep()

    # Then the old was deleted, and is counted
    assert set(before) - set(aged.stored()) == old
    twice = (Kind.UNUSED_ATTEMPT, Kind.RESULT_OF_UNCOMPLETED, Kind.SEGMENTS_OF_ENDED_JOB)
    count = 2 if kind in twice else 1
    assert (first, second) == ({kind: count}, {})


def test_a_finished_job_is_not_open(aged: AgedStorage, new_collector: NewCollector, logged: list[Any]) -> None:
    # Given jobs whose workers died after they wrote the done records: the open records are still there
    _in_use(aged)
    completed = aged.completed_job(job=aged.open_job())
    failed = aged.done_job(Status.FAILED, job=aged.open_job())
    before = aged.stored()

    # When there is a pass
    removed = new_collector().sweep()

    # Then they are deleted, and it is logged
    assert set(before) - set(aged.stored()) == {keys.open_job(completed.job_id), keys.open_job(failed.job_id)}
    assert removed == {Kind.FINISHED_JOB: 2}
    assert {"event": "garbage.removed", "log_level": "info", "kind": "finished_job", "count": 2} in logged


def _done(aged: AgedStorage) -> str:
    job = aged.open_job()
    for name in ("1-aaaa", "2-bbbb"):
        aged.attempt(job.job_id, name, hours=100)
    return aged.put(keys.done_job(job.job_id), b"{", hours=100)


def _later(aged: AgedStorage) -> str:
    job_id = keys.new_id("job")
    aged.attempt(job_id, hours=100)
    return aged.put(keys.done_job(job_id), b'{"schema_version": 99}', hours=100)


def _index(aged: AgedStorage) -> str:
    job = aged.done_job(Status.COMPLETED, hours=20)
    for name in ("1-aaaa", "2-bbbb"):
        aged.attempt(job.job_id, name, hours=20)
    return aged.put(keys.result_index(job.job_id), b"{", hours=20)


def _empty_index(aged: AgedStorage) -> str:
    job = aged.done_job(Status.COMPLETED, hours=20)
    for name in ("1-aaaa", "2-bbbb"):
        aged.attempt(job.job_id, name, hours=20)
    return aged.put(keys.result_index(job.job_id), b'{"artifacts": []}', hours=20)


def _lost_index(aged: AgedStorage) -> str:
    job = aged.done_job(Status.COMPLETED, hours=20)
    aged.attempt(job.job_id, hours=20)
    return keys.done_job(job.job_id)


def _video(aged: AgedStorage) -> str:
    video_id = keys.new_id("vid")
    aged.put(keys.upload(video_id, "mp4"), hours=100)
    return aged.put(keys.video_record(video_id), b"[]", hours=100)


def _open(aged: AgedStorage) -> str:
    """It may be about any of the uploads."""
    aged.upload(hours=100)
    aged.put(keys.upload(keys.new_id("vid"), "mp4"), hours=100)
    return aged.put(keys.open_job(keys.new_id("job")), b"", hours=100)


def _foreign(aged: AgedStorage) -> str:
    for key in ("results/holidays/clip.mp4", "uploads/mine/clip.mp4", "jobs/open/x.json", "jobs/cancel/x.json"):
        aged.put(key, hours=1000)
    return "results/holidays/clip.mp4"


@pytest.mark.parametrize("make", [_done, _later, _index, _empty_index, _lost_index, _video, _open, _foreign])
def test_what_is_damaged_or_foreign_is_no_garbage(
    aged: AgedStorage, new_collector: NewCollector, make: Callable[[AgedStorage], str], logged: list[Any]
) -> None:
    # Given a record that is damaged, of a later version or lost, or foreign files, all old, and real garbage
    key = make(aged)
    before = aged.stored()
    idle = _idle_cancellation(aged, 2)

    # When there is a pass, and results and uploads expire
    removed = new_collector(RESULT_TTL_HOURS="50", UPLOAD_TTL_HOURS="50").sweep()

    # Then only the garbage was deleted, and what is damaged is named
    assert aged.stored() == before
    assert not idle & set(before)
    assert removed == {Kind.IDLE_CANCELLATION: 1}
    if make not in (_empty_index, _lost_index, _foreign):
        parts = key.split("/")
        assert any(parts[1] in str(line) or parts[-1].removesuffix(".json") in str(line) for line in logged)


def test_a_job_that_finishes_during_the_listing_is_refreshed(aged: AgedStorage, new_collector: NewCollector) -> None:
    """Without the refresh the result of a job is deleted whose record moved between two listings."""
    # Given a completed job whose done record the listing misses
    job = aged.completed_job(hours=100)
    before = aged.stored()
    aged.miss_once(keys.done_job(job.job_id))

    # Then it is found by the refresh, and nothing is deleted
    assert new_collector().sweep() == {}
    assert aged.stored() == before


def test_an_upload_whose_record_is_written_during_the_listing_is_refreshed(
    aged: AgedStorage, new_collector: NewCollector
) -> None:
    """Without the refresh an upload is deleted whose record was written after it was listed."""
    # Given an upload whose record the listing misses
    video = aged.upload(hours=100)
    before = aged.stored()
    aged.miss_once(keys.video_record(video.video_id))

    # Then nothing is deleted
    assert new_collector().sweep() == {}
    assert aged.stored() == before


def test_an_error_at_one_file_does_not_keep_the_others(aged: AgedStorage, new_collector: NewCollector) -> None:
    # Given much garbage, the first of which cannot be deleted; the error is injected, since root may delete all
    first = sorted(_idle_cancellation(aged, 2))[0]
    others = {key for _ in range(3) for key in _idle_cancellation(aged, 2)}
    refused = {first}

    def refuse(key: str) -> None:
        if key in refused:
            raise StorageUnavailable("the storage does not answer: Permission denied")

    aged.before_each_delete(refuse)

    # When there is a pass
    removed = new_collector().sweep()

    # Then the others were deleted
    assert removed == {Kind.IDLE_CANCELLATION: 3}
    assert aged.stored() == [first]

    # And if everything is refused, the pass gives up
    refused |= {key for _ in range(MAX_STORAGE_ERRORS) for key in _idle_cancellation(aged, 2)}
    with pytest.raises(StorageUnavailable):
        new_collector().sweep()
    assert not others & set(aged.stored())
