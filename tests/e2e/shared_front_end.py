"""Fixtures of modules whose tests share a front end, ``shared``, and have workers of their own.

A module takes them by ``api, deployment = shared_front_end.api, shared_front_end.deployment``.
"""

from collections.abc import Iterator

import pytest

from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment


@pytest.fixture(scope="module")
def api(shared: Deployment) -> ApiClient:
    return shared.web()


@pytest.fixture
def deployment(shared: Deployment) -> Iterator[Deployment]:
    """Workers of one test."""
    with shared.more() as deployment:
        yield deployment
