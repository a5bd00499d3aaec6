"""A job's events: each change is told once and in order, whatever the client, Redis and the log do meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import redis
import requests

from clipzy_storage import keys
from clipzy_storage.models.records import ErrorCode
from tests.support.event_stream import EVENTS, address, follow, seen_of, statuses, told
from tests.support.jobs import finish
from tests.support.openapi import assert_described, document_of
from tests.support.played_worker import claim, complete, fail, submit
from tests.support.servers import FrontEnd

FAR_AHEAD = "999999999999999-0"


def log_of(job_id: str) -> str:
    return f"{keys.REDIS_PREFIX}job:{job_id}:events"


@contextmanager
def on_redis(front_end: FrontEnd) -> Iterator[Any]:
    with redis.Redis.from_url(front_end.redis_url, decode_responses=True) as client:
        yield client


@contextmanager
def polled(front_end: FrontEnd, job_id: str) -> Iterator[list[tuple[Any, ...]]]:
    """What polling has seen, each once, by the end of the ``with``."""
    seen: list[tuple[Any, ...]] = []
    is_over = Event()

    def poll() -> None:
        while not is_over.is_set():
            now = seen_of(front_end.get(f"/api/v1/jobs/{job_id}").json())
            if now not in seen:
                seen.append(now)

    thread = Thread(target=poll)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def work_twice(front_end: FrontEnd, job_id: str) -> None:
    """A worker that is stopped in the middle, and another that completes the job."""
    first = claim(front_end, job_id)
    for percent in (10, 20, 20, 60):
        front_end.store.heartbeat(first.claim, percent=percent, stage="video_analysis")
    first.release("preempted", "")
    complete(front_end, job_id)


WORKED_TWICE = [
    ("status", "queued", 0, None, 0, None),
    ("status", "processing", 0, None, 1, None),
    ("progress", "processing", 10, "video_analysis", 1, None),
    ("progress", "processing", 20, "video_analysis", 1, None),
    ("progress", "processing", 60, "video_analysis", 1, None),
    ("status", "queued", 60, None, 1, None),
    ("status", "processing", 60, None, 2, None),
    ("status", "completed", 100, None, 2, None),
]


def test_every_change_is_told_once_and_in_order(front_end: FrontEnd) -> None:
    # Given a job that two clients follow and a third one polls
    job_id = submit(front_end)["job_id"]
    with follow(front_end, job_id) as one, follow(front_end, job_id) as other, polled(front_end, job_id) as seen:
        assert (one.status, one.headers["Content-Type"]) == (200, "text/event-stream")
        assert (one.headers["Cache-Control"], one.headers["X-Accel-Buffering"]) == ("no-store", "no")
        first = one.expect()
        assert int(one.retry) > 0
        # When it is given up, taken again and completed
        work_twice(front_end, job_id)
        heard, heard_by_other = first + one.rest(), other.rest()
    # Then both have heard of each change, and so does who comes later; and polling has seen nothing else
    assert [(event.name, *event.seen) for event in heard] == WORKED_TWICE
    assert {event.data["job_id"] for event in heard} == {job_id}
    assert heard == heard_by_other == told(front_end, job_id)
    assert set(seen) <= {event.seen for event in heard}
    assert seen_of(front_end.get(f"/api/v1/jobs/{job_id}").json()) == heard[-1].seen


def test_a_client_goes_on_after_what_it_has_heard(front_end: FrontEnd) -> None:
    # Given a finished job with many events, and one that is worked on
    job_id, running_id = (submit(front_end)["job_id"] for _ in range(2))
    attempt = claim(front_end, job_id)
    for number in range(250):
        front_end.store.heartbeat(attempt.claim, percent=number // 3, stage=f"stage-{number}")
    attempt.release("preempted", "")
    complete(front_end, job_id)
    all_of_it = told(front_end, job_id)
    claim(front_end, running_id)
    # When a client comes back with the id of any, then it hears what came after it
    assert len(all_of_it) == 255
    for heard in (0, 1, 100, 251, 252, 253):
        assert told(front_end, job_id, after=all_of_it[heard].event_id) == all_of_it[heard + 1 :]
    # And of the running one what is still to come
    with follow(front_end, running_id) as stream:
        heard_last = stream.expect(2)[1].event_id
    with follow(front_end, running_id, after=heard_last) as stream:
        assert front_end.store.reap([*front_end.store.leases()], nonce="r").requeued
        (again,) = stream.expect()
    assert (again.name, *again.seen) == ("status", "queued", 0, None, 1, None)


def test_another_attempt_is_told_as_a_status_whatever_the_log_has_lost(front_end: FrontEnd) -> None:
    # Given a log that has two attempts at a job, and no longer what was between them
    job_id = submit(front_end)["job_id"]
    claim(front_end, job_id)
    with on_redis(front_end) as client:
        last = client.xrevrange(log_of(job_id), count=1)[0][1]
        client.xadd(log_of(job_id), last | {"progress": "30"})
        client.xadd(log_of(job_id), last | {"progress": "30", "attempt": "2"})
    # When a client reads it
    with follow(front_end, job_id) as stream:
        heard = stream.expect(4)
    # Then the second attempt is no mere progress
    assert [(event.name, event.data["attempt"]) for event in heard] == [
        ("status", 0),
        ("status", 1),
        ("progress", 1),
        ("status", 2),
    ]


def test_a_failed_and_a_cancelled_job_are_told_to_their_ends(front_end: FrontEnd) -> None:
    failed_id, cancelled_id = (submit(front_end)["job_id"] for _ in range(2))
    with follow(front_end, failed_id) as failed, follow(front_end, cancelled_id) as cancelled:
        # When a worker fails one, and somebody cancels the other
        fail(front_end, failed_id, ErrorCode.INVALID_MEDIA, "There is no\nvideo track.")
        request = front_end.store.request_cancellation(cancelled_id, nonce="c")
        assert finish(front_end.store, cancelled_id, request.token)
        # Then the last event says so, with the error as polling shows it
        last, cancelled_last = failed.rest()[-1], cancelled.rest()[-1]
    assert last.data["error"] == front_end.get(f"/api/v1/jobs/{failed_id}").json()["error"]
    assert last.data["error"]["message"] == "There is no\nvideo track."
    assert cancelled_last.seen == ("cancelled", 0, None, 0, None)


def test_every_answer_is_as_described(front_end: FrontEnd) -> None:
    # Given a finished job and its last event
    document = document_of(front_end)
    done, waiting = (submit(front_end)["job_id"] for _ in range(2))
    complete(front_end, done)
    end = told(front_end, done)[-1].event_id
    asked: list[tuple[int, str, dict[str, str]]] = [
        (200, done, {}),
        (204, done, {"Last-Event-ID": end}),
        (204, done, {"Last-Event-ID": FAR_AHEAD}),
        (404, "job_00000000000000000000000000", {}),
        (404, "nothing", {"Last-Event-ID": "wrong"}),
        *(
            (422, job_id, {"Last-Event-ID": wrong})
            for job_id in (done, waiting)
            for wrong in ("", "5", "a-b", "1-", "-1-0")
        ),
    ]
    # When they are asked for, then each answer is a described one
    for status, job_id, headers in asked:
        answer = front_end.get(address(job_id), headers=headers)
        assert answer.status_code == status, (job_id, headers)
        assert_described(document, EVENTS, answer)
        if status == 422:
            assert answer.json()["field"] == "Last-Event-ID"
    # And HEAD ends at once, for a job that waits too
    for job_id in (done, waiting):
        answer = requests.head(front_end.url + address(job_id), timeout=30)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")


def test_where_the_log_is_gone_the_job_is_told_as_it_is(front_end: FrontEnd) -> None:
    # Given a finished job and a waiting one whose logs are gone
    done, waiting = (submit(front_end)["job_id"] for _ in range(2))
    complete(front_end, done)
    end = told(front_end, done)[-1].event_id
    with on_redis(front_end) as client:
        client.delete(log_of(done), log_of(waiting))
    # When one asks, then the end of the one is told, and is known after that
    (only,) = told(front_end, done)
    assert (only.name, *only.seen) == ("status", "completed", 100, None, 1, None)
    assert told(front_end, done, after=end) == [only]
    assert front_end.get(address(done), headers={"Last-Event-ID": only.event_id}).status_code == 204
    # And the other is told as it waits, and then followed
    with follow(front_end, waiting) as stream:
        (first,) = stream.expect()
        assert (first.event_id, first.name, *first.seen) == ("", "status", "queued", 0, None, 0, None)
        complete(front_end, waiting)
        assert statuses(stream.rest()) == ["processing", "completed"]


def test_where_the_log_is_an_older_one_it_is_told_as_it_is(front_end: FrontEnd) -> None:
    """As after a start from an old copy of Redis. Without a look at its end nothing is told, for ever."""
    # Given a job, and a client that knows of something later than its log
    job_id = submit(front_end)["job_id"]
    with follow(front_end, job_id, after=FAR_AHEAD) as stream:
        # Then it is told what the log says last, and what comes
        (first,) = stream.expect()
        assert first.seen == ("queued", 0, None, 0, None)
        complete(front_end, job_id)
        assert statuses(stream.rest()) == ["processing", "completed"]
