"""Clips for all tests of a session, and the stage over one of them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipzy_worker.analysis.run import analyse as analyse_file
from clipzy_worker.sandbox.protocol import Report
from clipzy_worker.sandbox.request import MediaRequest

Analyse = Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture
def analyse(tmp_path: Path) -> Analyse:
    """Runs the stage in this process: what it finds does not depend on where it runs, and starting one takes time."""

    def run(path: Path) -> dict[str, Any]:
        request = MediaRequest(path, path.suffix[1:], tmp_path)
        return analyse_file(request, Report(io.BytesIO()))

    return run
