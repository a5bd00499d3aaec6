"""Whatever Redis does, a front end answers within five seconds of the last byte that it was sent, and keeps nothing."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from clipzy_api.task_queue import TaskQueue
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.models.records import Queue
from tests.support.faulty_redis import FaultyRedis, faulty_redis
from tests.support.forms import mp4_bytes, video_form
from tests.support.servers import FrontEnd, running_front_end
from tests.support.tcp_proxy import Fault
from tests.support.waiting import eventually
from tests.support.wire import Answer, answer_on, connect, head

JOBS = "/api/v1/jobs"
LIMIT_SECONDS = 5.0
Outage = Callable[[FaultyRedis], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def redis_behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyRedis]:
    with faulty_redis(tmp_path_factory.mktemp("answers")) as server:
        yield server


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory, redis_behind_proxy: FaultyRedis) -> Iterator[FrontEnd]:
    with running_front_end(tmp_path_factory.mktemp("web"), redis_behind_proxy.url) as running:
        yield running


@contextmanager
def frozen(found: FaultyRedis) -> Iterator[None]:
    found.server.freeze()
    try:
        yield
    finally:
        found.server.thaw()


@contextmanager
def silent(found: FaultyRedis) -> Iterator[None]:
    found.proxy.fall_silent()
    try:
        yield
    finally:
        found.proxy.heal()


@contextmanager
def out_of_reach(found: FaultyRedis) -> Iterator[None]:
    found.proxy.suffer(Fault("refuse"))
    try:
        yield
    finally:
        found.proxy.heal()


@contextmanager
def reset(found: FaultyRedis) -> Iterator[None]:
    found.proxy.suffer(Fault("reset"))
    try:
        yield
    finally:
        found.proxy.heal()


@contextmanager
def full(found: FaultyRedis) -> Iterator[None]:
    with found.server.full():
        yield


@contextmanager
def demoted(found: FaultyRedis) -> Iterator[None]:
    found.server.demote()
    try:
        yield
    finally:
        found.server.promote()


def timed_answer(port: int, *sent: bytes, before_last: Callable[[], object] = lambda: None) -> tuple[Answer, float]:
    """The answer, and how long it took from the last byte on."""
    with connect(port) as connection:
        for piece in sent[:-1]:
            connection.sendall(piece)
        before_last()
        connection.sendall(sent[-1])
        began_at = time.monotonic()
        return answer_on(connection), time.monotonic() - began_at


def upload(front_end: FrontEnd) -> tuple[Answer, float]:
    body = video_form(mp4_bytes(1000))
    return timed_answer(front_end.port, head(JOBS, length=len(body)) + body)


def poll(front_end: FrontEnd, job_id: str) -> tuple[Answer, float]:
    return timed_answer(front_end.port, head(f"{JOBS}/{job_id}", method="GET"))


def assert_refused(answered: tuple[Answer, float]) -> None:
    answer, seconds = answered
    assert (answer.status, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert seconds < LIMIT_SECONDS


@pytest.mark.parametrize("outage", [frozen, silent, out_of_reach, reset, full, demoted], ids=lambda way: way.__name__)
def test_a_submission_is_refused_in_time(front_end: FrontEnd, redis_behind_proxy: FaultyRedis, outage: Outage) -> None:
    """With five seconds for each answer, as a worker has, a Redis that hangs is too slow; without a rollback a full one
    leaves files behind."""
    # Given a front end that has taken a job
    answer, _ = upload(front_end)
    assert answer.status == 202
    job_id, stored = answer.json()["job_id"], front_end.stored()
    # When Redis fails in one way
    with outage(redis_behind_proxy):
        # Then an upload is refused in time, and leaves nothing
        assert_refused(upload(front_end))
        assert front_end.stored() == stored
        # And a poll of the job is answered, or refused with a time to retry
        answer, seconds = poll(front_end, job_id)
        assert answer.status == (200 if outage in (full, demoted) else 503)
        assert seconds < LIMIT_SECONDS
    # And afterwards all is as before
    assert poll(front_end, job_id)[0].status == 200
    assert eventually(lambda: upload(front_end)[0].status == 202)


def test_a_redis_that_falls_silent_after_it_let_an_upload_in(
    front_end: FrontEnd, redis_behind_proxy: FaultyRedis
) -> None:
    """With five seconds for each answer, as a worker has, this is too slow."""
    # Given an upload that was let in
    body = video_form(mp4_bytes(1 << 20))
    first, rest = head(JOBS, length=len(body)) + body[:600_000], body[600_000:]

    def fall_silent() -> None:
        assert eventually(lambda: front_end.unfinished() != [])
        redis_behind_proxy.proxy.fall_silent()

    # When Redis falls silent before the last byte, then the answer is in time all the same
    try:
        assert_refused(timed_answer(front_end.port, first, rest, before_last=fall_silent))
    finally:
        redis_behind_proxy.proxy.heal()


def test_a_silent_broker_costs_the_notification_and_not_the_job(
    tmp_path: Path, front_end: FrontEnd, redis_behind_proxy: FaultyRedis
) -> None:
    """With the three tries that workers have this takes more than five seconds."""
    # Given a front end whose broker is another server than that of the records, at least in its address
    found = redis_behind_proxy
    broker, records = {"CELERY_BROKER_URL": found.url}, found.server.url
    with running_front_end(tmp_path / "web", records, storage_path=front_end.root, **broker) as announcing:
        assert upload(announcing)[0].status == 202
        queued = found.queue_length()
        assert queued > 0
        # When the broker hangs between the record of a job and its notification
        with silent(found):
            answer, seconds = upload(announcing)
        # Then the job is accepted in time, though workers were not notified
        assert answer.status == 202
        assert seconds < LIMIT_SECONDS
        assert found.queue_length() == queued
        # And once it is back, a connection that broke meanwhile costs nothing
        assert upload(announcing)[0].status == 202
        found.server.cut_clients()
        assert upload(announcing)[0].status == 202
        assert found.queue_length() == queued + 2


def test_concurrent_notifications_do_not_wait_for_each_other(redis_behind_proxy: FaultyRedis) -> None:
    """With Celery's ten connections the last of these waits for those before it."""
    # Given a broker that has fallen silent
    queue = TaskQueue(settings_from_env({"REDIS_URL": redis_behind_proxy.url}), storage_id=lambda: "a-storage")

    def announce(_: int) -> float:
        began_at = time.monotonic()
        assert not queue.notify_workers("job_unknown", Queue.INTERACTIVE)
        return time.monotonic() - began_at

    # When several times as many uploads finish at the same time
    with silent(redis_behind_proxy), ThreadPoolExecutor(50) as requests:
        waits = list(requests.map(announce, range(50)))
    # Then none of them is kept for longer than one alone
    assert max(waits) < LIMIT_SECONDS
