"""The storages that the conformance suite runs on: each must pass every test of this directory."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend
from tests.storage import backends
from tests.storage.backends import Backend
from tests.support.s3_servers import S3Server


@pytest.fixture(params=["local", "moto", "rclone"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """A storage that is not prepared yet."""
    return _backend(request, tmp_path)


def _backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "local":
        return Backend(kind="local", location=str(tmp_path / "storage"))
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return Backend(kind=request.param, location=server.new_bucket(), env=server.env)


@pytest.fixture(params=["local", "moto"])
def backend_with_races(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """A storage with conditional writes; rclone has none."""
    return _backend(request, tmp_path)


@pytest.fixture
def storage(backend: Backend, request: pytest.FixtureRequest) -> StorageBackend:
    """A storage, prepared and empty."""
    if backend.kind == "rclone":  # without conditions a new identity takes a second to settle; a found one does not
        client = request.getfixturevalue("rclone_server").client
        client.put_object(Bucket=backend.location, Key=keys.STORAGE_ID, Body=f"{secrets.token_hex(16)}\n".encode())
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
