"""Buckets on both kinds of server, and storages on them that may be reached by roundabout ways."""

import secrets
from collections.abc import Callable, Iterator

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.s3 import storage
from clipzy_storage.backends.s3.session import Timeouts
from clipzy_storage.backends.s3.storage import S3Storage
from tests.storage.s3.uploads import PART_BYTES
from tests.support.s3_proxy import Gate
from tests.support.s3_servers import S3Server

SHORT = Timeouts(connect_seconds=2, read_seconds=5, tries=3)
IMPATIENT = Timeouts(connect_seconds=1, read_seconds=1, tries=2)
OpenStorage = Callable[..., S3Storage]


@pytest.fixture(params=["moto", "rclone"])
def server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def bucket(server: S3Server) -> str:
    """A new bucket with an identity, which without conditions would take a second to settle."""
    bucket = server.new_bucket()
    server.client.put_object(Bucket=bucket, Key=keys.STORAGE_ID, Body=f"{secrets.token_hex(16)}\n".encode())
    return bucket


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> pytest.MonkeyPatch:
    """The environment of this process, such that boto3 reaches the server."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def open_storage(environment: pytest.MonkeyPatch, bucket: str) -> OpenStorage:
    """A storage on the bucket, reached by ``way`` (an address) where one is given, that soon loses its patience."""

    def make(way: str | None = None, *, timeouts: Timeouts = SHORT, **more: object) -> S3Storage:
        if way is not None:
            environment.setenv("AWS_ENDPOINT_URL_S3", way)
        return S3Storage(bucket, timeouts=timeouts, **more)  # type: ignore[arg-type]

    return make


@pytest.fixture
def gate(server: S3Server) -> Iterator[Gate]:
    with Gate(server.url) as gate:
        yield gate


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SMALLEST_PART_BYTES", PART_BYTES)
