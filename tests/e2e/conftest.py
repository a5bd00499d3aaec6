"""A deployment with settings as they come; modules that need others define their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment


@pytest.fixture
def deployment(tmp_path: Path, redis_url: str) -> Iterator[Deployment]:
    with Deployment(tmp_path / "deployment", redis_url=redis_url) as deployment:
        yield deployment


@pytest.fixture
def api(deployment: Deployment) -> ApiClient:
    return deployment.web()
