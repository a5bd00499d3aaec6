from pathlib import Path

import pytest

from tests.support.failing_storage import FailingStorage


@pytest.fixture
def storage(tmp_path: Path) -> FailingStorage:
    found = FailingStorage(tmp_path / "storage")
    found.prepare()
    return found
