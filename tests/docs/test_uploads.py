"""The limits of the front end and of nginx stand in the documents as they stand in the code."""

from pathlib import Path

import pytest

from clipzy_api import concurrency_limits as limits
from clipzy_api.inputs import multipart, multipart_reader, preconditions, request_body
from clipzy_api.server import connection_reaper, lingering_close

ROOT = Path(__file__).parents[2]
UPLOADS = " ".join((ROOT / "docs/uploads.md").read_text().split())
LIMITS = (ROOT / "docs/performance.md").read_text()
NGINX = (ROOT / "compose/nginx.conf.template").read_text()
SCRIPT = (ROOT / "compose/nginx.sh").read_text()

BLOCK = f"blocks of {request_body.BLOCK_BYTES >> 10} KiB"
KINDS = f"{limits.REQUEST_BODIES} bodies, {limits.DOWNLOADS} downloads, {limits.DRAINS} drains"
STREAMS = f"{limits.EVENT_STREAMS} event streams"
HEADERS = f"{multipart_reader.MAX_HEADER_BYTES >> 10} KiB of headers"
PACE = f"{connection_reaper.MIN_BYTES_PER_TIMEOUT >> 10} KiB in {connection_reaper.IDLE_TIMEOUT_SECONDS:.0f} s"


@pytest.mark.parametrize(
    "number",
    [
        f"threads {limits.THREADS}",
        KINDS,
        STREAMS,
        BLOCK,
        HEADERS,
        f"{multipart.FRAMING_LIMIT_BYTES >> 20} MiB next to the file",
        f"JSON bodies up to {preconditions.JSON_LIMIT_BYTES >> 20} MiB",
        f"drained for {lingering_close.DRAIN_SECONDS:.0f} s or {lingering_close.DRAIN_BYTES >> 20} MiB",
        PACE,
    ],
)
def test_a_limit_of_the_front_end(number: str) -> None:
    assert number in LIMITS


@pytest.mark.parametrize(
    "number",
    [
        f"up to {limits.THREADS} threads",
        KINDS,
        STREAMS,
        BLOCK,
        HEADERS,
        f"{lingering_close.DRAIN_SECONDS:.0f} seconds or {lingering_close.DRAIN_BYTES >> 20} MiB",
        PACE,
    ],
)
def test_a_limit_that_clients_see(number: str) -> None:
    assert number in UPLOADS


@pytest.mark.parametrize(
    ("set_as", "document", "number"),
    [
        ("client_header_timeout 15s;", LIMITS, "15 s for headers"),
        ("client_body_timeout 20s;", LIMITS, "20 s of silence"),
        ("send_timeout 30s;", UPLOADS, "30 s of silence behind nginx"),
    ],
)
def test_a_limit_of_nginx(set_as: str, document: str, number: str) -> None:
    assert set_as in NGINX
    assert number in document


def test_how_many_bodies_nginx_takes_from_one_address() -> None:
    assert "${NGINX_BODIES_PER_CLIENT:-16}" in SCRIPT
    assert "16 bodies per address" in LIMITS
    assert "one address send 16 bodies at once" in UPLOADS
