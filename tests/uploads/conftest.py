"""Two front ends of one deployment, on every kind of storage."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.servers import RedisServer, running_front_end, running_redis
from tests.uploads.tus_client import Deployed


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session", params=["local", "rclone"])
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """With files of up to 64 MiB."""
    directory: Path = tmp_path_factory.mktemp("deployed")
    settings = {"MAX_FILE_SIZE_MB": "64"}
    if request.param != "local":
        server = request.getfixturevalue(f"{request.param}_server")
        settings |= {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": server.new_bucket(), **server.env}
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(directory / "redis"))
        path = directory / "storage"
        front_ends = [
            stack.enter_context(running_front_end(directory / name, redis.url, storage_path=path, **settings))
            for name in ("first", "second")
        ]
        yield Deployed(front_ends, redis, settings)
