"""Errors from every layer have one shape, and every answer carries a request id."""

import pytest
import redis
import requests

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes, put_json
from clipzy_storage.log_events import STORAGE_DAMAGED
from tests.support.log_lines import events_in
from tests.support.played_worker import submit
from tests.support.servers import FrontEnd
from tests.support.wire import answer_on, connect, exchange

PROBLEM = "application/problem+json"
HOST = "Host: localhost\r\n"

# What docs/api.md lists as answered by the server below the front end.
SERVER_REFUSALS = {
    "no request line": ("garbage\r\n\r\n", 400),
    "method": (f"G@T /healthz HTTP/1.1\r\n{HOST}\r\n", 400),
    "version": (f"GET /healthz HTTP/3.0\r\n{HOST}\r\n", 400),
    "header name": (f"GET /healthz HTTP/1.1\r\n{HOST}a b: c\r\n\r\n", 400),
    "header in two lines": (f"GET /healthz HTTP/1.1\r\n{HOST}a: b\r\n c\r\n\r\n", 400),
    "no length": (f"POST /healthz HTTP/1.1\r\n{HOST}Content-Length: x\r\n\r\n", 400),
    "two lengths": (f"POST /healthz HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "coding": (f"POST /healthz HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip\r\n\r\n", 400),
    "address": (f"GET /{'a' * 66_000} HTTP/1.1\r\n{HOST}\r\n", 414),
    "number of headers": (f"GET /healthz HTTP/1.1\r\n{HOST}" + "a: b\r\n" * 100 + "\r\n", 431),
}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/page/nothing.js", 404, "NOT_FOUND"),
        ("GET", "/api/v1", 404, "NOT_FOUND"),
        ("GET", "/api/v1/jobs/", 404, "NOT_FOUND"),
        ("GET", "/api/v1/jobs/job_nonsense", 404, "JOB_NOT_FOUND"),
        ("GET", "/api/v1/jobs/job_00000000000000000000000000", 404, "JOB_NOT_FOUND"),
        ("GET", "/api/v1/jobs/job_00000000000000000000000000/result", 404, "JOB_NOT_FOUND"),
        ("GET", "/api/v1/jobs/job_00000000000000000000000000/files/output.json", 404, "JOB_NOT_FOUND"),
        ("GET", "/api/v1/videos/vid_00000000000000000000000000", 404, "VIDEO_NOT_FOUND"),
        ("GET", "/storage/results/job_00000000000000000000000000/output.json", 404, "FILE_NOT_FOUND"),
        ("PUT", "/api/v1/jobs", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/api/v1/videos", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/readyz", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/api/v1/videos", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_every_error_is_a_problem(front_end: FrontEnd, method: str, path: str, status: int, code: str) -> None:
    answer = requests.request(method, front_end.url + path, timeout=30)

    problem = answer.json()
    assert answer.headers["Content-Type"] == PROBLEM
    assert answer.status_code == problem["status"] == status
    assert problem["code"] == code
    assert problem["title"]
    assert problem["detail"]


@pytest.mark.parametrize("case", SERVER_REFUSALS)
def test_what_is_not_http_is_refused_without_a_body(front_end: FrontEnd, case: str) -> None:
    request, status = SERVER_REFUSALS[case]
    with connect(front_end.port) as connection:
        connection.sendall(request.encode())
        answer = answer_on(connection)
        assert connection.recv(1) == b"", "it stays open"
    assert (answer.status, answer.body) == (status, b"")


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        ("GET http://evil.test/nothing HTTP/1.1", 404, "NOT_FOUND"),
        ("OPTIONS * HTTP/1.1", 404, "NOT_FOUND"),
        ("CONNECT evil.test:80 HTTP/1.1", 404, "NOT_FOUND"),
        ("PROPFIND /api/v1/jobs HTTP/1.1", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_unusual_requests_are_answered_with_problems(
    front_end: FrontEnd, request_line: str, status: int, code: str
) -> None:
    answer = exchange(front_end.port, f"{request_line}\r\n{HOST}\r\n".encode())
    assert (answer.status, answer.headers["content-type"], answer.json()["code"]) == (status, PROBLEM, code)


def test_a_wrong_method_names_the_right_ones(front_end: FrontEnd) -> None:
    answer = requests.delete(front_end.api + "/jobs", timeout=30)

    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/api/v1/jobs"])
def test_every_answer_has_a_request_id(front_end: FrontEnd, path: str) -> None:
    first, second = (front_end.get(path).headers["X-Request-ID"] for _ in range(2))
    echoed = front_end.get(path, headers={"X-Request-ID": "abc-1.2:3"}).headers["X-Request-ID"]
    replaced = front_end.get(path, headers={"X-Request-ID": 'no "spaces"'}).headers["X-Request-ID"]

    assert first != second
    assert echoed == "abc-1.2:3"
    assert replaced not in ("", 'no "spaces"')


def test_a_damaged_record_is_for_the_operator(front_end: FrontEnd) -> None:
    # Given a video whose record was damaged by hand, and a job that a later version has written
    video_id, job_id = keys.new_id("vid"), keys.new_id("job")
    put_bytes(front_end.storage, keys.video_record(video_id), b"\x00 not json", content_type="application/json")
    put_json(front_end.storage, keys.done_job(job_id), {"schema_version": 99})

    # When they are requested
    for path in (f"videos/{video_id}", f"jobs/{job_id}", f"jobs/{job_id}/result"):
        answer = front_end.get(f"/api/v1/{path}")

        # Then the client may retry, and the log names the file
        assert (answer.status_code, answer.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert "json" not in answer.json()["detail"].lower()
    log = front_end.log.read_text()
    assert events_in(log, STORAGE_DAMAGED, reason=f"{keys.video_record(video_id)} is damaged")
    assert events_in(log, STORAGE_DAMAGED, reason=f"{keys.done_job(job_id)} has schema version 99")


def test_the_unexpected_shows_a_request_id_and_nothing_else(front_end: FrontEnd) -> None:
    # Given a record in Redis with a time that no clock can show
    job_id = submit(front_end)["job_id"]
    key = f"{keys.REDIS_PREFIX}job:{job_id}"
    with redis.Redis.from_url(front_end.redis_url) as client:
        created_ms = client.hget(key, "created_ms")
        client.hset(key, "created_ms", "9" * 30)

    # When it is requested
    answer = front_end.get(f"/api/v1/jobs/{job_id}", headers={"X-Request-ID": "damaged-1"})

    # Then the client gets only an id to report, and the log has the details
    problem = answer.json()
    assert answer.status_code == 500
    assert (problem["code"], problem["request_id"]) == ("INTERNAL", "damaged-1")
    assert set(problem) == {"title", "status", "detail", "code", "request_id"}
    assert "timestamp" not in problem["detail"]
    with redis.Redis.from_url(front_end.redis_url) as client:
        client.hset(key, "created_ms", created_ms)  # or it would be in the way of listings
    log = front_end.log.read_text()
    assert "Traceback" in log
    assert "damaged-1" in log
