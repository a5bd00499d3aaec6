from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.guard.guard import Guard
from tests.support import guards
from tests.support.guards import NewGuard


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory that exists, as a mount does."""
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def new_guard(redis_url: str) -> NewGuard:
    """A member's guard on a directory that is declared shared."""

    def make(name: str, root: Path, *, kind: type[LocalStorage] = LocalStorage, **waits: Any) -> Guard:
        return guards.new_guard(redis_url, name, kind(root, shared=True), **waits)

    return make
