"""A job's events: each change is told once and in order, whatever the client, Redis and the log do meanwhile."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import redis
import requests

from clipzy_api.concurrency_limits import EVENT_STREAMS
from clipzy_api.server.connection_reaper import IDLE_TIMEOUT_SECONDS
from clipzy_api.views.events import HEARTBEAT_SECONDS
from clipzy_storage import keys
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.durable_records import read_open, write_done_job
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import ErrorCode, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.event_stream import EventStream, SentEvent, seen_of
from tests.support.jobs import finish
from tests.support.openapi import assert_described, document_of
from tests.support.played_worker import claim, complete, fail, submit
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually
from tests.support.wire import connect, head

EVENTS = "/api/v1/jobs/{job_id}/events"
FAR_AHEAD = "999999999999999-0"


def address(job_id: str) -> str:
    return EVENTS.format(job_id=job_id)


def follow(front_end: FrontEnd, job_id: str, **more: Any) -> EventStream:
    return EventStream(front_end.port, job_id, **more)


def told(front_end: FrontEnd, job_id: str, **more: Any) -> list[SentEvent]:
    """All that a finished job's stream says."""
    with follow(front_end, job_id, **more) as stream:
        return stream.rest()


def statuses(events: list[SentEvent]) -> list[str]:
    return [event.data["status"] for event in events]


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


WAITING_THEN_WORKED_ON = ["queued", "processing"]
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


def test_a_stream_ends_as_the_job_does_although_redis_has_forgotten_it(
    own_front_end: FrontEnd, own_redis: RedisServer
) -> None:
    """Without a look at the job, a stream whose log has vanished waits for ever."""
    # Given three jobs that are followed while they are worked on
    deleted, ended, unfinished = (submit(own_front_end)["job_id"] for _ in range(3))
    claims = [claim(own_front_end, job_id) for job_id in (deleted, ended, unfinished)]
    with ExitStack() as stack:
        streams = [stack.enter_context(follow(own_front_end, each)) for each in (deleted, ended, unfinished)]
        for stream in streams:
            assert statuses(stream.expect(2)) == WAITING_THEN_WORKED_ON
        # When storage knows no more of one and the end of another, and then Redis forgets all
        own_front_end.storage.delete(keys.open_job(deleted))
        end = {"status": Status.COMPLETED, "progress_percent": 100, "finished_at": datetime.now(UTC)}
        write_done_job(own_front_end.storage, claims[1].job.model_copy(update=end))
        own_redis.forget_everything()
        # Then the one stream ends, the other tells the end, and the third that its job waits again
        assert streams[0].next() is None
        assert [event.seen for event in streams[1].rest()] == [("completed", 100, None, 1, None)]
        (waiting,) = streams[2].expect()
        assert (waiting.event_id, *waiting.seen) == ("", "queued", 0, None, 0, None)
        # And goes on when Redis has been told of it again
        restored = read_open(own_front_end.storage, unfinished)
        assert JobAdmin(RedisDatabase(own_redis.url)).restore(restored) == "restored"
        complete(own_front_end, unfinished)
        assert statuses(streams[2].rest()) == ["queued", "processing", "completed"]


def test_a_stream_outlives_an_absence_of_redis(tmp_path: Path, own_redis: RedisServer) -> None:
    """Without patience the stream breaks off, and a browser that then reads a 503 never asks again."""
    with (
        TcpProxy(own_redis.url) as proxy,
        running_front_end(tmp_path / "web", own_redis.url_through(proxy.url)) as front_end,
    ):
        job_id = submit(front_end)["job_id"]
        worker = JobStore(RedisDatabase(own_redis.url), lease_seconds=60)
        claimed = worker.claim(job_id, nonce="n", storage_id=front_end.storage.prepare())
        assert claimed is not None
        with follow(front_end, job_id) as stream:
            assert statuses(stream.expect(2)) == WAITING_THEN_WORKED_ON
            # When Redis refuses the front end, then the stream goes on beating, and new ones are to come again
            proxy.suffer(Fault("refuse"))
            stream.wait_for_beat()
            refused = front_end.get(address(job_id))
            assert (refused.status_code, refused.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
            assert int(refused.headers["Retry-After"]) > 0
            # And what happened meanwhile is told when it is back
            worker.heartbeat(claimed, percent=30, stage="video_analysis")
            proxy.heal()
            assert stream.expect()[0].seen == ("processing", 30, "video_analysis", 1, None)
            # And so it is when Redis falls silent
            proxy.fall_silent()
            stream.wait_for_beat()
            worker.heartbeat(claimed, percent=60, stage="video_analysis")
            proxy.heal()
            assert stream.expect()[0].seen == ("processing", 60, "video_analysis", 1, None)


def test_streams_leave_room_for_others_and_give_it_back(front_end: FrontEnd) -> None:
    """Without a share of their own they take every thread. Without empty blocks a place is held until the next beat."""
    # Given as many clients that follow a job as are served at once
    job_id = submit(front_end)["job_id"]
    request = head(address(job_id), method="GET")
    followers = [connect(front_end.port) for _ in range(EVENT_STREAMS)]
    try:
        for follower in followers:
            follower.sendall(request)
            assert follower.recv(1000).startswith(b"HTTP/1.1 200")
        # When one more comes, then it is told to come later, and who polls is answered
        refused = front_end.get(address(job_id), stream=True)
        assert refused.status_code == 503
        assert refused.json()["code"] == "OVERLOADED"
        assert int(refused.headers["Retry-After"]) > 0
        assert_described(document_of(front_end), EVENTS, refused)
        assert front_end.get(f"/api/v1/jobs/{job_id}").status_code == 200
        assert requests.head(front_end.url + address(job_id), timeout=30).status_code == 200
    finally:
        left_at = time.monotonic()
        for follower in followers:
            follower.close()
    # And when they leave, all their places are free again, long before the next beat
    with ExitStack() as stack:
        for _ in range(EVENT_STREAMS):
            assert eventually(lambda: stack.enter_context(follow(front_end, job_id)).status == 200)
        assert time.monotonic() - left_at < HEARTBEAT_SECONDS - 5


@pytest.mark.long
def test_a_stream_on_which_nothing_happens_lives_on(tmp_path: Path, own_redis: RedisServer) -> None:
    """Longer than quiet connections do. Without beats the watch over them ends it after 20 s."""
    with running_front_end(tmp_path / "web", own_redis.url) as front_end:
        # Given a job that waits, and one who follows it
        job_id = submit(front_end)["job_id"]
        with follow(front_end, job_id) as stream:
            stream.expect()
            told_at = [time.monotonic()]
            # When nothing happens for three beats, and then Redis hangs for a while
            told_at += [stream.wait_for_beat() for _ in range(3)]
            own_redis.freeze()
            while time.monotonic() < told_at[0] + 3 * HEARTBEAT_SECONDS + 25:
                told_at.append(stream.wait_for_beat())
            own_redis.thaw()
            # Then it was never silent for longer than promised, and than it took to find Redis hanging
            pauses = [later - earlier for earlier, later in pairwise(told_at)]
            assert max(pauses[:3]) < HEARTBEAT_SECONDS + 1, pauses
            assert max(pauses) < IDLE_TIMEOUT_SECONDS, pauses
            # And it goes on
            complete(front_end, job_id)
            assert statuses(stream.rest()) == ["processing", "completed"]
