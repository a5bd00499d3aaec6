"""The analysis of one clip, in the process of the test."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipzy_worker.analysis.run import analyse as analyse_file
from clipzy_worker.sandbox.protocol import Report
from clipzy_worker.sandbox.request import MediaRequest

Analyse = Callable[[Path], dict[str, Any]]


@pytest.fixture
def analyse(tmp_path: Path) -> Analyse:
    """Runs the analysis in this process: its result is the same as in a media process, which takes time to start."""

    def run(path: Path) -> dict[str, Any]:
        request = MediaRequest(path, path.suffix[1:], tmp_path)
        return analyse_file(request, Report(io.BytesIO()))

    return run
