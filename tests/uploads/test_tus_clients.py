"""The official tus clients, used as they come: whatever happens to their connections, the file arrives.

All of them bring an API key, and the page is of another origin.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from tusclient.uploader.uploader import Uploader

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from tests.support.chromium import Page, running_chromium
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually
from tests.uploads.cutting_proxy import CuttingProxy
from tests.uploads.javascript import PageServer, bundle, installed_clients, upload_with_node
from tests.uploads.tus_client import CONTENT, UPLOADS, VIDEOS, Deployed, id_of

SEED = 15
TIMEOUT_SECONDS = 110.0
TUSPY_CHUNK_BYTES = 600_000
FILENAME = "holiday.mp4"
OTHERS_LONG = [pytest.param(client, marks=pytest.mark.long) for client in ("tuspy", "uppy")]

Upload = Callable[[str, str, Path], str]
"""Uploads a file to an endpoint with a key; returns the address of the upload."""


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_clients(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="session")
def file(page_server: PageServer) -> Path:
    """A file that the page server has too."""
    path = page_server.directory / FILENAME
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory, clients: Path, page_server: PageServer) -> Iterator[Page]:
    bundle(clients, page_server.directory / "page.js")
    with running_chromium(tmp_path_factory.mktemp("chromium"), hosts=(page_server.host,)) as found:
        yield found


@pytest.fixture(params=["tuspy", "tus-js-client", "uppy"])
def upload(request: pytest.FixtureRequest) -> Upload:
    match request.param:
        case "tuspy":
            return upload_with_tuspy
        case "tus-js-client":
            clients = request.getfixturevalue("clients")
            return lambda endpoint, key, file: upload_with_node(
                clients, endpoint, key, file, timeout_seconds=TIMEOUT_SECONDS
            )
    page, server = request.getfixturevalue("page"), request.getfixturevalue("page_server")
    return lambda endpoint, key, file: upload_with_uppy(page, server, endpoint, key, file)


def upload_with_tuspy(endpoint: str, key: str, file: Path, *, with_checksums: bool = False) -> str:
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {key}"})
    with file.open("rb") as stream:
        uploader = client.uploader(
            file_stream=stream,
            chunk_size=TUSPY_CHUNK_BYTES,
            metadata={"filename": file.name},
            retries=60,
            retry_delay=0.2,
            upload_checksum=with_checksums,
        )
        uploader.set_url(begun_with_tuspy(uploader))
        while uploader.offset < len(CONTENT):
            with suppress(TypeError):  # for want of a header: Python takes an answer for whole that was cut before it
                uploader.upload()
    return str(uploader.url)


def begun_with_tuspy(uploader: Uploader) -> str:
    """The address of a new upload. This is the one request that it does not repeat by itself."""
    while True:
        with suppress(TusCommunicationError):
            return str(uploader.create_url())


def upload_with_uppy(page: Page, server: PageServer, endpoint: str, key: str, file: Path) -> str:
    begin_with_uppy(page, server, endpoint, key, file, afresh=True)
    return done_with_uppy(page)


def begin_with_uppy(page: Page, server: PageServer, endpoint: str, key: str, file: Path, *, afresh: bool) -> None:
    """``afresh``: have it forget which uploads it has begun, also of this file."""
    page.open(f"{server.origin}/")
    if afresh:
        page.run("localStorage.clear()")
    page.run(f"upload({endpoint!r}, {key!r}, '/{file.name}').then(done => globalThis.done = done); null")


def done_with_uppy(page: Page) -> str:
    done: dict[str, Any] = eventually(
        lambda: page.run("globalThis.done ?? null"), "Uppy's result", seconds=TIMEOUT_SECONDS
    )
    assert done["errors"] == []
    (url,) = done["urls"]
    return str(url)


def assert_arrived(deployed: Deployed, url: str) -> None:
    upload_id = id_of(url)
    found = deployed.first.get(f"{VIDEOS}/{upload_id}", headers=deployed.headers).json()
    assert (found["video_id"], found["filename"], found["size_bytes"]) == (upload_id, FILENAME, len(CONTENT))
    assert found["sha256"] in (None, hashlib.sha256(CONTENT).hexdigest())
    assert read_bytes(deployed.storage, keys.upload(upload_id, "mp4")) == CONTENT
    assert deployed.left(upload_id) == []


@pytest.mark.parametrize("cuts", [20, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_cut_connections_cost_no_upload(keyed: Deployed, upload: Upload, file: Path, cuts: int) -> None:
    # Given two front ends that take turns behind one address, to which connections are cut
    urls = [front_end.url for front_end in keyed.front_ends]
    with CuttingProxy(urls, cuts=cuts, most_bytes=800_000, random=Random(SEED)) as proxy:
        # When files are uploaded until there were so many cuts
        while proxy.cuts_left > 0:
            url = upload(f"{proxy.url}{UPLOADS}", keyed.key, file)
            # Then each arrives byte by byte
            assert_arrived(keyed, url)


def test_the_checksums_of_tuspy_are_compared(keyed: Deployed, file: Path) -> None:
    urls = [front_end.url for front_end in keyed.front_ends]
    with CuttingProxy(urls, cuts=5, most_bytes=800_000, random=Random(SEED)) as proxy:
        assert_arrived(keyed, upload_with_tuspy(f"{proxy.url}{UPLOADS}", keyed.key, file, with_checksums=True))


@pytest.mark.parametrize("upload", ["tus-js-client", *OTHERS_LONG], indirect=True)
def test_a_client_that_has_changed_its_network_goes_on(keyed: Deployed, upload: Upload, file: Path) -> None:
    """The front end that it has left hears nothing of that, and holds the upload until it is asked for."""
    urls = [front_end.url for front_end in keyed.front_ends]
    with CuttingProxy(urls, cuts=2, most_bytes=800_000, random=Random(SEED), leave=True) as proxy:
        while proxy.cuts_left > 0:
            assert_arrived(keyed, upload(f"{proxy.url}{UPLOADS}", keyed.key, file))


def test_a_page_that_is_loaded_again_goes_on(keyed: Deployed, page: Page, page_server: PageServer, file: Path) -> None:
    with TcpProxy(keyed.first.url) as proxy:
        # Given a page that is left in the middle of an upload
        endpoint = f"{proxy.url}{UPLOADS}"
        proxy.suffer(Fault("silence", "request", 6_000_000))
        begin_with_uppy(page, page_server, endpoint, keyed.key, file, afresh=True)
        noted = "JSON.parse(Object.values(localStorage)[0] ?? '{}').uploadUrl"
        url = str(eventually(lambda: page.run(noted), "an upload that is begun"))
        eventually(lambda: keyed.storage.growing_bytes(id_of(url)) > 1_000_000, "some of the file")
        page.open("about:blank")
        proxy.heal()
        # When it is loaded again and given the same file, then the same upload goes on
        begin_with_uppy(page, page_server, endpoint, keyed.key, file, afresh=False)
        assert done_with_uppy(page) == url
        assert_arrived(keyed, url)
