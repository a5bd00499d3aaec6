"""What becomes of an open event stream: without Redis, without events, and when there are too many."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from clipzy_api.concurrency_limits import EVENT_STREAMS
from clipzy_api.server.connection_reaper import IDLE_TIMEOUT_SECONDS
from clipzy_api.views.events import HEARTBEAT_SECONDS
from clipzy_storage import keys
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.durable_records import read_open, write_done_job
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.event_stream import EVENTS, address, follow, statuses
from tests.support.openapi import assert_described, document_of
from tests.support.played_worker import claim, complete, submit
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually
from tests.support.wire import connect, head

WAITING_THEN_WORKED_ON = ["queued", "processing"]


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


def test_streams_leave_room_for_others_and_give_it_back(own_front_end: FrontEnd) -> None:
    """Without a share of their own they take every thread. Without empty blocks a place is held until the next beat."""
    front_end = own_front_end  # others may still hold places of a shared one
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
