"""The checker finds every way in which the promise can be broken, and finds nothing where it holds.

Histories and storages are made by hand: one job that went well, and then one thing wrong with it.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_json
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.models.output import Output
from tests.chaos.checker import Verdict
from tests.chaos.history import Event
from tests.chaos.story import FINISHED, JOB, OTHER, PREFIX, VIDEO, Story, event, output, seen


@pytest.fixture
def story(storage: LocalStorage) -> Story:
    return Story(storage)


def broken(verdict: Verdict) -> set[str]:
    return {name for name, found in vars(verdict).items() if found}


def test_a_job_that_went_well_is_found_good(story: Story) -> None:
    verdict = story.judged()
    assert verdict.holds, verdict


def unknown(story: Story) -> None:
    del story.jobs[JOB]
    for key in [blob.key for blob in story.storage.list("results/")]:
        story.storage.delete(key)


def unfinished(story: Story) -> None:
    story.events = story.events[:-3]
    story.jobs[JOB] |= {"status": "processing", "finished_at": None}


def second_job_of_one_key(story: Story) -> None:
    story.jobs[OTHER] = FINISHED | {"filename": "a.mp4", "status": "failed", "error": "WORKER_LOST"}


def job_of_no_key(story: Story) -> None:
    story.jobs[OTHER] = FINISHED | {"filename": "b.mp4", "status": "failed", "error": "WORKER_LOST"}


def other_bytes(story: Story) -> None:
    story.put(keys.result_index(JOB), output(warnings=["new"]))


def end_that_nobody_was_told_of(story: Story) -> None:
    story.events = [one for one in story.events if one["what"] != "announced"]


def other_end_announced(story: Story) -> None:
    story.events.append(event(4.0, "announced", job_id=JOB, status="failed"))


def shown_to_another(story: Story) -> None:
    story.events.append(event(4.0, "leaked", job_id=JOB, to="bob", found="it is listed"))


def other_end(story: Story) -> None:
    story.events.append(seen(4.0, status="failed", error="WORKER_LOST"))


def other_end_at_last(story: Story) -> None:
    story.jobs[JOB] |= {"finished_at": "later"}


def fallen_progress(story: Story) -> None:
    story.events.insert(-2, seen(2.5, status="processing", progress_percent=49, finished_at=None))


def other_durable_end(story: Story) -> None:
    story.done[JOB] = "failed"


def result_of_a_cancelled_job(story: Story) -> None:
    story.events = [*story.events[:4], event(2.0, "cancelling", job_id=JOB)]
    story.jobs[JOB] |= {"status": "cancelled"}
    story.done[JOB] = "cancelled"


def uncancelled_job(story: Story) -> None:
    story.events += [event(2.5, "cancelling", job_id=JOB), event(2.6, "cancel", job_id=JOB, status=202)]


def missing_poster(story: Story) -> None:
    story.storage.delete(PREFIX + "poster.jpg")


def short_poster(story: Story) -> None:
    story.put(PREFIX + "poster.jpg", b"jpe")


def half_an_index(story: Story) -> None:
    story.put(keys.result_index(JOB), output()[:-20])
    story.events.pop()


def no_index(story: Story) -> None:
    story.storage.delete(keys.result_index(JOB))


def seen_without_an_index(story: Story) -> None:
    story.events[-1] |= {"sha256": None}


def posters_of_two_attempts(story: Story) -> None:
    other = keys.attempt_prefix(JOB, 2, "cd" * 8) + "poster.jpg"
    first = Output.model_validate_json(output()).artifacts[0]
    story.put(other, b"jpeg")
    index = output(artifacts=[first, first.model_copy(update={"key": other})])
    story.put(keys.result_index(JOB), index)
    story.events.pop()


def no_durable_end(story: Story) -> None:
    story.done.clear()


def open_record(story: Story) -> None:
    put_json(story.storage, keys.open_job(OTHER), {})


def attempt_of_nobody(story: Story) -> None:
    story.put(keys.attempt_prefix(JOB, 2, "cd" * 8) + "poster.jpg", b"jpeg")


def result_of_nobody(story: Story) -> None:
    story.put(keys.attempt_prefix(OTHER, 1, "cd" * 8) + "poster.jpg", b"jpeg")


def upload_without_a_record(story: Story) -> None:
    story.put(keys.upload(VIDEO, "mp4"), b"mp4")


def unfinished_upload(story: Story) -> None:
    Path(story.storage.location, keys.INCOMING, "0123").write_bytes(b"")


SPOILT: dict[str, list[Callable[[Story], None]]] = {
    "lost": [unknown, unfinished],
    "doubled": [second_job_of_one_key, job_of_no_key],
    "changed": [
        other_bytes,
        other_end,
        other_end_at_last,
        fallen_progress,
        other_durable_end,
        result_of_a_cancelled_job,
        uncancelled_job,
        other_end_announced,
    ],
    "partial": [
        missing_poster,
        short_poster,
        half_an_index,
        no_index,
        seen_without_an_index,
        posters_of_two_attempts,
        no_durable_end,
    ],
    "orphaned": [open_record, attempt_of_nobody, result_of_nobody, upload_without_a_record, unfinished_upload],
    "leaked": [shown_to_another],
    "unannounced": [end_that_nobody_was_told_of],
}


@pytest.mark.parametrize(
    ("name", "spoil"),
    [pytest.param(name, spoil, id=f"{name}-{spoil.__name__}") for name, each in SPOILT.items() for spoil in each],
)
def test_each_broken_promise_is_found(story: Story, name: str, spoil: Callable[[Story], None]) -> None:
    spoil(story)
    assert name in broken(story.judged())


def test_a_result_is_reused_only_where_the_client_allows_it(story: Story) -> None:
    # Given a result that was reused, and was seen only so
    story.put(keys.result_index(JOB), output(reused_from=OTHER))
    story.events.pop()
    # Then that breaks the promise, unless its client had allowed it
    assert broken(story.judged()) == {"unexpected"}
    story.events[3]["reuse"] = True
    assert story.judged().holds


def test_a_loss_of_redis_excuses_what_it_must_and_no_more(story: Story) -> None:
    # Given a loss between two askings, and one while the job was at work
    story.events.insert(2, event(1.15, "loss", began_at=1.12))
    story.events[5:5] = [
        seen(2.3, status="queued", progress_percent=0, finished_at=None),
        event(2.4, "loss", began_at=2.2),
    ]
    # Then a second job of the key and progress that fell are no fault
    second_job_of_one_key(story)
    story.done[OTHER] = "failed"
    assert broken(story.judged()) == set()
    # But a third job is, and an end that changed
    story.jobs[keys.new_id("job")] = story.jobs[OTHER]
    other_end(story)
    assert broken(story.judged()) == {"doubled", "changed"}


def test_without_idempotency_each_asking_may_make_a_job(story: Story) -> None:
    second_job_of_one_key(story)
    story.done[OTHER] = "failed"
    assert story.judged(idempotent=False).holds
    story.jobs[keys.new_id("job")] = story.jobs[OTHER]
    assert broken(story.judged(idempotent=False)) == {"doubled"}


@pytest.mark.parametrize(
    "found",
    [
        event(5.0, "exited", node="worker-1", status=78),
        event(5.0, "unexpected", key="a", found="404 VIDEO_NOT_FOUND"),
        event(5.0, "missing", job_id=JOB),
    ],
    ids=["refused process", "unforeseen answer", "job not found for a time"],
)
def test_what_must_not_be_met_on_the_way_is_found(story: Story, found: Event) -> None:
    story.events.append(found)
    assert broken(story.judged()) == {"unexpected"}
