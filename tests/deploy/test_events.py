"""Event streams through nginx, as compose starts it."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clipzy_api.concurrency_limits import EVENT_STREAMS
from clipzy_api.views.events import HEARTBEAT_SECONDS
from tests.support.event_stream import EventStream
from tests.support.nginx import SCRIPT, Nginx, running_nginx
from tests.support.played_worker import claim, complete, submit
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually


def test_nginx_passes_events_immediately(nginx: Nginx, front_end: FrontEnd) -> None:
    job_id = submit(front_end)["job_id"]
    with EventStream(nginx.port, job_id) as stream:
        # Given a client that has received the event of the queued job
        assert (stream.status, stream.headers["Content-Type"]) == (200, "text/event-stream")
        (first,) = stream.expect()
        assert first.data["status"] == "queued"
        # When a worker processes the job, then each event arrives before the next step
        attempt = claim(front_end, job_id)
        assert stream.expect()[0].data["status"] == "processing"
        for percent in (10, 20):
            front_end.store.heartbeat(attempt.claim, percent=percent, stage="video_analysis")
            assert stream.expect()[0].data["progress_percent"] == percent
        attempt.release("preempted", "")
        complete(front_end, job_id)
        assert [event.data["status"] for event in stream.rest()] == ["queued", "processing", "completed"]
    # And a client that reconnects receives the remaining events, and then 204
    with EventStream(nginx.port, job_id, after=first.event_id) as stream:
        rest = stream.rest()
    assert len(rest) == 6
    with EventStream(nginx.port, job_id, after=rest[-1].event_id) as stream:
        assert stream.status == 204


@pytest.fixture
def generous_nginx(tmp_path: Path, front_end: FrontEnd) -> Iterator[Nginx]:
    """nginx that lets one address have any number of event streams, so that the front end refuses them itself."""
    more = {"NGINX_EVENT_STREAMS_PER_CLIENT": "1000"}
    with running_nginx(tmp_path / "nginx", upstream_port=front_end.port, max_file_size_mb=1, **more) as running:
        yield running


def test_a_client_that_disconnects_from_nginx_frees_its_stream(generous_nginx: Nginx, front_end: FrontEnd) -> None:
    nginx = generous_nginx
    # Given as many event streams through nginx as the front end allows
    job_id = submit(front_end)["job_id"]
    with ExitStack() as stack:
        streams = [stack.enter_context(EventStream(nginx.port, job_id)) for _ in range(EVENT_STREAMS)]
        assert {stream.status for stream in streams} == {200}
        with EventStream(nginx.port, job_id) as one_more:
            assert (one_more.status, one_more.headers["Content-Type"]) == (503, "application/problem+json")
    # When they disconnect, then another is accepted within two heartbeats
    with ExitStack() as stack:
        assert eventually(
            lambda: stack.enter_context(EventStream(nginx.port, job_id)).status == 200,
            seconds=2 * HEARTBEAT_SECONDS,
        )


def test_the_timeout_of_nginx_is_longer_than_two_heartbeats() -> None:
    template = SCRIPT.with_name("nginx.conf.template").read_text()
    location = re.search(r"location ~ \S+/events\$ \{\n(.*?)\n {8}\}", template, re.DOTALL)
    assert location is not None
    waits_seconds = re.search(r"proxy_read_timeout (\d+)s;", location[1])
    assert waits_seconds is not None
    assert int(waits_seconds[1]) > 2 * HEARTBEAT_SECONDS
