"""Security headers, CORS, links under PUBLIC_URL, and what is believed of a proxy's headers."""

from collections.abc import Iterator

import pytest
import requests

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from tests.support.forms import CONTENT_TYPE, mp4_bytes, video_form
from tests.support.played_worker import complete, submit
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.wire import exchange, head

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
PAGE = "https://app.example.com"
OTHER_ORIGIN = "https://app.example.com.evil.test"


@pytest.fixture(scope="module")
def open_front_end(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, front_end: FrontEnd
) -> Iterator[FrontEnd]:
    """Another front end on the same storage: behind a proxy, with a PUBLIC_URL and two CORS origins."""
    settings = {
        "CORS_ORIGINS": f"{PAGE}, http://localhost:3000",
        "TRUSTED_PROXIES": "1",
        "PUBLIC_URL": "https://clipzy.example.com/video/",
        "ALLOWED_HOSTS": "other.example.com",
        "MAX_FILE_SIZE_MB": "1",
        "LOG_LEVEL": "WARNING",
    }
    directory = tmp_path_factory.mktemp("open-web")
    with running_front_end(directory, redis_server.url, storage_path=front_end.root, **settings) as running:
        yield running


def get_from(origin: str, front_end: FrontEnd, path: str, **more: str) -> requests.Response:
    return front_end.get(path, headers={"Origin": origin, **more})


@pytest.mark.parametrize("path", ["/healthz", "/readyz", JOBS, "/api/v1/jobs/none", "/nothing"])
def test_every_answer_has_the_security_headers(front_end: FrontEnd, path: str) -> None:
    headers = front_end.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_a_file_cannot_run_scripts(front_end: FrontEnd) -> None:
    # Given a result with a page of HTML in it
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id, artifacts={"page.html": b"<script>alert(1)</script>", "poster.jpg": b"jpeg"})
    # When a browser requests it, then it is a download of an unknown type, in a sandbox
    headers = front_end.get(f"{JOBS}/{job_id}/files/page.html").headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    # And an image may be shown and cached
    image = front_end.get(f"{JOBS}/{job_id}/files/poster.jpg").headers
    assert image["Content-Disposition"].startswith("inline;")
    assert "max-age" in image["Cache-Control"]


@pytest.mark.parametrize("path", [JOBS, "/api/v1/jobs/none", "/nothing", "/healthz"])
def test_a_page_of_a_named_origin_may_read(open_front_end: FrontEnd, path: str) -> None:
    answer = get_from(PAGE, open_front_end, path)
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Origin" in answer.headers["Vary"]
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", [OTHER_ORIGIN, "null", "http://app.example.com", PAGE + ":8443", PAGE.upper(), "*"])
def test_a_page_of_another_origin_may_not(open_front_end: FrontEnd, origin: str) -> None:
    answer = get_from(origin, open_front_end, JOBS)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


def test_a_preflight_of_an_upload(open_front_end: FrontEnd) -> None:
    # Given the preflight that a browser sends before a cross-origin upload with a non-standard header
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-request-id"}
    answer = requests.options(open_front_end.api + "/jobs", headers={"Origin": PAGE, **preflight}, timeout=30)
    # Then it is allowed, for a while
    assert answer.ok
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert {"GET", "POST"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    assert "X-Request-ID" in answer.headers["Access-Control-Allow-Headers"]
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    # And that of another origin is not
    refused = requests.options(open_front_end.api + "/jobs", headers={"Origin": OTHER_ORIGIN, **preflight}, timeout=30)
    assert not [name for name in refused.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    ("sent", "policy"),
    [
        ({}, "cross-origin"),  # no browser
        ({"Referer": f"{PAGE}/"}, "cross-origin"),
        ({"Referer": f"{OTHER_ORIGIN}/"}, "same-site"),
        ({"Sec-Fetch-Site": "cross-site"}, "same-site"),
        ({"Sec-Fetch-Site": "cross-site", "Referer": f"{PAGE}/"}, "cross-origin"),
    ],
)
def test_which_pages_may_show_what_they_do_not_read(
    open_front_end: FrontEnd, sent: dict[str, str], policy: str
) -> None:
    answer = open_front_end.get("/healthz", headers=sent)
    assert answer.headers["Cross-Origin-Resource-Policy"] == policy
    assert "Referer" in answer.headers["Vary"]


def test_what_has_no_content_has_no_type(front_end: FrontEnd) -> None:
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id)
    deleted = requests.delete(f"{front_end.api}/jobs/{job_id}", timeout=30)
    options = [requests.options(front_end.url + path, timeout=30) for path in (JOBS, "/api/v1/uploads", "/healthz")]
    assert [answer.status_code for answer in (deleted, *options)] == [204, 200, 204, 200]
    assert [answer.headers.get("Content-Type") for answer in (deleted, *options)] == [None] * 4


def test_a_page_reads_why_its_upload_is_refused(open_front_end: FrontEnd) -> None:
    request = head(VIDEOS, length=90 << 20, more=f"Origin: {PAGE}\r\nExpect: 100-continue\r\n")
    answer = exchange(open_front_end.port, request)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (413, PAGE)


def test_links_begin_with_the_public_url(open_front_end: FrontEnd) -> None:
    # Given a client that uses another name of the server
    body = video_form(mp4_bytes(1000))
    headers = {"Content-Type": CONTENT_TYPE, "Host": "other.example.com"}
    answer = requests.post(open_front_end.api + "/jobs", data=body, headers=headers, timeout=30)
    job = answer.json()
    # Then every link leads to the configured one
    base = "https://clipzy.example.com/video"
    assert answer.headers["Location"] == f"{base}{JOBS}/{job['job_id']}"
    complete(open_front_end, job["job_id"])
    done = open_front_end.get(f"{JOBS}/{job['job_id']}").json()
    assert done["result"]["storage_url"] == f"{base}/storage/results/{job['job_id']}/output.json"
    result = open_front_end.get(f"{JOBS}/{job['job_id']}/result").json()
    assert all(artifact["storage_url"].startswith(f"{base}/storage/") for artifact in result["artifacts"])
    submit(open_front_end)
    assert f"<{base}{JOBS}?page=2" in open_front_end.get(f"{JOBS}?page_size=1").headers["Link"]


@pytest.mark.parametrize(
    ("trusting", "forwarded", "logged"),
    [
        (True, "203.0.113.7", "203.0.113.7"),
        (True, "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # a client can write anything further left
        (False, "203.0.113.7", "127.0.0.1"),
    ],
)
def test_the_logged_client_address(
    front_end: FrontEnd, open_front_end: FrontEnd, trusting: bool, forwarded: str, logged: str
) -> None:
    """X-Forwarded-For counts for as many proxies as are configured."""
    target = open_front_end if trusting else front_end
    # Given a request that is logged, since a record it needs was damaged by hand
    video_id = keys.new_id("vid")
    put_bytes(target.storage, keys.video_record(video_id), b"not a record", content_type="application/json")
    target.get(f"{VIDEOS}/{video_id}", headers={"X-Forwarded-For": forwarded, "X-Request-ID": video_id})
    # Then the line has the client's address
    line = next(line for line in target.log.read_text().splitlines() if f"request_id={video_id}" in line)
    assert f"client={logged}" in line
