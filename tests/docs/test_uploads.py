"""The numbers of the door stand in its page as they stand in the code."""

from pathlib import Path

import pytest

from clipzy_api import concurrency_limits as limits
from clipzy_api.inputs import multipart, preconditions, request_body
from clipzy_api.server import idle_connections, lingering_close

PAGE = (Path(__file__).parents[2] / "docs/uploads.md").read_text()
NGINX = (Path(__file__).parents[2] / "compose/nginx.conf.template").read_text()
SCRIPT = (Path(__file__).parents[2] / "compose/nginx.sh").read_text()


@pytest.mark.parametrize(
    "said",
    [
        f"threads {limits.THREADS}",
        f"{limits.REQUEST_BODIES} bodies, {limits.DOWNLOADS} downloads, {limits.DRAINS} drains",
        f"blocks of {request_body.BLOCK_BYTES >> 10} KiB",
        f"{multipart.MAX_PARTS} parts, {multipart.MAX_HEADER_BYTES >> 10} KiB of headers each",
        f"{multipart.FRAMING_LIMIT_BYTES >> 20} MiB beside the file, "
        f"JSON bodies up to {preconditions.JSON_LIMIT_BYTES >> 20} MiB",
        f"drained for {lingering_close.DRAIN_SECONDS:.0f} s or {lingering_close.DRAIN_BYTES >> 20} MiB",
        f"{idle_connections.MIN_RECEIVED_BYTES_PER_TIMEOUT >> 10} KiB in {idle_connections.IDLE_TIMEOUT_SECONDS:.0f} s",
    ],
)
def test_a_number_of_the_front_end(said: str) -> None:
    assert said in PAGE


@pytest.mark.parametrize(
    ("set_as", "said"),
    [
        ("client_header_timeout 15s;", "15 s for headers"),
        ("client_body_timeout 20s;", "20 s of silence"),
        ("send_timeout 30s;", "30 s of silence behind nginx"),
    ],
)
def test_a_number_of_nginx(set_as: str, said: str) -> None:
    assert set_as in NGINX
    assert said in PAGE


def test_how_many_bodies_nginx_takes_from_one_address() -> None:
    assert "${NGINX_BODIES_PER_CLIENT:-16}" in SCRIPT
    assert "16 bodies an address" in PAGE
