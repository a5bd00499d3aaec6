"""`GET /metrics` of a real front end: its names, what its requests count, and who may read it."""

import http.client
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.metrics.definitions import METRICS
from clipzy_storage.models.access import Scope
from clipzy_storage.models.records import Queue
from tests.support.forms import mp4_bytes
from tests.support.jobs import claimed, submitted
from tests.support.requirements import missing
from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis
from tests.support.waiting import eventually

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[FrontEnd]:
    with running_front_end(tmp_path_factory.mktemp("web"), redis.url) as running:
        yield running


def metrics_of(front_end: FrontEnd) -> dict[str, float]:
    """Every sample, by its name with its labels."""
    answer = front_end.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value_of(front_end: FrontEnd, name: str, **labels: str) -> float:
    return metrics_of(front_end).get(name + str(sorted(labels.items())), 0)


def test_the_names_are_those_of_the_table_and_no_others(front_end: FrontEnd) -> None:
    answer = front_end.get("/metrics")

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    types = dict(line.split(" ")[2:] for line in answer.text.splitlines() if line.startswith("# TYPE"))
    assert types == {name: metric.kind for name, metric in METRICS.items()}
    assert "_created" not in answer.text


@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
def test_a_version_that_is_none_is_answered_in_the_plain_format(front_end: FrontEnd, kind: str) -> None:
    answer = front_end.get("/metrics", headers={"Accept": f"{kind}; version=1.0.0-rc.1"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")


def test_prometheus_gets_the_format_that_it_prefers(front_end: FrontEnd) -> None:
    answer = front_end.get("/metrics", headers=OPENMETRICS)

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]
    assert names == {name.removesuffix("_total") for name in METRICS}


def test_promtool_finds_nothing_to_complain_about(front_end: FrontEnd) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool (Debian's package prometheus)")
    text = front_end.get("/metrics").text

    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_requests_are_counted_by_call_and_never_by_address(front_end: FrontEnd) -> None:
    # Given requests to one call under several addresses, to no call, and with a method that is none
    for number in range(3):
        front_end.get(f"/api/v1/jobs/job_{number:026}")
    front_end.get("/wp-login.php")
    connection = http.client.HTTPConnection("127.0.0.1", front_end.port, timeout=30)
    connection.request("BREW", "/coffee")
    connection.getresponse().read()
    connection.close()

    # Then they are counted once the process has handed its counts on
    name, seconds = "clipzy_http_requests_total", "clipzy_http_request_seconds_count"
    job = {"method": "GET", "endpoint": "jobs.show_job", "status": "404"}
    eventually(lambda: value_of(front_end, name, **job) == 3, "three requests")
    assert value_of(front_end, seconds, endpoint="jobs.show_job") == 3
    assert value_of(front_end, name, method="GET", endpoint="none", status="404") == 1
    assert value_of(front_end, name, method="other", endpoint="none", status="404") == 1
    assert "wp-login" not in front_end.get("/metrics").text


@pytest.mark.parametrize("method", ["form", "raw", "tus"])
def test_the_bytes_of_uploads_are_counted_by_method(front_end: FrontEnd, method: str) -> None:
    content = mp4_bytes(200_000)
    before = value_of(front_end, "clipzy_upload_bytes_total", method=method)
    if method == "form":
        answer = front_end.post("/api/v1/videos", files={"file": ("a.mp4", content)})
    elif method == "raw":
        headers = {"Content-Type": "video/mp4"}
        answer = front_end.post("/api/v1/videos?filename=a.mp4", data=content, headers=headers)
    else:
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(content)),
            "Content-Type": "application/offset+octet-stream",
        }
        answer = front_end.post("/api/v1/uploads", data=content, headers=headers)
    assert answer.status_code == 201, answer.text

    def more() -> float:
        return value_of(front_end, "clipzy_upload_bytes_total", method=method) - before

    assert len(content) <= eventually(more, "bytes that are counted") < len(content) + 1000


def test_the_gauges_show_what_is_now(front_end: FrontEnd) -> None:
    # Given waiting jobs of both queues, one that is held, and one that has finished
    submitted(front_end.store, source_size_bytes=300)
    for queue in (Queue.BATCH, Queue.BATCH):
        submitted(front_end.store, source_size_bytes=7, queue=queue)
    claimed(front_end.store, submitted(front_end.store).job_id)

    # Then they are counted at once
    assert value_of(front_end, "clipzy_queue_jobs", queue="interactive") == 1
    assert value_of(front_end, "clipzy_queue_bytes", queue="interactive") == 300
    assert value_of(front_end, "clipzy_queue_bytes", queue="batch") == 14
    assert value_of(front_end, "clipzy_jobs", state="queued") == 3
    assert value_of(front_end, "clipzy_jobs", state="processing") == 1
    assert value_of(front_end, "clipzy_queue_oldest_seconds", queue="batch") > 0
    assert value_of(front_end, "clipzy_workers") == value_of(front_end, "clipzy_worker_slots", state="free") == 0
    assert value_of(front_end, "clipzy_storage_free_bytes") > 1 << 20
    assert value_of(front_end, "clipzy_redis_memory_bytes") > 1 << 19


def test_it_answers_whatever_name_it_is_asked_by(front_end: FrontEnd) -> None:
    assert front_end.get("/metrics", headers={"Host": "clipzy-web.monitoring.svc"}).status_code == 200


def test_what_a_front_end_has_counted_is_kept_when_it_stops(
    tmp_path: Path, redis: RedisServer, front_end: FrontEnd
) -> None:
    # Given a second front end of the deployment, which has answered a request a moment ago
    labels = {"method": "GET", "endpoint": "me.show_me", "status": "200"}
    with running_front_end(tmp_path, redis.url, storage_path=front_end.root) as other:
        assert other.get("/api/v1/me").status_code == 200
        # When it stops
    # Then the first one shows the request, though it has not answered it: one target covers all
    assert value_of(front_end, "clipzy_http_requests_total", **labels) == 1


def test_with_keys_it_needs_one_with_the_scope_metrics(tmp_path: Path, redis: RedisServer, front_end: FrontEnd) -> None:
    with running_front_end(tmp_path, redis.url, storage_path=front_end.root, CLIPZY_AUTH="keys") as guarded:

        def status(*scopes: Scope) -> int:
            made = ApiKeys(guarded.storage).create("prometheus", owner="everyone", scopes=scopes, expires_at=None)
            headers = {"Authorization": f"Bearer {made[1]}"}
            eventually(lambda: guarded.get("/metrics", headers=headers).status_code != 401, "a key that is known")
            return guarded.get("/metrics", headers=headers).status_code

        assert guarded.get("/metrics").status_code == 401
        assert status(Scope.METRICS) == 200
        assert status(Scope.READ, Scope.WRITE, Scope.ADMIN) == 403


def test_without_redis_it_is_unavailable(own_front_end: FrontEnd, own_redis: RedisServer) -> None:
    own_redis.kill()

    answer = own_front_end.get("/metrics")

    assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
