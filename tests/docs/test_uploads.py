"""The limits of the front end and of nginx stand in the documents as they stand in the code."""

from pathlib import Path

import pytest

from clipzy_api import concurrency_limits as limits
from clipzy_api import large_answers
from clipzy_api.inputs import multipart, multipart_reader, preconditions, request_body
from clipzy_api.server import connection_limits, connection_reaper, lingering_close, run

ROOT = Path(__file__).parents[2]
UPLOADS_LINES = (ROOT / "docs/uploads.md").read_text().splitlines()
UPLOADS = " ".join(" ".join(UPLOADS_LINES).split())
DEPLOY = (ROOT / "docs/deploy.md").read_text()
LIMITS = (ROOT / "docs/performance.md").read_text()
NGINX = (ROOT / "compose/nginx.conf.template").read_text()
SCRIPT = (ROOT / "compose/nginx.sh").read_text()

BLOCK = f"blocks of {request_body.BLOCK_BYTES >> 10} KiB"
KINDS = f"{limits.REQUEST_BODIES} bodies, {limits.DOWNLOADS} downloads, {limits.DRAINS} drains"
STREAMS = f"{limits.LARGE_ANSWERS} large answers, {limits.EVENT_STREAMS} event streams"
HEADERS = f"{multipart_reader.MAX_HEADER_BYTES >> 10} KiB of headers"
PACE = f"{connection_reaper.MIN_BYTES_PER_TIMEOUT >> 10} KiB in {connection_reaper.IDLE_TIMEOUT_SECONDS:.0f} s"
HEADER = f"{run.HEADER_TIMEOUT_SECONDS} s"
KEPT, ARRIVING = connection_limits.KEPT_CONNECTIONS, connection_limits.ARRIVING_CONNECTIONS
DESCRIPTORS = KEPT + ARRIVING + connection_limits.OTHER_DESCRIPTORS


@pytest.mark.parametrize(
    "number",
    [
        f"{KEPT} connections kept, {KEPT + ARRIVING} accepted, {DESCRIPTORS} descriptors",
        f"{HEADER} for a header, {run.CONNECTION_BUFFER_BYTES >> 10} KiB of buffer",
        f"over {large_answers.WHOLE_ANSWER_BYTES >> 10} KiB are large",
        f"blocks of {large_answers.BLOCK_BYTES >> 10} KiB",
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
        f"keeps {KEPT} connections",
        f"accepts {ARRIVING} more",
        f"takes {DESCRIPTORS} descriptors",
        f"| {HEADER}; 10 s |",
        f"over {large_answers.WHOLE_ANSWER_BYTES >> 10} KiB",
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
        ("client_header_timeout 10s;", LIMITS, "10 s for headers"),
        ("client_header_timeout 10s;", UPLOADS, "; 10 s |"),
        ("keepalive_timeout 30s;", UPLOADS, "; 30 s |"),
        ("client_body_timeout 20s;", LIMITS, "20 s of silence"),
        ("send_timeout 30s;", UPLOADS, "30 s of silence behind nginx"),
    ],
)
def test_a_limit_of_nginx(set_as: str, document: str, number: str) -> None:
    assert set_as in NGINX
    assert number in document


@pytest.mark.parametrize(
    ("variable", "default", "what"),
    [
        ("BODIES_PER_CLIENT", 16, "bodies"),
        ("DOWNLOADS_PER_CLIENT", 8, "downloads"),
        ("EVENT_STREAMS_PER_CLIENT", 32, "event streams"),
        ("POSTS_PER_SECOND", 20, "posts per second"),
        ("POSTS_BURST", 100, ""),
    ],
)
def test_a_limit_of_one_address(variable: str, default: int, what: str) -> None:
    assert f"${{NGINX_{variable}:-{default}}}" in SCRIPT
    assert f"{default} {what}".strip() in next(line for line in LIMITS.splitlines() if "per address" in line)
    assert f"{default} " in next(line for line in UPLOADS_LINES if f"`NGINX_{variable}`" in line)
    assert f"`{default}`" in next(line for line in DEPLOY.splitlines() if f"`NGINX_{variable}`" in line)
