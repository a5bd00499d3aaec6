"""Two front ends of one deployment, on every kind of storage."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis
from tests.support.tcp_proxy import TcpProxy
from tests.uploads.client_line import CONTENT, Line
from tests.uploads.javascript import PageServer, running_page_server
from tests.uploads.tus_client import Deployed, another


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def kind_of_storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of the storage that the fixture's parameter names."""
    if request.param == "local":
        return {}
    server = request.getfixturevalue(f"{request.param}_server")
    return {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": server.new_bucket(), **server.env}


@contextmanager
def deployment(directory: Path, settings: dict[str, str]) -> Iterator[Deployed]:
    """With files of up to 64 MiB."""
    settings = {"MAX_FILE_SIZE_MB": "64", **settings}
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(directory / "redis"))
        path = directory / "storage"
        front_ends = [
            stack.enter_context(running_front_end(directory / name, redis.url, storage_path=path, **settings))
            for name in ("first", "second")
        ]
        yield Deployed(front_ends, redis, settings)


@pytest.fixture(scope="session", params=["local", "rclone"])
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployment(tmp_path_factory.mktemp("deployed"), kind_of_storage(request)) as found:
        yield found


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A web server of another origin, with the page that uploads."""
    with running_page_server(tmp_path_factory.mktemp("pages")) as server:
        yield server


@pytest.fixture(scope="session", params=["local", "rclone"])
def keyed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, page_server: PageServer
) -> Iterator[Deployed]:
    """One that asks for keys, and that pages of ``page_server`` may call."""
    settings = {"CLIPZY_AUTH": "keys", "CORS_ORIGINS": page_server.origin}
    with deployment(tmp_path_factory.mktemp("keyed"), kind_of_storage(request) | settings) as found:
        found.add_key()
        yield found


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="module")
def way(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FrontEnd, TcpProxy]]:
    """A front end, and the way of large files to it, or to its bucket."""
    with ExitStack() as stack:
        if "S3_BUCKET_NAME" not in deployed.settings:
            yield deployed.first, stack.enter_context(TcpProxy(deployed.first.url))
            return
        proxy = stack.enter_context(TcpProxy(deployed.settings["AWS_ENDPOINT_URL_S3"]))
        directory = tmp_path_factory.mktemp("direct")
        yield stack.enter_context(another(deployed, directory, S3_PUBLIC_ENDPOINT_URL=proxy.url)), proxy


@pytest.fixture
def line(deployed: Deployed, way: tuple[FrontEnd, TcpProxy], state: Path) -> Line:
    front_end, proxy = way
    proxy.heal()
    proxy.received_bytes = 0
    return Line(deployed, front_end, proxy, state)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "holiday ☀.mp4"
    path.write_bytes(CONTENT)
    return path
