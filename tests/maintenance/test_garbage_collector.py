"""What is garbage goes, once it is old enough; what may be needed stays, whatever it looks like."""

import logging
from collections.abc import Callable

import pytest

from clipzy_storage import keys
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.maintenance import garbage_collector as module
from clipzy_storage.maintenance import inventory
from clipzy_storage.maintenance.garbage_collector import MOST_TROUBLES, GarbageCollector
from clipzy_storage.maintenance.inventory import JobInventory
from clipzy_storage.maintenance.retention_rules import Kind
from clipzy_storage.models.records import Status
from tests.support.aged_storage import Shelf

Sweep = Callable[..., GarbageCollector]


def _upload_without_record(shelf: Shelf, hours: float) -> set[str]:
    return {shelf.put(keys.upload(keys.new_id("vid"), "mp4"), hours=hours)}


def _result_without_job(shelf: Shelf, hours: float) -> set[str]:
    job_id = keys.new_id("job")
    index = shelf.attempt(job_id, hours=hours + 30)
    shelf.put(keys.expired_result(job_id), hours=hours + 30)
    shelf.put(keys.result_index(job_id), index, hours=hours)  # the youngest counts
    return {key for key in shelf.stored() if key.startswith(keys.result_prefix(job_id))}


def _unused_attempt(shelf: Shelf, hours: float) -> set[str]:
    job = shelf.completed_job(hours=100, folder="2-bbbb")
    for folder in ("1-aaaa", "2-bbbc"):
        shelf.attempt(job.job_id, folder, hours=hours)
    shelf.put(f"results/{job.job_id}/attempts/3-cccc/poster.jpg", hours=0.5)  # still being written
    prefixes = [f"results/{job.job_id}/attempts/{folder}/" for folder in ("1-aaaa", "2-bbbc")]
    return {key for key in shelf.stored() if key.startswith(tuple(prefixes))}


def _attempt_of_failed(shelf: Shelf, hours: float) -> set[str]:
    job = shelf.done_job(Status.FAILED, hours=100)
    shelf.attempt(job.job_id, hours=hours)
    return {key for key in shelf.stored() if key.startswith(keys.result_prefix(job.job_id))}


def _result_of_cancelled(shelf: Shelf, hours: float) -> set[str]:
    job = shelf.done_job(Status.CANCELLED, hours=hours - 0.2)
    shelf.put(keys.result_index(job.job_id), shelf.attempt(job.job_id, hours=hours), hours=hours)
    return {key for key in shelf.stored() if key.startswith(keys.result_prefix(job.job_id))}


def _idle_wish(shelf: Shelf, hours: float) -> set[str]:
    return {shelf.wish(keys.new_id("job"), hours=hours)}


CASES = {
    Kind.UPLOAD_WITHOUT_RECORD: [(_upload_without_record, 24)],
    Kind.RESULT_WITHOUT_JOB: [(_result_without_job, 24)],
    Kind.UNUSED_ATTEMPT: [(_unused_attempt, 1)],
    Kind.RESULT_OF_UNCOMPLETED: [(_attempt_of_failed, 1), (_result_of_cancelled, 1)],
    Kind.IDLE_WISH: [(_idle_wish, 1)],
}


def _in_use(shelf: Shelf) -> None:
    """What a service that is well has: none of it is ever garbage."""
    shelf.upload(hours=1000)
    shelf.completed_job(hours=1000)
    shelf.done_job(Status.FAILED, hours=1000)
    shelf.done_job(Status.CANCELLED, hours=1000)
    running = shelf.open_job(hours=1000)
    shelf.attempt(running.job_id, hours=1000)
    shelf.wish(running.job_id, hours=1000)


@pytest.mark.parametrize("kind", CASES)
def test_garbage_goes_and_nothing_else(shelf: Shelf, leftovers: Sweep, kind: Kind) -> None:
    # Given what is in use, and garbage of one kind: some that is just old enough, some that is not
    _in_use(shelf)
    old, young = set(), set()
    for make, hours in CASES[kind]:
        old |= make(shelf, hours + 0.1)
        young |= make(shelf, hours - 0.1)
    before = shelf.stored()

    # When it is swept, twice
    first, second = leftovers().sweep(), leftovers().sweep()

    # Then the old went, and is counted
    assert set(before) - set(shelf.stored()) == old
    count = 2 if kind in (Kind.UNUSED_ATTEMPT, Kind.RESULT_OF_UNCOMPLETED) else 1
    assert (first, second) == ({kind: count}, {})


def test_an_ended_job_is_not_open(shelf: Shelf, leftovers: Sweep, caplog: pytest.LogCaptureFixture) -> None:
    # Given jobs whose end was kept before their workers died: the open records were not removed
    _in_use(shelf)
    completed = shelf.completed_job(job=shelf.open_job())
    failed = shelf.done_job(Status.FAILED, job=shelf.open_job())
    before = shelf.stored()

    # When it is swept
    with caplog.at_level(logging.INFO):
        removed = leftovers().sweep()

    # Then they are, and it is said
    assert set(before) - set(shelf.stored()) == {keys.open_job(completed.job_id), keys.open_job(failed.job_id)}
    assert removed == {Kind.ENDED_JOB: 2}
    assert "leftovers.ended_job: 2 removed" in caplog.messages


def _done(shelf: Shelf) -> str:
    job = shelf.open_job()
    for folder in ("1-aaaa", "2-bbbb"):
        shelf.attempt(job.job_id, folder, hours=100)
    return shelf.put(keys.done_job(job.job_id), b"{", hours=100)


def _later(shelf: Shelf) -> str:
    job_id = keys.new_id("job")
    shelf.attempt(job_id, hours=100)
    return shelf.put(keys.done_job(job_id), b'{"schema_version": 99}', hours=100)


def _index(shelf: Shelf) -> str:
    job = shelf.done_job(Status.COMPLETED, hours=20)
    for folder in ("1-aaaa", "2-bbbb"):
        shelf.attempt(job.job_id, folder, hours=20)
    return shelf.put(keys.result_index(job.job_id), b"{", hours=20)


def _empty_index(shelf: Shelf) -> str:
    job = shelf.done_job(Status.COMPLETED, hours=20)
    for folder in ("1-aaaa", "2-bbbb"):
        shelf.attempt(job.job_id, folder, hours=20)
    return shelf.put(keys.result_index(job.job_id), b'{"artifacts": []}', hours=20)


def _lost_index(shelf: Shelf) -> str:
    job = shelf.done_job(Status.COMPLETED, hours=20)
    shelf.attempt(job.job_id, hours=20)
    return keys.done_job(job.job_id)


def _video(shelf: Shelf) -> str:
    video_id = keys.new_id("vid")
    shelf.put(keys.upload(video_id, "mp4"), hours=100)
    return shelf.put(keys.video_record(video_id), b"[]", hours=100)


def _open(shelf: Shelf) -> str:
    """It may be about any of the uploads."""
    shelf.upload(hours=100)
    shelf.put(keys.upload(keys.new_id("vid"), "mp4"), hours=100)
    return shelf.put(keys.open_job(keys.new_id("job")), b"", hours=100)


def _foreign(shelf: Shelf) -> str:
    for key in ("results/holidays/film.mp4", "uploads/mine/film.mp4", "jobs/open/x.json", "jobs/cancel/x.json"):
        shelf.put(key, hours=1000)
    return "results/holidays/film.mp4"


@pytest.mark.parametrize("make", [_done, _later, _index, _empty_index, _lost_index, _video, _open, _foreign])
def test_what_cannot_be_understood_is_no_garbage(
    shelf: Shelf, leftovers: Sweep, make: Callable[[Shelf], str], caplog: pytest.LogCaptureFixture
) -> None:
    # Given a record that is damaged, of a later version or lost, or files of somebody else, all old, and real garbage
    key = make(shelf)
    before = shelf.stored()
    wish = _idle_wish(shelf, 2)

    # When it is swept, and results and uploads are to be kept for a time
    removed = leftovers(RESULT_TTL_HOURS="50", UPLOAD_TTL_HOURS="50").sweep()

    # Then only the garbage went, and what is damaged is named
    assert shelf.stored() == before
    assert not wish & set(before)
    assert removed == {Kind.IDLE_WISH: 1}
    if make not in (_empty_index, _lost_index, _foreign):
        parts = key.split("/")
        assert any(parts[1] in line or parts[-1].removesuffix(".json") in line for line in caplog.messages)


def test_a_job_that_ends_during_the_listing_is_looked_at_again(
    shelf: Shelf, leftovers: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the second look the result of a job is removed that had moved between two listings."""
    # Given a completed job whose records the listing missed, since one was gone and the other not yet there
    job = shelf.completed_job(hours=100)
    result = tuple(shelf.storage.list(keys.result_prefix(job.job_id)))
    missed = JobInventory(job.job_id, open=None, done=None, wish=None, results=result)
    monkeypatch.setattr(module, "all_jobs", lambda _: iter([missed]))
    before = shelf.stored()

    # Then it is found by the second look, and nothing goes
    assert leftovers().sweep() == {}
    assert shelf.stored() == before


def test_an_upload_whose_record_comes_is_looked_at_again(
    shelf: Shelf, leftovers: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the second look an upload is removed whose record was written after it was listed."""
    # Given an upload whose record the listing missed
    video = shelf.upload(hours=100)
    missed = inventory.UploadInventory(video.video_id, None, tuple(shelf.storage.list("uploads/"))[:1])
    monkeypatch.setattr(module, "all_uploads", lambda _: iter([missed]))

    # Then nothing goes
    assert leftovers().sweep() == {}
    assert shelf.storage.exists(video.key)


def test_trouble_with_one_file_does_not_keep_the_others(
    shelf: Shelf, leftovers: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given much garbage, the first of which cannot be deleted; the error is put on, since root may delete all
    first = sorted(_idle_wish(shelf, 2))[0]
    others = {key for _ in range(3) for key in _idle_wish(shelf, 2)}
    delete = shelf.storage.delete

    def refuse(key: str) -> bool:
        if key in refused:
            raise StorageUnavailable("the storage does not answer: Permission denied")
        return delete(key)

    monkeypatch.setattr(shelf.storage, "delete", refuse)
    refused = {first}

    # When it is swept
    removed = leftovers().sweep()

    # Then the others went
    assert removed == {Kind.IDLE_WISH: 3}
    assert shelf.stored() == [first]

    # And where everything is refused, the sweep gives up
    refused |= {key for _ in range(MOST_TROUBLES) for key in _idle_wish(shelf, 2)}
    with pytest.raises(StorageUnavailable):
        leftovers().sweep()
    assert not others & set(shelf.stored())
