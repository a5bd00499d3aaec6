"""One front end, one browser and two analysed videos for all tests of the page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.page.analysed import DEMO, analysed, running_worker
from tests.page.web_page import WIDTH, WebPage, installed_axe
from tests.support.chromium import Page, running_chromium
from tests.support.media import clips
from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis
from tests.support.tcp_proxy import TcpProxy


@dataclass(frozen=True)
class CompletedJobs:
    """Of a real worker: on the demo, and on a video in a format that browsers do not play."""

    demo: dict[str, Any]
    avi: dict[str, Any]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def front_end(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[FrontEnd]:
    with running_front_end(tmp_path_factory.mktemp("web"), redis_server.url) as running:
        yield running


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with running_chromium(tmp_path_factory.mktemp("chromium")) as found:
        found.listen()
        yield found


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return installed_axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def page(tab: Page, axe: str, front_end: FrontEnd) -> Iterator[WebPage]:
    """The page, of which nobody complains: no error in the console, no violation of its policy."""
    tab.look(width=WIDTH)
    tab.set_upload_speed(-1)
    page = WebPage(tab, axe, front_end.url)
    yield page
    tab.open("about:blank")
    complaints, tab.complaints = tab.complaints, []
    assert [text for text in complaints if not any(part in text for part in page.expected)] == []


@pytest.fixture
def network(front_end: FrontEnd, tab: Page) -> Iterator[TcpProxy]:
    """What stands between the browser and the front end, if the page is opened at its URL."""
    with TcpProxy(front_end.url) as proxy:
        yield proxy
        tab.open("about:blank")  # it leaves nothing unread


@pytest.fixture(scope="session")
def jobs(front_end: FrontEnd, clips_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> CompletedJobs:
    avi = clips.cuts_clip(clips_directory, suffix="avi", codec="mpeg4").path
    with running_worker(front_end, tmp_path_factory.mktemp("worker")):
        return CompletedJobs(analysed(front_end, DEMO), analysed(front_end, avi))
