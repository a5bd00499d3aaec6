"""Ends of jobs on a real Redis and a real storage, and receivers on loopback."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.webhook_deployment import WebhookDeployment
from tests.support.webhook_receiver import Receiver, running_receiver


@pytest.fixture
def deployment(tmp_path: Path, redis_url: str) -> WebhookDeployment:
    return WebhookDeployment(tmp_path / "storage", redis_url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the test is."""
    event = threading.Event()
    yield event
    event.set()
