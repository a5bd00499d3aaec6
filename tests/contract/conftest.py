"""The storages that the conformance suite runs on: each must pass every test of this folder."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from clipzy_storage.base import Storage
from tests.contract import backends
from tests.contract.backends import Backend


@pytest.fixture(params=["local"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """A storage that nobody has prepared yet."""
    return Backend(kind=request.param, place=str(tmp_path / "storage"))


@pytest.fixture
def storage(backend: Backend) -> Storage:
    """A storage, prepared and empty."""
    storage = backend.open()
    storage.prepare()
    return storage


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPoolExecutor]:
    """``RACERS`` processes; tasks of ``backends`` that wait for each other run at the same moment, one in each."""
    context = get_context("spawn")
    barrier = context.Barrier(backends.RACERS)
    with ProcessPoolExecutor(
        backends.RACERS, mp_context=context, initializer=backends.meet_at, initargs=(barrier,)
    ) as pool:
        yield pool
