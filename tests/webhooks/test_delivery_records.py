"""Replays, deletions and damage: what the record of deliveries decides."""

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import DeliveryInProgress, StorageFull
from clipzy_storage.jobs.deletion import delete_job
from clipzy_storage.models.deliveries import DeliveryStatus
from clipzy_storage.webhooks.delivery import replay
from tests.support import finished_jobs
from tests.support.webhook_deployment import WebhookDeployment
from tests.support.webhook_receiver import Receiver, status


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
