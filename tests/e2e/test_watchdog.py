"""A worker that does not consume exits; one with a reason not to consume does not."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clipzy_storage import keys
from clipzy_storage.log_events import (
    FAILPOINT_PAUSE,
    JOB_LOST,
    JOB_RELEASED,
    SUPERVISOR_RESTARTING,
    WORKER_NOT_CONSUMING,
)
from clipzy_worker.runtime.watchdog import CHECKS, EXIT_NOT_CONSUMING, MIN_INTERVAL_SECONDS
from tests.support.deployment import SHORT_LEASE, Deployment
from tests.support.processes import hold_media_process
from tests.support.servers import RedisServer, running_redis
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually

WINDOW_SECONDS = CHECKS * MIN_INTERVAL_SECONDS


@contextmanager
def broker_behind(proxy_for: str) -> Iterator[tuple[TcpProxy, str]]:
    """A proxy before the Redis at this address, and the address that leads through it."""
    parts = urlsplit(proxy_for)
    with TcpProxy(proxy_for) as proxy:
        port = urlsplit(proxy.url).port
        yield proxy, parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()


@pytest.mark.long
def test_a_worker_that_does_not_consume_releases_its_job_and_exits(
    tmp_path: Path, redis_url: str, redis_client: Any, clip: Path
) -> None:
    """Without the watchdog it receives nothing until Celery checks its connection, which takes 51 s or longer."""
    with (
        broker_behind(redis_url) as (proxy, broker_url),
        Deployment(tmp_path, redis_url=redis_url, **SHORT_LEASE) as deployment,
    ):
        # Given a worker in the middle of a job that could take another
        api = deployment.web()
        worker, _ = deployment.worker_paused_at(
            "artifact-stored", CELERY_BROKER_URL=broker_url, MAX_CONCURRENT_JOBS="2"
        )
        job_id = api.upload(clip)["job_id"]
        worker.wait_for_event(FAILPOINT_PAUSE, failpoint="artifact-stored")
        # When its connections to the broker fall silent, and one more job waits
        proxy.deafen_present()
        began_at = time.monotonic()
        api.upload(clip)
        # Then it logs that and exits, with a status that makes its supervisor restart it
        assert worker.wait() == EXIT_NOT_CONSUMING
        assert time.monotonic() - began_at < 45
        assert WORKER_NOT_CONSUMING in worker.output()
        # And the job waits for another, uncounted
        record = redis_client.hgetall(f"{keys.REDIS_PREFIX}job:{job_id}")
        assert (record["state"], record["preempted"], record.get("lost")) == ("queued", "1", None)


@pytest.mark.long
def test_clipzy_up_restarts_a_worker_that_does_not_consume(tmp_path: Path, redis_url: str, clip: Path) -> None:
    with (
        broker_behind(redis_url) as (proxy, broker_url),
        Deployment(tmp_path, redis_url=redis_url, **SHORT_LEASE) as deployment,
    ):
        # Given a service whose worker is in the middle of a job and could take another
        service, api = deployment.up(CELERY_BROKER_URL=broker_url, MAX_CONCURRENT_JOBS="2")
        first = api.upload(clip)["job_id"]
        hold_media_process(service.pid)
        # When its connections to the broker fall silent, and one more job waits
        proxy.deafen_present()
        second = api.upload(clip)["job_id"]
        # Then it logs that and exits, and is restarted
        service.wait_for_event(
            SUPERVISOR_RESTARTING, child="worker 1", ended_with=f"status {EXIT_NOT_CONSUMING}", delay_seconds=0.2
        )
        assert WORKER_NOT_CONSUMING in service.output()
        # And both jobs are done, the first of them uncounted by another attempt
        assert [api.finished(job_id)["status"] for job_id in (first, second)] == ["completed"] * 2
        service.wait_for_event(JOB_RELEASED, job_id=first, reason="preempted")
        assert JOB_LOST not in service.output()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.mark.long
def test_a_worker_with_a_reason_is_left_alone(tmp_path: Path, own_redis: RedisServer, clip: Path) -> None:
    """Without its check each of the three makes it exit: free slots, Redis, passes counted instead of time."""
    with Deployment(tmp_path / "deployment", redis_url=own_redis.url, **SHORT_LEASE) as deployment:
        api = deployment.web()
        worker, orders = deployment.worker_paused_at("artifact-stored")
        # Given a worker whose only place is taken, when a job waits for longer than the watchdog does
        first, second = (api.upload(clip)["job_id"] for _ in range(2))
        worker.wait_for_event(FAILPOINT_PAUSE, failpoint="artifact-stored")
        _lasting(WINDOW_SECONDS + 4, lambda: worker.is_running())
        orders.withdraw()
        assert [api.finished(job_id)["status"] for job_id in (first, second)] == ["completed"] * 2
        # When Redis is down for so long
        own_redis.kill()
        _lasting(WINDOW_SECONDS + 4, lambda: worker.is_running())
        own_redis.start(open_guard=False)
        eventually(api.is_ready, "a front end that is ready")
        # When it sleeps for so long while a job waits, and wakes up
        worker.send(signal.SIGSTOP)
        third = api.upload(clip)["job_id"]
        _lasting(WINDOW_SECONDS + 4, lambda: worker.is_running())
        worker.send(signal.SIGCONT)
        # Then it is still there, and does what there is to do
        eventually(lambda: not worker.is_running() or api.job(third)["status"] == "completed", "either")
        assert worker.is_running()
        assert WORKER_NOT_CONSUMING not in worker.output()


def _lasting(seconds: float, holds: Callable[[], bool]) -> None:
    """That something does not happen can only be seen by watching for as long as it would take to happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert holds()
        time.sleep(0.1)
