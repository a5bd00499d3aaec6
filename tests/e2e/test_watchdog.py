"""A worker that lives but takes nothing ends itself; one with a reason not to take anything does not."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clipzy_storage import keys
from clipzy_worker.runtime.watchdog import CHECKS, EXIT_NOT_CONSUMING, MIN_INTERVAL_SECONDS
from tests.support.deployment import Stack, eventually
from tests.support.servers import RedisServer, running_redis
from tests.support.slow import slow_to
from tests.support.tcp_proxy import TcpProxy

LEASE = {"JOB_LEASE_SECONDS": "2"}
WINDOW_SECONDS = CHECKS * MIN_INTERVAL_SECONDS


@contextmanager
def broker_behind(proxy_for: str) -> Iterator[tuple[TcpProxy, str]]:
    """A proxy before the Redis at this address, and the address that leads through it."""
    parts = urlsplit(proxy_for)
    with TcpProxy(proxy_for) as proxy:
        port = urlsplit(proxy.url).port
        yield proxy, parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()


@pytest.mark.long
def test_a_deaf_worker_puts_its_job_back_and_ends(
    tmp_path: Path, redis_url: str, redis_client: Any, clip: Path
) -> None:
    """Without the watchdog it hears nothing until Celery looks after its connection, which takes 51 s or longer."""
    with broker_behind(redis_url) as (proxy, broker_url), Stack(tmp_path, redis_url=redis_url, **LEASE) as stack:
        # Given a worker in the middle of a job that could take another
        api = stack.web()
        worker, _ = slow_to(stack, "store", CELERY_BROKER_URL=broker_url, MAX_CONCURRENT_JOBS="2")
        job_id = api.upload(clip)["job_id"]
        worker.says("slow.store")
        # When its connections to the broker fall silent, and one more job waits
        proxy.deafen_present()
        began_at = time.monotonic()
        api.upload(clip)
        # Then it says so and ends, with a status that makes its supervisor start it anew
        assert worker.ends() == EXIT_NOT_CONSUMING
        assert time.monotonic() - began_at < 45
        assert "worker.not_consuming" in worker.output()
        # And the job waits for another, uncounted
        record = redis_client.hgetall(f"{keys.REDIS_PREFIX}job:{job_id}")
        assert (record["state"], record["preempted"], record.get("lost")) == ("queued", "1", None)


@pytest.mark.long
def test_clipzy_up_starts_a_deaf_worker_anew(
    tmp_path: Path, redis_url: str, redis_client: Any, clip: Path, long_clip: Path
) -> None:
    with broker_behind(redis_url) as (proxy, broker_url), Stack(tmp_path, redis_url=redis_url, **LEASE) as stack:
        # Given a service whose worker is in the middle of a job and could take another
        service = stack.run(
            "up", "--port", "0", settings={"CELERY_BROKER_URL": broker_url, "MAX_CONCURRENT_JOBS": "2"}
        ).says("Clipzy is ready at")
        api = stack.api(int(re.findall(r"ready at \S+:(\d+)", service.output())[0]))
        first = api.upload(long_clip)["job_id"]
        api.working(first)
        # When its connections to the broker fall silent, and one more job waits
        proxy.deafen_present()
        second = api.upload(clip)["job_id"]
        # Then it says so and ends, and is started anew
        service.says(f"worker 1 ended with status {EXIT_NOT_CONSUMING}; starting it again in 0.2 s")
        assert "worker.not_consuming" in service.output()
        # And both jobs are done, the first of them uncounted by another attempt
        assert api.finished(second)["status"] == "completed"
        record = redis_client.hgetall(f"{keys.REDIS_PREFIX}job:{first}")
        assert (record.get("preempted"), record.get("lost"), record.get("crashed")) == ("1", None, None)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.mark.long
def test_a_worker_with_a_reason_is_left_alone(tmp_path: Path, own_redis: RedisServer, clip: Path) -> None:
    """Each of the three ends it where its reason is not looked for: room, Redis, looks instead of time."""
    with Stack(tmp_path / "deployment", redis_url=own_redis.url, **LEASE) as stack:
        api = stack.web()
        worker, gate = slow_to(stack, "store")
        # Given a worker whose only place is taken, when a job waits for longer than the watchdog does
        first, second = (api.upload(clip)["job_id"] for _ in range(2))
        worker.says("slow.store")
        _lasting(WINDOW_SECONDS + 4, lambda: worker.popen.poll() is None)
        gate.touch()
        assert [api.finished(job_id)["status"] for job_id in (first, second)] == ["completed"] * 2
        # When Redis is away for so long
        own_redis.kill()
        _lasting(WINDOW_SECONDS + 4, lambda: worker.popen.poll() is None)
        own_redis.child.start()
        eventually(api.is_ready, "a front end that is ready")
        # When it sleeps for so long while a job waits, and wakes up
        worker.send(signal.SIGSTOP)
        third = api.upload(clip)["job_id"]
        _lasting(WINDOW_SECONDS + 4, lambda: worker.popen.poll() is None)
        worker.send(signal.SIGCONT)
        # Then it is still there, and does what there is to do
        eventually(lambda: worker.popen.poll() is not None or api.job(third)["status"] == "completed", "either")
        assert worker.popen.poll() is None
        assert "worker.not_consuming" not in worker.output()


def _lasting(seconds: float, holds: Callable[[], bool]) -> None:
    """That something does not happen can only be seen by watching for as long as it would take to happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert holds()
        time.sleep(0.1)
