"""The analysis of one file, for tests of what is measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media.analysis import analysed

Analyse = Callable[[Path], dict[str, Any]]


@pytest.fixture
def analyse(tmp_path: Path) -> Analyse:
    """Analyses a file; its artifacts are written to ``tmp_path``."""

    def run(path: Path) -> dict[str, Any]:
        return analysed(MediaRequest(path, path.suffix[1:], tmp_path))

    return run
