"""What the answer of a receiver leads to."""

import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.models.deliveries import DeliveryStatus
from clipzy_storage.webhooks.schedule import DELAYS_SECONDS
from tests.support.webhook_deployment import WebhookDeployment
from tests.support.webhook_receiver import Receiver, drip, running_receiver, silence, status

CANARY = "canary-of-a-token"


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
