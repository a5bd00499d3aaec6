"""Two deployments with one ``CELERY_BROKER_URL``: neither sees anything of the other."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from clipzy_storage.guard import members
from clipzy_storage.redis_client import RedisDatabase
from tests.support.broker import broker_key
from tests.support.deployment import Deployment
from tests.support.waiting import eventually


@pytest.fixture
def broker_url(redis_url: str) -> str:
    return redis_url.removesuffix("/0") + "/1"


@pytest.fixture
def pair(tmp_path: Path, redis_url: str, broker_url: str) -> Iterator[list[Deployment]]:
    """Each with its own records and storage."""
    with ExitStack() as stack:
        deployments = []
        for number in (2, 3):
            records_url = redis_url.removesuffix("/0") + f"/{number}"
            members.open_fresh(RedisDatabase(records_url))
            deployments.append(
                stack.enter_context(
                    Deployment(tmp_path / str(number), redis_url=records_url, CELERY_BROKER_URL=broker_url)
                )
            )
        yield deployments


@contextmanager
def published(broker: Any) -> Iterator[list[tuple[str, str]]]:
    """The channel and text of everything that is published meanwhile."""
    messages: list[tuple[str, str]] = []
    with broker.pubsub() as subscription:
        subscription.psubscribe("*")
        yield messages
        while message := subscription.get_message(ignore_subscribe_messages=False, timeout=0.1):
            is_check = ":rights:" in message["channel"]  # of a process that starts and knows no storage yet
            if message["type"] == "pmessage" and not is_check:
                messages.append((message["channel"], base64.b64decode(json.loads(message["data"])["body"]).decode()))


def test_two_deployments_share_a_broker(pair: list[Deployment], broker_url: str, clip: Path) -> None:
    """With the same keys the one worker takes the other's notification, and drops it as unknown."""
    # Given a deployment with a worker, and one without
    with_worker, without = pair
    first, second = with_worker.web(), without.web()
    with redis.Redis.from_url(broker_url, decode_responses=True) as broker:
        with published(broker) as messages:
            worker = with_worker.worker()
            # When a job is submitted to each
            waiting = second.upload(clip)
            assert first.finished(first.upload(clip)["job_id"])["status"] == "completed"
            worker.stop()
        # Then the notification of the other still waits
        queues = [broker_key(one.settings["REDIS_URL"]) for one in pair]
        assert [broker.llen(queue) for queue in queues] == [0, 1]
        # And every key, and the channel of every event, belongs to one of them
        prefixes = tuple(queue.removesuffix("interactive") for queue in queues)
        assert [name for name in broker.keys("*") if not name.startswith(prefixes)] == []
        assert [channel for channel, _ in messages if not channel.startswith(prefixes)] == []
        assert [any(channel.startswith(prefix) for channel, _ in messages) for prefix in prefixes] == [True, True]
        # And the worker has sent all of its events, also the last ones before it stopped
        for event in ("task-sent", "task-received", "task-started", "task-succeeded", "worker-offline"):
            assert any(f'"{event}"' in text for channel, text in messages if channel.startswith(prefixes[0])), event
    # And its own worker takes it
    without.worker()
    assert second.finished(waiting["job_id"])["status"] == "completed"
    assert eventually(lambda: second.job(waiting["job_id"])["attempt"] == 1)
