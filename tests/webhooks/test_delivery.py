"""What a receiver gets, and what its answers lead to."""

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import structlog
from standardwebhooks import WebhookVerificationError

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import DeliveryInProgress, StorageFull
from clipzy_storage.jobs.completion import complete_job
from clipzy_storage.jobs.deletion import delete_job
from clipzy_storage.models.answers import Job as ShownJob
from clipzy_storage.models.deliveries import DeliveryStatus
from clipzy_storage.models.records import ErrorCode, rfc3339
from clipzy_storage.webhooks.delivery import replay
from clipzy_storage.webhooks.schedule import DELAYS_SECONDS
from clipzy_storage.webhooks.signatures import secrets_of
from tests.support import finished_jobs
from tests.support.jobs import attempt_at, reap_twice
from tests.support.webhook_deployment import WebhookDeployment
from tests.support.webhook_receiver import OTHER_SECRET, SECRET, Receiver, drip, running_receiver, silence, status

CANARY = "canary-of-a-token"


def test_a_receiver_gets_the_job_as_clients_see_it(deployment: WebhookDeployment, receiver: Receiver) -> None:
    # Given a job that was completed
    job = deployment.completed(receiver.url("/hook?a=b"))
    # When what is due is delivered
    assert deployment.deliver() == [job.job_id]
    # Then the receiver can verify it, and has the job as GET shows it
    (one,) = receiver.received
    event = one.event()
    assert (event["type"], event["timestamp"]) == ("job.completed", rfc3339(job.finished_at))
    link = deployment.links.to_result_of(job)
    assert event["data"] == ShownJob.of(job, link).model_dump(mode="json")
    assert (one.path, one.headers["content-type"]) == ("/hook?a=b", "application/json")
    # And the log of deliveries has it, as the last thing that happens
    record = deployment.record(job)
    assert record.status is DeliveryStatus.DELIVERED
    assert [(attempt.status_code, attempt.error) for attempt in record.attempts] == [(204, None)]
    assert record.delivery_id == one.webhook_id
    assert deployment.deliver() == []
    assert deployment.due_in_seconds(job) is None


def test_failed_and_cancelled_jobs_are_announced_too(deployment: WebhookDeployment, receiver: Receiver) -> None:
    failing, cancelled, lost = (
        finished_jobs.accepted(deployment.store, deployment.storage, webhook_url=receiver.url()) for _ in range(3)
    )
    attempt_at(deployment.store, deployment.storage, failing.job_id).fail(ErrorCode.INVALID_MEDIA, "it is no video")
    request = deployment.store.request_cancellation(cancelled.job_id, nonce="n")
    assert complete_job(deployment.store, deployment.storage, cancelled.job_id, request.token)
    for _ in range(3):  # its workers are lost three times
        attempt_at(deployment.store, deployment.storage, lost.job_id)
        reaped = reap_twice(deployment.store, deployment.redis.client)
    for job_id, token in reaped.adopted:
        complete_job(deployment.store, deployment.storage, job_id, token)

    assert len(deployment.deliver()) == 3
    events = {one.event()["data"]["job_id"]: one.event() for one in receiver.received}
    assert events[failing.job_id]["type"] == events[lost.job_id]["type"] == "job.failed"
    assert events[failing.job_id]["data"]["error"]["code"] == "INVALID_MEDIA"
    assert events[lost.job_id]["data"]["error"]["code"] == "WORKER_LOST"
    assert (events[cancelled.job_id]["type"], events[cancelled.job_id]["data"]["result"]) == ("job.cancelled", None)


def test_a_job_without_a_webhook_is_not_announced(deployment: WebhookDeployment) -> None:
    job = deployment.completed(None)
    assert deployment.due_in_seconds(job) is None


def test_each_of_two_secrets_verifies_a_delivery(tmp_path: Path, redis_url: str, receiver: Receiver) -> None:
    # Given two secrets, as while receivers change from one to the other
    deployment = WebhookDeployment(tmp_path / "storage", redis_url, {"WEBHOOK_SECRETS": f"{OTHER_SECRET},{SECRET}"})
    jobs = [deployment.completed(receiver.url(), owner=owner) for owner in ("everyone", "anna")]
    deployment.deliver()
    ((ours,), (annas,)) = (receiver.of(job.job_id) for job in jobs)
    # Then each of them is enough; another owner has secrets of its own
    for secret in (OTHER_SECRET, SECRET):
        ours.event(secret=secret)
        with pytest.raises(WebhookVerificationError):
            annas.event(secret=secret)
    for secret in secrets_of("anna", (OTHER_SECRET, SECRET)):
        annas.event(secret=secret)


def test_a_failing_receiver_is_tried_for_an_hour_and_a_day(deployment: WebhookDeployment, receiver: Receiver) -> None:
    # Given a receiver that answers 500
    receiver.otherwise = status(500, b"x" * 1000)
    job = deployment.completed(receiver.url())
    # When time passes, as much each time as is left to the next attempt
    passed, times = 0.0, []
    while (seconds := deployment.due_in_seconds(job)) is not None:
        deployment.let_pass(seconds + 1)
        passed += max(seconds, 0)
        times.append(passed)
        assert deployment.deliver() == [job.job_id]
    # Then there were as many attempts as the schedule has, all under one id
    assert times == [sum(DELAYS_SECONDS[:number]) for number in range(9)]
    assert len({one.webhook_id for one in receiver.received}) == 1
    assert [one.event()["type"] for one in receiver.received] == ["job.completed"] * 9
    # And then it is given up, with the beginning of each answer in the log
    record = deployment.record(job)
    assert (record.status, record.next_attempt_at) == (DeliveryStatus.FAILED, None)
    assert [attempt.response for attempt in record.attempts] == ["x" * 500] * 9


def test_a_receiver_that_recovers_after_an_hour_has_it(deployment: WebhookDeployment, receiver: Receiver) -> None:
    receiver.otherwise = status(500)
    job = deployment.completed(receiver.url())
    for _ in range(6):  # at once, and after 5 s, 20 s, 60 s, 5 min and 30 min
        deployment.deliver()
        deployment.let_pass((deployment.due_in_seconds(job) or 0) + 1)
    receiver.otherwise = status(200)
    deployment.deliver()
    record = deployment.record(job)
    assert record.status is DeliveryStatus.DELIVERED
    assert [attempt.status_code for attempt in record.attempts] == [500] * 6 + [200]


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ("120", 120),
        ("1", 5),
        ("999999999", 24 * 3600),
        ("soon", 5),
        ("-7", 5),
        (f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", 5),
        (f"Mon, 01 Jan 2029 00:00:00 +{'9' * 20}", 5),
        (lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True), 600),
    ],
)
def test_retry_after_is_honoured(deployment: WebhookDeployment, receiver: Receiver, sent: Any, seconds: int) -> None:
    receiver.answers = [status(503, Retry_After=sent if isinstance(sent, str) else sent())]
    job = deployment.completed(receiver.url())
    deployment.deliver()
    due = deployment.due_in_seconds(job)
    assert due is not None
    assert abs(due - seconds) <= 2


def test_gone_is_for_good(deployment: WebhookDeployment, receiver: Receiver) -> None:
    receiver.answers = [status(410)]
    job = deployment.completed(receiver.url())
    deployment.deliver()
    assert deployment.due_in_seconds(job) is None
    assert deployment.record(job).status is DeliveryStatus.FAILED


@pytest.mark.parametrize("code", [200, 201, 299])
def test_any_2xx_is_success(deployment: WebhookDeployment, receiver: Receiver, code: int) -> None:
    receiver.answers = [status(code, b"\xff thanks")]
    job = deployment.completed(receiver.url())
    deployment.deliver()
    record = deployment.record(job)
    assert record.status is DeliveryStatus.DELIVERED
    assert record.attempts[0].response == "\ufffd thanks"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(deployment: WebhookDeployment, receiver: Receiver, code: int) -> None:
    """Whether they lead to where a delivery may go, or to a private address."""
    with running_receiver("127.0.0.9") as private:
        receiver.otherwise = status(code, Location=private.url())
        job = deployment.completed(receiver.url())
        deployment.deliver()
        assert private.received == []
    assert deployment.record(job).attempts[0].status_code == code
    assert deployment.due_in_seconds(job) == DELAYS_SECONDS[0]


@pytest.mark.parametrize("kind", ["silent", "slow head", "slow body that fails"])
def test_a_receiver_that_hangs_costs_the_time_limit(
    tmp_path: Path, redis_url: str, receiver: Receiver, over: threading.Event, kind: str
) -> None:
    deployment = WebhookDeployment(tmp_path / "storage", redis_url, timeout_seconds=0.5)
    receiver.otherwise = {
        "silent": silence(over),
        "slow head": drip(over),
        "slow body that fails": drip(over, after=b"HTTP/1.1 500 No\r\nContent-Length: 400\r\n\r\n"),
    }[kind]
    job = deployment.completed(receiver.url())
    deployment.deliver()
    (attempt,) = deployment.record(job).attempts
    assert 0.4 <= attempt.duration_seconds <= 3
    if kind == "slow body that fails":
        assert attempt.status_code == 500
        assert set(attempt.response) == {"X"}
    else:
        assert (attempt.status_code, attempt.error) == (None, "the server did not answer in time")
    assert deployment.due_in_seconds(job) == DELAYS_SECONDS[0]


def test_a_success_with_a_slow_body_is_a_success(
    tmp_path: Path, redis_url: str, receiver: Receiver, over: threading.Event
) -> None:
    deployment = WebhookDeployment(tmp_path / "storage", redis_url, timeout_seconds=0.5)
    receiver.otherwise = drip(over, after=b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n")
    job = deployment.completed(receiver.url())
    deployment.deliver()
    assert deployment.record(job).status is DeliveryStatus.DELIVERED


def test_a_slow_host_is_known_however_it_is_written(
    tmp_path: Path, redis_url: str, receiver: Receiver, over: threading.Event
) -> None:
    # Given a host that was slow at its last attempt
    allowed = {"ALLOW_PRIVATE_ADDRESSES": "127.0.0.1,::1"}
    deployment = WebhookDeployment(tmp_path / "storage", redis_url, allowed, timeout_seconds=1.2)
    receiver.otherwise = silence(over)
    deployment.completed(receiver.url(host="localhost"), pictures={})
    deployment.deliver()
    # When it has as many attempts as it may, each under another name or port
    with running_receiver() as other_port:
        hosts = ["localhost", "LOCALHOST", "LocalHost", "locaLhost", "localhosT"]
        jobs = [deployment.completed(other_port.url(host=host), pictures={}) for host in hosts]
        other_port.otherwise = silence(over)
        token = "a worker's"
        assert len(deployment.due.claim(limit=10, token=token)) == 5
        threads = [
            threading.Thread(target=deployment.delivery.attempt, args=[job.job_id], kwargs={"token": token})
            for job in jobs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Then one of the five has to wait
        assert len(other_port.received) == 4


def test_a_malformed_body_is_not_kept_beyond_its_beginning(deployment: WebhookDeployment, receiver: Receiver) -> None:
    malformed = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + b"x" * 100_000
    receiver.answers = [lambda request: request.wfile.write(malformed)]
    job = deployment.completed(receiver.url())
    deployment.deliver()
    (attempt,) = deployment.record(job).attempts
    assert (attempt.status_code, attempt.response) == (200, "x" * 500)


def test_a_receiver_that_refuses_is_tried_again(deployment: WebhookDeployment, receiver: Receiver) -> None:
    url = receiver.url()
    job = deployment.completed(f"{url.rpartition(':')[0]}:1/hook?token={CANARY}")
    with structlog.testing.capture_logs() as logged:
        deployment.deliver()
    (attempt,) = deployment.record(job).attempts
    assert (attempt.status_code, attempt.error) == (None, "the connection to the server failed or broke")
    assert deployment.due_in_seconds(job) == DELAYS_SECONDS[0]
    # And nothing shows the URL
    assert CANARY not in json.dumps(logged, default=str)
    assert CANARY.encode() not in read_bytes(deployment.storage, keys.deliveries(job.job_id))
    assert CANARY not in repr(job)


@pytest.mark.parametrize("host", ["127.0.0.9", "localhost", "2130706441", "[::1]", "169.254.169.254", "0"])
def test_a_private_address_gets_nothing(tmp_path: Path, redis_url: str, host: str) -> None:
    """A name is looked up when it is delivered, and may lead elsewhere than when the job was submitted."""
    deployment = WebhookDeployment(tmp_path / "storage", redis_url, {"ALLOW_PRIVATE_ADDRESSES": "10.0.0.0/8"})
    with running_receiver("127.0.0.9") as private:
        job = deployment.completed(private.url(host=host))
        deployment.deliver()
        assert private.received == []
    (attempt,) = deployment.record(job).attempts
    assert attempt.error == "the URL is refused: its host has an address to which this service does not connect"
    assert deployment.due_in_seconds(job) == DELAYS_SECONDS[0]


def test_a_replay_is_the_same_event_once_more(deployment: WebhookDeployment, receiver: Receiver) -> None:
    # Given a delivery that was given up
    receiver.answers = [status(410)]
    job = deployment.completed(receiver.url())
    deployment.deliver()
    # When it is replayed
    record = replay(deployment.due, deployment.storage, job)
    assert (record.status, record.scheduled) == (DeliveryStatus.PENDING, 0)
    # Then the receiver gets it under the same id, and the log has both
    assert deployment.deliver() == [job.job_id]
    first, second = receiver.received
    assert (first.webhook_id, first.event()["data"]["job_id"]) == (second.webhook_id, job.job_id)
    assert [attempt.status_code for attempt in deployment.record(job).attempts] == [410, 204]


def test_a_replay_waits_for_an_attempt_in_progress(deployment: WebhookDeployment, receiver: Receiver) -> None:
    job = deployment.completed(receiver.url())
    assert deployment.due.claim(limit=1, token="a worker's") == [job.job_id]
    with pytest.raises(DeliveryInProgress):
        replay(deployment.due, deployment.storage, job)
    deployment.delivery.attempt(job.job_id, token="a worker's")
    assert replay(deployment.due, deployment.storage, job).status is DeliveryStatus.PENDING


def test_what_one_process_delivers_no_other_does(deployment: WebhookDeployment, receiver: Receiver) -> None:
    job = deployment.completed(receiver.url())
    assert deployment.due.claim(limit=5, token="first") == [job.job_id]
    assert deployment.due.claim(limit=5, token="second") == []
    # Unless its lease has expired: then what it says about it is void
    deployment.let_pass(61)
    assert deployment.due.claim(limit=5, token="second") == [job.job_id]
    deployment.due.settle(job.job_id, token="first", delay_seconds=None)
    assert deployment.due_in_seconds(job) is not None
    deployment.due.settle(job.job_id, token="second", delay_seconds=None)
    assert deployment.due_in_seconds(job) is None


def test_a_deleted_job_is_not_announced(deployment: WebhookDeployment, receiver: Receiver) -> None:
    receiver.otherwise = status(500)
    job = deployment.completed(receiver.url())
    deployment.deliver()
    assert deployment.storage.exists(keys.deliveries(job.job_id))
    delete_job(deployment.storage, deployment.admin, job)
    assert deployment.due_in_seconds(job) is None
    assert finished_jobs.files_of(deployment.storage, job.job_id) == []


def test_a_job_that_is_deleted_during_its_attempt_is_gone(deployment: WebhookDeployment, receiver: Receiver) -> None:
    job = deployment.completed(receiver.url())

    def delete_meanwhile(request: BaseHTTPRequestHandler) -> None:
        delete_job(deployment.storage, deployment.admin, job)
        status(500)(request)

    receiver.answers = [delete_meanwhile]
    deployment.deliver()
    assert len(receiver.received) == 1
    assert finished_jobs.files_of(deployment.storage, job.job_id) == []
    deployment.let_pass(3600)
    deployment.deliver()
    assert len(receiver.received) == 1
    assert deployment.due_in_seconds(job) is None


def test_without_room_for_the_record_the_event_is_not_sent_all_the_time(
    deployment: WebhookDeployment, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = deployment.completed(receiver.url())

    def full(*_: Any, **__: Any) -> None:
        raise StorageFull("no space is left")

    with monkeypatch.context() as patched, structlog.testing.capture_logs() as logged:
        patched.setattr(LocalStorage, "replace", full)  # a disk that is full only then cannot be had
        deployment.deliver()
    assert [line["event"] for line in logged] == ["webhook.record_failed"]
    assert (len(receiver.received), deployment.due_in_seconds(job)) == (1, 3600)


def test_a_damaged_record_is_kept_and_looked_at_again(deployment: WebhookDeployment, receiver: Receiver) -> None:
    job = deployment.completed(receiver.url())
    deployment.storage.replace(keys.deliveries(job.job_id), b"{", content_type="application/json")
    with structlog.testing.capture_logs() as logged:
        deployment.deliver()
    assert [line["event"] for line in logged] == ["webhook.record_failed"]
    assert read_bytes(deployment.storage, keys.deliveries(job.job_id)) == b"{"
    assert deployment.due_in_seconds(job) == 3600
    assert receiver.received == []


def test_links_are_signed_for_each_attempt(tmp_path: Path, redis_url: str, receiver: Receiver) -> None:
    settings = {"CLIPZY_AUTH": "keys", "PUBLIC_URL": "https://clips.example.com", "S3_PRESIGN_EXPIRES_SECONDS": "60"}
    deployment = WebhookDeployment(tmp_path / "storage", redis_url, settings)
    job = deployment.completed(receiver.url())
    deployment.deliver()
    replay(deployment.due, deployment.storage, job)
    deployment.deliver()
    for one in receiver.received:
        result = one.event()["data"]["result"]
        assert result["storage_url"].startswith(f"https://clips.example.com/storage/results/{job.job_id}/output.json?")
        assert datetime.fromisoformat(result["expires_at"]) > datetime.now(UTC)


def test_the_secrets_here_are_secrets() -> None:
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in (SECRET, OTHER_SECRET)} == {32}
