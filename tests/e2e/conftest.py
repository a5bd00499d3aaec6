"""A deployment with settings as they come; modules that need others define their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import Api, Stack


@pytest.fixture
def stack(tmp_path: Path, redis_url: str) -> Iterator[Stack]:
    with Stack(tmp_path / "deployment", redis_url=redis_url) as stack:
        yield stack


@pytest.fixture
def api(stack: Stack) -> Api:
    return stack.web()
