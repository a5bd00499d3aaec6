"""The threads that keep a membership, on a real Redis: what they do if the storage blocks them."""

import queue
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.guard import startup
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.heartbeat import HeartbeatThreads
from clipzy_storage.guard.refusals import Refused
from clipzy_storage.log_events import GUARD_JOINED, GUARD_NO_ANSWER
from clipzy_storage.redis_client import RedisDatabase
from tests.support.guards import NewGuard, probes
from tests.support.waiting import eventually


@pytest.fixture
def silent_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An S3 service that accepts connections and never answers. A dead mount, which hangs as well, is in tests/e2e."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield


@pytest.mark.usefixtures("silent_s3")
def test_a_front_end_starts_over_a_storage_that_hangs_and_reports_it(
    make_settings: Any, redis_url: str, logged: list[Any]
) -> None:
    # When a front end starts while the storage hangs
    settings = make_settings(STORAGE_TYPE="s3", S3_BUCKET_NAME="clips")
    registration = startup.join_deployment(
        settings,
        RedisDatabase(redis_url),
        role="web",
        name="front end",
        on_refused=print,
        wait=False,
        first_try_seconds=0.1,
        stop_seconds=0.1,
    )
    # Then it is blocked for a moment only, and logs why it is not ready
    assert GUARD_NO_ANSWER in [line["event"] for line in logged]
    # And it can be stopped, though its thread cannot
    assert registration.heartbeats.stop() is False


def test_a_process_that_joins_logs_it_once(
    new_guard: NewGuard, root: Path, redis_client: Any, logged: list[Any]
) -> None:
    # Given a process that has waited for its storage before it joins
    guard = new_guard("first", root, window_seconds=0.4)
    outages = iter([StorageUnavailable("the storage does not answer")])

    def new_guard_after_an_outage() -> Guard:
        for error in outages:
            raise error
        return guard

    heartbeats = HeartbeatThreads(new_guard_after_an_outage, on_refused=print)
    seen: set[float] = set()

    def has_sent_some() -> bool:
        seen.add(redis_client.zscore("clipzy:guard:beats", "first"))
        return len(seen) > 3

    # When it has sent some heartbeats
    heartbeats.start(wait=True)
    assert heartbeats.joined() is guard
    eventually(has_sent_some, "some heartbeats")
    assert heartbeats.stop() is True
    # Then it has logged once that it joined
    assert [line["event"] for line in logged].count(GUARD_JOINED) == 1


def test_a_process_that_stops_during_its_verification_leaves_nothing(new_guard: NewGuard, root: Path) -> None:
    # Given a member that never replies, and a process that waits for its reply
    new_guard("first", root).join()
    heartbeats = HeartbeatThreads(lambda: new_guard("joining", root), on_refused=print)
    starting = threading.Thread(target=heartbeats.start, kwargs={"wait": True})
    starting.start()
    eventually(lambda: probes(root), "a probe")
    # When it is stopped
    assert heartbeats.stop() is True
    starting.join(10)
    # Then its probe is withdrawn, and it never became a member
    assert probes(root) == []
    with pytest.raises(Refused, match="stopped before it joined"):
        heartbeats.joined()


def test_a_member_that_is_refused_later_reports_it_once_and_stops(
    new_guard: NewGuard, root: Path, redis_client: Any
) -> None:
    # Given a member
    reported: queue.SimpleQueue[str] = queue.SimpleQueue()
    heartbeats = HeartbeatThreads(lambda: new_guard("first", root, window_seconds=0.4), on_refused=reported.put)
    heartbeats.start(wait=True)
    # When another one on another storage takes its place, in one step
    other = heartbeats.joined().members()[0].model_copy(update={"name": "other", "storage_id": "s2"})
    with redis_client.pipeline() as replaced:
        replaced.set("clipzy:guard:storage-id", "s2")
        replaced.hset("clipzy:guard:members", "other", other.to_json())
        replaced.zadd("clipzy:guard:beats", {"other": (time.time() + 60) * 1000})
        replaced.execute()
    # Then its next heartbeat is refused, and it sends no further ones
    assert "is not the one in use" in reported.get(timeout=10)
    assert heartbeats.stop() is True
    assert reported.empty()


def test_a_process_that_is_refused_at_its_start_raises_it(new_guard: NewGuard, root: Path, tmp_path: Path) -> None:
    # Given a member, and another storage
    new_guard("first", root).join()
    (tmp_path / "other").mkdir()
    # Then a process on that raises the refusal, and does not report it too
    reported: list[str] = []
    heartbeats = HeartbeatThreads(lambda: new_guard("second", tmp_path / "other"), on_refused=reported.append)
    with pytest.raises(Refused, match="is not the one in use"):
        heartbeats.start(wait=True)
    assert heartbeats.stop() is True
    assert reported == []
