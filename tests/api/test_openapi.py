"""The OpenAPI document is valid and complete, and the application answers as it says."""

import ast
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import Client

from clipzy_api import problems
from clipzy_api import schemas as models
from clipzy_api.problems import CODES
from clipzy_api.server.request_log import RequestLog
from clipzy_storage.models.answers import ResultLink
from clipzy_storage.models.output import json_schema
from clipzy_storage.models.records import ErrorCode
from tests.support.forms import CONTENT_TYPE, mp4_bytes
from tests.support.openapi import assert_described, codes_of, document_of, routes_of, unconnected_app
from tests.support.played_worker import claim, complete, fail, submit
from tests.support.servers import FrontEnd, RedisServer

ROOT = Path(__file__).parents[2]
VIEWER = ROOT / "clipzy_api/static/swagger-ui"
JOBS, JOB = "/api/v1/jobs", "/api/v1/jobs/{job_id}"
RESULT, FILE, STORED = f"{JOB}/result", f"{JOB}/files/{{name}}", "/storage/{key}"


@pytest.fixture(scope="module")
def document(front_end: FrontEnd) -> dict[str, Any]:
    return document_of(front_end)


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return unconnected_app(tmp_path)


def test_the_schema_of_results_is_served(front_end: FrontEnd) -> None:
    answer = front_end.get("/docs/output.schema.json")
    assert answer.headers["Content-Type"] == "application/schema+json"
    assert answer.json() == json_schema()


def test_the_description_is_valid(front_end: FrontEnd) -> None:
    answer = front_end.get("/openapi.json")

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(answer.json()).validate()


def test_every_route_is_described(app: Flask, document: dict[str, Any]) -> None:
    # Given every route and method of the application, but for the page that shows the description
    routes = routes_of(app) - {("get", path) for path in ("/docs", "/docs/{asset}", "/", "/page/{asset}")}
    # Then the description has those and no others
    assert {(method, path) for path, calls in document["paths"].items() for method in calls} == routes


def test_every_call_has_a_description_and_a_unique_id(document: dict[str, Any]) -> None:
    calls = [call for path in document["paths"].values() for call in path.values()]

    assert all(call["summary"] and call["description"] for call in calls)
    assert len({call["operationId"] for call in calls}) == len(calls)
    assert all(tag["description"] for tag in document["tags"])


def test_every_code_is_described(document: dict[str, Any]) -> None:
    # Given every code that the source can answer with
    known = {code for path in (ROOT / "clipzy_api").rglob("*.py") for code in _codes_in(path)}
    known |= set(problems._FRAMEWORK_CODES.values()) | {code.value for code in ErrorCode}

    # Then the description has those and no others, each with its one status
    assert {code for _, code in codes_of(document)} == known
    assert codes_of(document) == {(code.status, name) for name, code in CODES.items()}


def _codes_in(path: Path) -> set[str]:
    """What is given to ``ApiError`` as its code: a literal, or a name that the same file gives literals to."""
    tree = ast.parse(path.read_text())
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node.value)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ApiError":
            code = node.args[0]
            found += assigned.get(code.id, []) if isinstance(code, ast.Name) else [code]
    literals = [part.value for expression in found for part in ast.walk(expression) if isinstance(part, ast.Constant)]
    return {text for text in literals if isinstance(text, str) and re.fullmatch(r"[A-Z]{2}[A-Z_]+", text)}


def test_only_supported_fields_are_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert list(schemas["Upload"]["properties"]) == ["file"]
    assert list(schemas["JobUpload"]["properties"]) == ["file", "config", "queue", "webhook_url"]
    assert set(schemas["JobRequest"]["properties"]) == {"video_id", "config", "queue", "webhook_url"}
    bodies = document["paths"][JOBS]["post"]["requestBody"]["content"]
    assert set(bodies) == {"multipart/form-data", "application/json"}


def test_answers_have_the_fields_that_are_described(front_end: FrontEnd) -> None:
    # Given what is shown of a completed job, a failed one and a video
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id)
    failed_id = submit(front_end)["job_id"]
    fail(front_end, failed_id, ErrorCode.INVALID_MEDIA, "There is no video track.")
    job, failed = (front_end.get(f"{JOBS}/{each}").json() for each in (job_id, failed_id))
    video = front_end.get(f"/api/v1/videos/{job['video_id']}").json()

    # Then it has the fields of the models, in their order
    assert list(job) == list(models.Job.model_fields)
    assert list(job["result"]) == list(ResultLink.model_fields)
    assert list(failed["error"]) == list(models.JobError.model_fields)
    assert list(video) == list(models.Video.model_fields)
    assert list(front_end.get(JOBS).json()) == list(models.JobPage.model_fields)
    assert list(front_end.get("/healthz").json()) == list(models.Alive.model_fields)
    assert list(front_end.get("/readyz").json()) == list(models.Ready.model_fields)


def test_rare_answers_are_as_described(front_end: FrontEnd, document: dict[str, Any]) -> None:
    # Given a completed job and one that is processed
    done, running = (submit(front_end)["job_id"] for _ in range(2))
    complete(front_end, done)
    claim(front_end, running)
    tag, unfinished_tag = (front_end.get(f"{JOBS}/{job_id}").headers["ETag"] for job_id in (done, running))
    poster = f"{JOBS}/{done}/files/poster.jpg"
    stored = f"/storage/results/{done}/output.json"

    # When they are requested in every way that has a different answer
    requested: list[tuple[int, str, str, dict[str, str]]] = [
        (200, JOB, f"{JOBS}/{running}", {}),
        (304, JOB, f"{JOBS}/{done}", {"If-None-Match": tag}),
        (304, JOB, f"{JOBS}/{running}", {"If-None-Match": unfinished_tag}),
        (404, JOB, f"{JOBS}/{done}%2F", {}),
        (409, RESULT, f"{JOBS}/{running}/result", {}),
        (200, FILE, poster, {}),
        (206, FILE, poster, {"Range": "bytes=1-9"}),
        (304, FILE, poster, {"If-None-Match": "*"}),
        (416, FILE, poster, {"Range": "bytes=99999999-"}),
        (404, FILE, f"{JOBS}/{done}/files/nothing", {}),
        (206, STORED, stored, {"Range": "bytes=1-9"}),
        (416, STORED, stored, {"Range": "bytes=99999999-"}),
        (404, STORED, "/storage/results/nothing", {}),
        (422, JOBS, f"{JOBS}?page=0", {}),
        (304, "/openapi.json", "/openapi.json", {"If-None-Match": "*"}),
    ]

    # Then each answer is one that the description promises
    for status, path, address, headers in requested:
        answer = front_end.get(address, headers=headers)
        assert answer.status_code == status, address
        assert_described(document, path, answer)
        if running in address:
            assert "Retry-After" in answer.headers, "or it would count as finished"


def test_refused_uploads_are_as_described(front_end: FrontEnd, document: dict[str, Any]) -> None:
    multipart, plain = {"Content-Type": CONTENT_TYPE}, {"Content-Type": "application/json"}
    sent: list[tuple[int, bytes, dict[str, str]]] = [
        (400, b"--", multipart),
        (404, b'{"video_id": "vid_00000000000000000000000000"}', plain),
        (413, bytes(2 << 20), plain),
        (415, b"", {}),
        (422, b"{}", plain),
    ]
    for status, body, headers in sent:
        answer = requests.post(front_end.api + "/jobs", data=body, headers=headers, timeout=30)
        assert answer.status_code == status
        assert_described(document, JOBS, answer)

    answer = requests.post(front_end.api + "/jobs", data=iter([b"{}"]), headers=plain, timeout=30)
    assert answer.status_code == 411
    assert_described(document, JOBS, answer)


def test_answers_without_redis_are_as_described(own_front_end: FrontEnd, own_redis: RedisServer) -> None:
    document = document_of(own_front_end)
    own_redis.kill()

    assert_described(document, "/readyz", own_front_end.get("/readyz"))
    assert_described(document, JOBS, own_front_end.get(JOBS))
    upload = requests.post(own_front_end.api + "/jobs", files={"file": ("a.mp4", mp4_bytes(1000))}, timeout=30)
    assert upload.status_code == 503
    assert_described(document, JOBS, upload)
    assert own_front_end.get("/openapi.json").json() == document


def test_the_description_names_the_public_address_first(tmp_path: Path) -> None:
    app = unconnected_app(tmp_path, PUBLIC_URL="https://clips.example.com/api")
    client = Client(RequestLog(app))

    servers = json.loads(client.get("/openapi.json").data)["servers"]

    assert [server["url"] for server in servers] == ["https://clips.example.com/api", "/"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [address for name in ("src", "href") if (address := given.get(name))]
        if "style" in given or tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)


def test_the_page_needs_no_other_server(front_end: FrontEnd) -> None:
    # Given the page
    answer = front_end.get("/docs")
    page = _Page()
    page.feed(answer.text)

    # Then its policy allows scripts, styles and requests of this server only
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"

    # And the page complies, and every file that it names exists
    assert page.inline == []
    ours = [address for address in page.addresses if not address.startswith("data:")]
    assert len(ours) == 5
    for address in ours:
        assert re.match(r"/|\w+:", address) is None, "works below the path of a proxy"
        assert front_end.get(f"/{address}").status_code == 200
    assert "http" not in (VIEWER.parent / "docs/page.js").read_text()


def test_the_page_s_files_are_not_sent_again(front_end: FrontEnd) -> None:
    path = "/docs/swagger-ui/swagger-ui-bundle.js"
    first = front_end.get(path)

    assert first.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert front_end.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("name", ["index.html", "swagger-ui/SHA256SUMS", "../app.py", "%2e%2e/app.py", "nothing", ""])
def test_no_other_file_is_next_to_the_page(front_end: FrontEnd, name: str) -> None:
    answer = front_end.get_as_written(f"/docs/{name}")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_the_viewer_is_the_published_one() -> None:
    # After a change: make vendor
    sums = dict(line.split("  ")[::-1] for line in (VIEWER / "SHA256SUMS").read_text().splitlines())

    assert {path.name for path in VIEWER.iterdir()} == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((VIEWER / name).read_bytes()).hexdigest() == digest, name
    version = re.search(r"^SWAGGER_UI := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version is not None
    assert f'"{version[1]}"' in (VIEWER / "swagger-ui-bundle.js").read_text()


def test_the_page_is_part_of_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)

    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    static = {str(path.relative_to(ROOT)) for path in VIEWER.parent.rglob("*") if path.is_file()}
    assert len(static) > 50
    assert static <= packed
