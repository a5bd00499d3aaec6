"""One front end, one browser and two analysed videos for all tests of the page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_storage.log_events import WORKER_READY
from tests.page.web_page import WIDTH, WebPage, installed_axe
from tests.support.chromium import Page, running_chromium
from tests.support.media import clips
from tests.support.processes import CLIPZY, Process, environment
from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually

DEMO = Path(__file__).parents[2] / "demo/demo.mp4"


@dataclass(frozen=True)
class Analysed:
    """Completed jobs of a real worker: the demo, and a video in a format that browsers do not play."""

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
def network(front_end: FrontEnd) -> Iterator[TcpProxy]:
    """What stands between the browser and the front end, if the page is opened at its URL."""
    with TcpProxy(front_end.url) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def analysed(front_end: FrontEnd, clips_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    avi = clips.cuts_clip(clips_directory, suffix="avi", codec="mpeg4").path
    directory = tmp_path_factory.mktemp("worker")
    settings = {
        "LOCAL_STORAGE_PATH": str(front_end.root),
        "CLIPZY_DATA_DIR": str(directory / "data"),
        "REDIS_URL": front_end.redis_url,
    }
    worker = Process([*CLIPZY, "worker"], cwd=directory, env=environment(**settings), log=directory / "worker.log")
    try:
        worker.wait_for_log(WORKER_READY)
        return Analysed(_analysed(front_end, DEMO), _analysed(front_end, avi))
    finally:
        worker.stop()


def _analysed(front_end: FrontEnd, video: Path) -> dict[str, Any]:
    """The job on this video, once it is completed."""
    with video.open("rb") as file:
        submitted = requests.post(front_end.api + "/jobs", files={"file": (video.name, file)}, timeout=60)
    assert submitted.status_code == 202, submitted.text
    path = f"/api/v1/jobs/{submitted.json()['job_id']}"
    job: dict[str, Any] = eventually(lambda: (job := front_end.get(path).json())["result"] and job, "a result")
    return job
