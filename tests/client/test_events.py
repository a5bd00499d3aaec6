"""Events of a job, over connections that break."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clipzy_api.client import Client, ClipzyError, Event
from tests.support import played_worker
from tests.support.event_stream import told
from tests.support.scripted_server import COMPLETED, JOB, RUNNING, Respond, accept
from tests.support.scripted_server import front_end as stand_in
from tests.support.servers import FrontEnd
from tests.support.tcp_proxy import Fault, TcpProxy

JOB_ID = str(JOB["job_id"])


@pytest.fixture
def line(front_end: FrontEnd) -> Iterator[TcpProxy]:
    """A connection to the front end that can be broken."""
    with TcpProxy(front_end.url) as proxy:
        yield proxy


def finished_job(client: Client, front_end: FrontEnd, video: Path) -> str:
    """A job with a change of each kind."""
    job_id = client.submit(video).job_id
    attempt = played_worker.claim(front_end, job_id)
    for percent in (10, 40, 80):
        front_end.store.heartbeat(attempt.claim, percent=percent, stage="video_analysis")
    assert attempt.commit(played_worker.write_result(front_end, attempt)) is not None
    return job_id


def seen_of(event: Event) -> tuple[object, ...]:
    return (event.event_id, event.status, event.progress_percent, event.current_stage, event.attempt)


def test_every_event_arrives_in_order(client: Client, front_end: FrontEnd, video: Path) -> None:
    # Given a finished job, When its events are read, Then they are those of the stream
    job_id = finished_job(client, front_end, video)
    events = list(client.events(job_id))
    sent = [(event.event_id, *event.seen[:-1]) for event in told(front_end, job_id)]
    assert [seen_of(event) for event in events] == sent
    assert (events[0].status, events[-1].status, len(events) > 3) == ("queued", "completed", True)
    # And behind one of them come those after it, and behind the last one none
    assert list(client.events(job_id, after=events[1].event_id)) == events[2:]
    assert list(client.events(job_id, after=events[-1].event_id)) == []


@pytest.mark.parametrize("kind", ["reset", "cut"])
def test_a_broken_stream_is_continued(
    client: Client, front_end: FrontEnd, video: Path, line: TcpProxy, kind: str
) -> None:
    # Given connections of which the first ones break, each later than the one before
    job_id = finished_job(client, front_end, video)
    expected = list(client.events(job_id))
    for after_bytes in (0, 700, 1000, 1300):
        line.suffer(Fault(kind, after_bytes=after_bytes, connections=1))  # type: ignore[arg-type]
        # When the events are read over them, Then none is missing and none comes twice
        with Client(line.url) as follower:
            assert list(follower.events(job_id)) == expected


def test_events_arrive_as_they_happen(client: Client, front_end: FrontEnd, video: Path) -> None:
    # Given a job that waits
    job_id = client.submit(video).job_id
    events = client.events(job_id)
    assert next(events).status == "queued"
    # When it is completed, Then the rest arrives
    played_worker.complete(front_end, job_id)
    assert [event.status for event in events][-1] == "completed"


def test_a_deleted_job_ends_its_events(client: Client, front_end: FrontEnd, video: Path) -> None:
    job_id = finished_job(client, front_end, video)
    client.delete(job_id)
    with pytest.raises(ClipzyError, match="JOB_NOT_FOUND"):
        next(client.events(job_id))


def test_without_a_stream_the_job_is_polled() -> None:
    # Given a front end that has no stream left
    polls: list[Respond] = [
        lambda exchange: exchange.answer(503, {"code": "OVERLOADED", "detail": "Try again."}, Retry_After="0.1"),
        *(lambda exchange, job=job: exchange.answer(200, job, Retry_After="0.1") for job in (RUNNING, RUNNING)),
        lambda exchange: exchange.answer(200, COMPLETED),
    ]
    # When a job is followed, Then every change that polls find is an event
    with stand_in(accept, *polls) as server:
        events = list(Client(server.url).events(JOB_ID))
    assert [(event.status, event.progress_percent) for event in events] == [("processing", 40), ("completed", 100)]


def test_an_event_that_is_sent_again_is_not_repeated() -> None:
    """As a front end does whose Redis came back with an older log."""
    first = b'id: 2-0\nevent: status\ndata: {"job_id":"%s","status":"queued","progress_percent":0,' % JOB_ID.encode()
    first += b'"current_stage":null,"attempt":0,"error":null}\n\n'
    last = first.replace(b"2-0", b"3-0").replace(b"queued", b"failed")

    def stream(*blocks: bytes) -> Respond:
        def respond(exchange):  # type: ignore[no-untyped-def]
            exchange.send_response(200)
            exchange.send_header("Connection", "close")
            exchange.end_headers()
            exchange.wfile.write(b"retry: 3000\n\n: beat\n\n" + b"".join(blocks))
            exchange.close_connection = True

        return respond

    with stand_in(accept, stream(first), stream(first.replace(b"2-0", b"1-0"), last)) as server:
        events = list(Client(server.url).events(JOB_ID))
    assert [event.event_id for event in events] == ["2-0", "3-0"]
    assert [headers.get("Last-Event-ID") for headers in server.seen] == [None, "2-0"]


def test_what_is_no_event_is_an_error() -> None:
    def respond(exchange):  # type: ignore[no-untyped-def]
        exchange.send_response(200)
        exchange.send_header("Connection", "close")
        exchange.end_headers()
        exchange.wfile.write(b"id: 1-0\ndata: {}\n\n")
        exchange.close_connection = True

    with stand_in(accept, respond) as server, pytest.raises(ClipzyError, match="none of Clipzy's"):
        next(Client(server.url).events(JOB_ID))
