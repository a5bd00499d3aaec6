"""An upload of a gibibyte by a real browser."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.log_events import HTTP_REQUEST
from tests.page.web_page import WebPage
from tests.support.forms import MP4_HEAD
from tests.support.log_lines import events_in
from tests.support.servers import FrontEnd
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually

SIZE_BYTES = 1 << 30
CUT_AFTER_BYTES = 400 << 20


def _job_on(front_end: FrontEnd, filename: str) -> dict[str, Any] | None:
    jobs = front_end.get("/api/v1/jobs").json()["jobs"]
    return next((job for job in jobs if job["filename"] == filename), None)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_gibibyte_is_cut_twice_and_resumed(
    page: WebPage, front_end: FrontEnd, network: TcpProxy, tmp_path: Path
) -> None:
    # Given a network on which no connection survives 400 MiB
    video = tmp_path / "large.mp4"
    with video.open("wb") as file:
        file.write(MP4_HEAD)
        file.truncate(SIZE_BYTES)
        file.seek(SIZE_BYTES // 2)
        file.write(b"the middle")
    network.suffer(Fault("cut", of="request", after_bytes=CUT_AFTER_BYTES))
    page.url, page.expected = network.url, ["net::ERR_", "status of 409", "status of 423"]

    # When it is uploaded
    page.open()
    page.tab.choose("input[type=file]", video)

    # Then it arrives as it is, in at least three requests
    job = eventually(lambda: _job_on(front_end, video.name), "the job", seconds=500)
    assert job is not None
    stored = next(front_end.root.glob(f"uploads/{job['video_id']}/source.*"))
    with stored.open("rb") as arrived, video.open("rb") as sent:
        assert hashlib.file_digest(arrived, "sha256").digest() == hashlib.file_digest(sent, "sha256").digest()
    path = f"/api/v1/uploads/{job['video_id']}"
    assert len(events_in(front_end.log.read_text(), HTTP_REQUEST, method="PATCH", path=path)) >= 3
