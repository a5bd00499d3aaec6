"""Buckets on both kinds of server, and storages on them that may be reached through a proxy."""

import secrets
from collections.abc import Callable, Iterator

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.s3.session import Timeouts
from clipzy_storage.backends.s3.storage import S3Storage
from tests.support.s3_proxy import S3Proxy
from tests.support.s3_servers import S3Server

SHORT = Timeouts(connect_seconds=2, read_seconds=5, tries=3)
VERY_SHORT = Timeouts(connect_seconds=1, read_seconds=1, tries=2)
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
    """A storage on the bucket, reached through the URL ``way`` if one is given, with short timeouts."""

    def make(way: str | None = None, *, timeouts: Timeouts = SHORT, **more: object) -> S3Storage:
        if way is not None:
            environment.setenv("AWS_ENDPOINT_URL_S3", way)
        return S3Storage(bucket, timeouts=timeouts, **more)  # type: ignore[arg-type]

    return make


@pytest.fixture
def proxy(server: S3Server) -> Iterator[S3Proxy]:
    with S3Proxy(server.url) as proxy:
        yield proxy
