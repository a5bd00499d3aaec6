"""Large answers and static content: made once, sent in blocks, and to few clients at a time."""

import gzip
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from clipzy_api.concurrency_limits import LARGE_ANSWERS
from clipzy_api.large_answers import BLOCK_BYTES, WHOLE_ANSWER_BYTES, reserved
from clipzy_api.openapi import document
from clipzy_api.result_indexes import ResultIndex
from clipzy_api.server.request_log import RequestLog
from clipzy_api.services import EXTENSION
from clipzy_api.views import docs, jobs, static_files
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.jobs.attempt import AttemptResult
from tests.support.openapi import unconnected_app
from tests.support.played_worker import claim, submit
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import connect, exchange, head

SCRIPT_PATH = "/docs/swagger-ui/swagger-ui-bundle.js"
SCRIPT = static_files.STATIC.joinpath("swagger-ui/swagger-ui-bundle.js").read_bytes()
LARGE_RESULT_BYTES = 16 << 20
"""More than the kernel takes from a server for a client that reads nothing."""


def identified_app(directory: Path, **settings: str) -> Flask:
    """The application, connected to nothing, with the middleware that gives requests their ids."""
    app = unconnected_app(directory, **settings)
    app.wsgi_app = RequestLog(app.wsgi_app)  # type: ignore[method-assign]
    return app


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    with identified_app(tmp_path).test_client() as client:
        yield client


def get(client: FlaskClient, path: str = SCRIPT_PATH, **headers: str) -> Any:
    return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br", "*", "br;q=1.0, gzip;q=0.8", "GZIP"])
def test_a_script_is_compressed_for_clients_that_accept_that(client: FlaskClient, accepted: str) -> None:
    answer = get(client, Accept_Encoding=accepted)

    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.data) < len(SCRIPT) / 3
    assert gzip.decompress(answer.data) == SCRIPT
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip;q=0.1, identity;q=0.5"])
def test_a_script_is_plain_for_others(client: FlaskClient, accepted: str) -> None:
    answer = get(client, Accept_Encoding=accepted)

    assert "Content-Encoding" not in answer.headers
    assert answer.data == SCRIPT
    assert answer.headers["Vary"] == "Accept-Encoding"


def test_a_script_is_not_sent_again_to_a_client_that_has_it(client: FlaskClient) -> None:
    # Given its two forms, which have different ETags
    tags = {accepted: get(client, Accept_Encoding=accepted).headers["ETag"] for accepted in ("gzip", "identity")}
    assert tags["gzip"] != tags["identity"]
    # When a client has one of them, then it is not sent again, and the other is
    for accepted, tag in tags.items():
        answer = get(client, Accept_Encoding=accepted, If_None_Match=tag)
        assert (answer.status_code, answer.data) == (304, b"")
        assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (tag, "no-cache")
    assert get(client, Accept_Encoding="identity", If_None_Match=tags["gzip"]).status_code == 200


def test_static_content_is_made_once(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an application that has described itself and sent a script
    first = get(client, "/openapi.json", Accept_Encoding="gzip")
    get(client)
    # When it can do neither again
    monkeypatch.setattr(gzip, "compress", None)
    monkeypatch.setattr(document, "describe", None)
    monkeypatch.setattr(docs, "describe", None)
    # Then it answers as before
    again = get(client, "/openapi.json", Accept_Encoding="gzip")
    assert (again.status_code, again.data, again.headers["ETag"]) == (200, first.data, first.headers["ETag"])
    assert get(client).status_code == 200


def test_a_description_names_the_servers_of_its_own_application(tmp_path: Path) -> None:
    apps = [identified_app(tmp_path, PUBLIC_URL=url) for url in ("https://a.example", "https://b.example")]
    servers = [app.test_client().get("/openapi.json").get_json()["servers"][0]["url"] for app in apps]
    assert servers == ["https://a.example", "https://b.example"]


def test_a_large_answer_is_sent_in_blocks(client: FlaskClient) -> None:
    blocks = list(client.get(SCRIPT_PATH, buffered=False).iter_encoded())

    assert b"".join(blocks) == SCRIPT
    assert max(map(len, blocks)) == BLOCK_BYTES


def test_a_slot_is_released_when_its_answer_ends(client: FlaskClient) -> None:
    # Given clients that have begun to read a large answer, and others that cannot now
    begun = [client.get(SCRIPT_PATH) for _ in range(LARGE_ANSWERS)]
    refused = client.get(SCRIPT_PATH)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "OVERLOADED")
    assert int(refused.headers["Retry-After"]) > 0
    # And small answers, those to HEAD, and those without a body are not refused
    assert client.get("/docs/page.js").status_code == 200
    assert client.head(SCRIPT_PATH).status_code == 200
    tag = begun[0].headers["ETag"]
    assert client.get(SCRIPT_PATH, headers={"If-None-Match": tag}).status_code == 304
    # When one disconnects, then another is answered
    begun[0].close()
    assert client.get(SCRIPT_PATH).status_code == 200


def publish_large_result(front_end: FrontEnd) -> str:
    """A completed job with a result of ``LARGE_RESULT_BYTES``."""
    job_id: str = submit(front_end)["job_id"]
    attempt = claim(front_end, job_id)
    index = json.dumps({"job_id": job_id, "artifacts": [], "padding": "x" * LARGE_RESULT_BYTES}).encode()
    put_bytes(front_end.storage, attempt.prefix + "output.json", index, content_type="application/json")
    assert attempt.commit(AttemptResult(attempt.job.attempt, attempt.prefix, index)) is not None
    return job_id


def test_slow_readers_of_a_large_result_leave_room_for_others(own_front_end: FrontEnd) -> None:
    # Given as many readers of a large result as are served at a time, that take nothing of it
    job_id = publish_large_result(own_front_end)
    request = head(f"/api/v1/jobs/{job_id}/result", method="GET")
    with ExitStack() as stack:
        for _ in range(LARGE_ANSWERS):
            connection = stack.enter_context(connect(own_front_end.port))
            connection.sendall(request)
            assert connection.recv(1)
        # When another asks for it, then it is refused
        refused = exchange(own_front_end.port, request)
        assert (refused.status, refused.json()["code"]) == (503, "OVERLOADED")
        # And small answers are not
        assert own_front_end.get("/api/v1/jobs?page_size=100").status_code == 200
        assert own_front_end.get(f"/api/v1/jobs/{job_id}").status_code == 200
    # When they disconnect, then it is sent, whole
    assert eventually(lambda: exchange(own_front_end.port, request).status == 200)
    assert len(exchange(own_front_end.port, request).body) > LARGE_RESULT_BYTES > WHOLE_ANSWER_BYTES


def test_the_work_for_large_answers_is_done_for_one_client_at_a_time(tmp_path: Path) -> None:
    app = identified_app(tmp_path)
    both = threading.Barrier(2)

    @app.get("/work")
    def work() -> str:
        with reserved():
            try:
                both.wait(0.5)
            except threading.BrokenBarrierError:
                return "alone"
            return "together"

    # When two clients ask for an answer that is much work, then each is made alone
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(lambda: app.test_client().get("/work").text) for _ in range(2)]
        assert [answer.result() for answer in answers] == ["alone"] * 2


def test_a_large_result_is_refused_before_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a large result that cannot be read, so that it is seen whether anyone tries
    index = ResultIndex(b" " * (WHOLE_ANSWER_BYTES + 1), {})
    monkeypatch.setattr(jobs, "result_index_of", lambda job_id: index)  # noqa: ARG005
    app = identified_app(tmp_path)
    slots = app.extensions[EXTENSION].large_answers
    assert all(slots.acquire() for _ in range(LARGE_ANSWERS))
    # When no slot is free, then nobody does
    answer = app.test_client().get("/api/v1/jobs/job_large/result")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "OVERLOADED")


def test_work_without_a_slot_is_refused_before_it_is_begun(tmp_path: Path) -> None:
    app = identified_app(tmp_path)
    begun: list[str] = []

    @app.get("/work")
    def work() -> Response:
        with reserved():
            begun.append("x")
            return Response("x" * (WHOLE_ANSWER_BYTES + 1))

    # Given as many clients as are answered at a time, when another asks, then no work is done for it
    client = app.test_client()
    answers = [client.get("/work") for _ in range(LARGE_ANSWERS)]
    assert client.get("/work").status_code == 503
    assert len(begun) == len(answers)
    # And as soon as one of them has its answer, it is
    answers[0].close()
    assert client.get("/work").status_code == 200


def test_an_answer_that_is_sent_holds_no_slot(own_front_end: FrontEnd) -> None:
    job_id = publish_large_result(own_front_end)
    for _ in range(LARGE_ANSWERS + 1):
        assert own_front_end.get(f"/api/v1/jobs/{job_id}/result").status_code == 200


def test_the_application_is_described_with_the_refusal(client: FlaskClient) -> None:
    app: Flask = client.application
    described = document.describe(app, servers=["/"], asks_for_keys=False)["paths"]
    for path in ("/openapi.json", "/api/v1/jobs", "/api/v1/jobs/{job_id}/result"):
        assert "OVERLOADED" in json.dumps(described[path]["get"]["responses"]["503"])
