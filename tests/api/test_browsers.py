"""What pages of other origins, of allowed ones and our own can do in a real browser."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.chromium import Page, running_chromium
from tests.support.forms import MP4_HEAD
from tests.support.played_worker import complete, submit
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.waiting import eventually

NAMED, FRIENDLY, FOREIGN, REBOUND = "clips.test", "friendly.test", "foreign.test", "rebound.test"
SETTLED = ".then(answer => answer.type, error => error.name)"

# Every way in which a page can send a change without asking the server first, and one that asks.
CHANGES = {
    "a submission by fetch": "fetch(`${api}/jobs`, {method: 'POST', mode: 'no-cors', body: form()})" + SETTLED,
    "a submission whose answer is read": "fetch(`${api}/jobs`, {method: 'POST', body: form()})" + SETTLED,
    "an upload": "fetch(`${api}/videos`, {method: 'POST', mode: 'no-cors', body: form()})" + SETTLED,
    "a submission in JSON": "fetch(`${api}/jobs`, {method: 'POST', headers: {'Content-Type': 'application/json'},"
    " body: JSON.stringify({video_id})})" + SETTLED,
    "a cancellation by fetch": "fetch(`${api}/jobs/${job_id}/cancel`, {method: 'POST', mode: 'no-cors'})" + SETTLED,
    "a cancellation by a form": "posted(`${api}/jobs/${job_id}/cancel`)",
    "a deletion": "fetch(`${api}/jobs/${done_id}`, {method: 'DELETE'})" + SETTLED,
}
READ = "fetch(`${api}/jobs`).then(answer => answer.text(), error => error.name)"
READ_UNASKED = "fetch(`${api}/jobs`, {mode: 'no-cors'}).then(answer => answer.text(), error => error.name)"

A_PIXEL = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")

FUNCTIONS = """
function shown(element, url) {
  const shown = new Promise(resolve => {
    element.onload = element.onloadeddata = () => resolve("shown");
    element.onerror = () => resolve("blocked");
  });
  element.src = url;
  return shown;
}
function form() {
  const data = new FormData();
  data.append("file", new Blob([new Uint8Array(bytes)]), "a.mp4");
  return data;
}
function posted(url) {
  document.body.innerHTML = `<iframe name=target></iframe><form method=post target=target action="${url}"></form>`;
  const loaded = new Promise(resolve => document.querySelector("iframe").addEventListener("load", resolve));
  document.querySelector("form").submit();
  return loaded.then(() => "posted");
}
function framed(call) {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts"; // its origin is `null`
  frame.srcdoc = `<script>${call}.finally(() => parent.postMessage("sent", "*"))</` + "script>";
  const sent = new Promise(resolve => addEventListener("message", event => resolve(event.data), {once: true}));
  document.body.append(frame);
  return sent;
}
"""


class _Blank(BaseHTTPRequestHandler):
    """An empty page at every address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><body>blank")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def pages_port() -> Iterator[int]:
    """Of a server with an empty page, whatever its name."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def front_end(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, front_end: FrontEnd, pages_port: int
) -> Iterator[FrontEnd]:
    """Another on the same storage: it has a name, and friendly pages may call it."""
    settings = {"ALLOWED_HOSTS": NAMED, "CORS_ORIGINS": f"http://{FRIENDLY}:{pages_port}"}
    directory = tmp_path_factory.mktemp("web")
    with running_front_end(directory, redis_server.url, storage_path=front_end.root, **settings) as running:
        yield running


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with running_chromium(tmp_path, hosts=(NAMED, FRIENDLY, FOREIGN, REBOUND)) as found:
        yield found


class Target:
    """A queued job and a completed one, and what a page knows of them."""

    def __init__(self, front_end: FrontEnd, page: Page, *, host: str) -> None:
        self._front_end = front_end
        job, done = submit(front_end), submit(front_end)
        self.job_id, self._done_id = job["job_id"], done["job_id"]
        complete(front_end, self._done_id)
        known = {
            "api": f"http://{host}:{front_end.port}/api/v1",
            "job_id": self.job_id,
            "video_id": job["video_id"],
            "done_id": self._done_id,
            "bytes": list(MP4_HEAD + bytes(1000)),
        }
        page.run(f"Object.assign(globalThis, {json.dumps(known)}); {FUNCTIONS}; null")

    def state(self) -> object:
        """Everything that a change would show in."""
        jobs = [self._front_end.get(f"/api/v1/jobs/{job_id}") for job_id in (self.job_id, self._done_id)]
        return self._front_end.stored(), [(answer.status_code, answer.json().get("status")) for answer in jobs]


# Which headers a browser sends depends on both: Sec-Fetch-Site is for servers that it trusts.
@pytest.mark.parametrize(
    ("page_host", "api_host"),
    [(FOREIGN, "127.0.0.1"), ("localhost", "localhost"), (FOREIGN, NAMED)],
    ids=["cross-site", "same-site", "Origin only"],
)
def test_a_foreign_page_can_neither_change_nor_read(
    front_end: FrontEnd, page: Page, pages_port: int, page_host: str, api_host: str
) -> None:
    # Given a page of another origin
    assert page.open(f"http://{page_host}:{pages_port}/") == "blank"
    target = Target(front_end, page, host=api_host)
    before = target.state()

    for name, change in CHANGES.items():
        # When it sends a change, then it receives no answer that it can read, and nothing has changed
        assert page.run(change) in ("opaque", "TypeError", "posted"), name
        assert target.state() == before, name

    # And it cannot read either
    assert page.run(READ) == "TypeError"
    assert page.run(READ_UNASKED) in ("TypeError", "")


def test_a_page_without_an_origin_can_change_nothing(front_end: FrontEnd, page: Page, pages_port: int) -> None:
    # Given a frame with the origin `null`, in a page of an origin that may call
    page.open(f"http://{FRIENDLY}:{pages_port}/")
    target = Target(front_end, page, host=NAMED)
    before = target.state()

    # When it sends a change, then nothing has changed
    assert page.run("framed(`fetch('${api}/jobs/${job_id}/cancel', {method: 'POST', mode: 'no-cors'})`)") == "sent"
    assert target.state() == before


@pytest.mark.parametrize("api_host", ["127.0.0.1", NAMED])
def test_a_page_of_a_named_origin_can_change_and_read(
    front_end: FrontEnd, page: Page, pages_port: int, api_host: str
) -> None:
    page.open(f"http://{FRIENDLY}:{pages_port}/")
    for name, change in CHANGES.items():
        target = Target(front_end, page, host=api_host)
        before = target.state()

        page.run(change)

        assert target.state() != before, name
        assert target.job_id in page.run(READ)


@pytest.mark.parametrize("api_host", ["127.0.0.1", NAMED])
@pytest.mark.parametrize(("page_host", "what"), [(FRIENDLY, "shown"), (FOREIGN, "blocked")])
def test_a_page_of_a_named_origin_can_show_an_image(
    front_end: FrontEnd, page: Page, pages_port: int, page_host: str, api_host: str, what: str
) -> None:
    page.open(f"http://{page_host}:{pages_port}/")
    target = Target(front_end, page, host=api_host)
    complete(front_end, target.job_id, artifacts={"poster.gif": A_PIXEL})
    assert page.run("shown(new Image(), `${api}/jobs/${job_id}/files/poster.gif`)") == what


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", NAMED])
def test_our_own_page_works(front_end: FrontEnd, page: Page, host: str) -> None:
    # Given the page that shows the API, which fetches its description
    page.open(f"http://{host}:{front_end.port}/docs")
    eventually(lambda: "/api/v1/jobs/{job_id}/cancel" in page.run("document.body.innerText"), "the calls")
    target = Target(front_end, page, host=host)

    # When it sends a change, then it is carried out
    answered = page.run("fetch(`${api}/jobs/${job_id}/cancel`, {method: 'POST'}).then(answer => answer.json())")
    assert (answered["job_id"], answered["status"]) == (target.job_id, "cancelled")


def test_a_rebound_name_can_neither_change_nor_read(front_end: FrontEnd, page: Page) -> None:
    # Given a page of a foreign name, which now leads to the front end
    page.ignore_policies()  # those of the refusal that it shows; an attacker's page has none
    assert "WRONG_HOST" in page.open(f"http://{REBOUND}:{front_end.port}/docs")
    target = Target(front_end, page, host=REBOUND)
    before = target.state()

    # When it calls what has the same origin now
    calls = [("GET", ""), ("GET", "/${job_id}"), ("POST", ""), ("POST", "/${job_id}/cancel"), ("DELETE", "/${done_id}")]
    statuses = [
        page.run(f"fetch(`${{api}}/jobs{path}`, {{method: '{method}'}}).then(answer => answer.status)")
        for method, path in calls
    ]

    # Then every call is refused, and nothing has changed
    assert statuses == [421] * len(calls)
    assert target.state() == before
