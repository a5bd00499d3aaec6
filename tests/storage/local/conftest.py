from pathlib import Path

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from tests.storage.local.directory import prepared


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return prepared(root)
