"""What a receiver gets: the event of a job's end, verified by its signature."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import WebhookVerificationError

from clipzy_storage.jobs.completion import complete_job
from clipzy_storage.models.answers import Job as ShownJob
from clipzy_storage.models.deliveries import DeliveryStatus
from clipzy_storage.models.records import ErrorCode, rfc3339
from clipzy_storage.webhooks.delivery import replay
from clipzy_storage.webhooks.signatures import secrets_of
from tests.support import finished_jobs
from tests.support.jobs import attempt_at, reap_twice
from tests.support.webhook_deployment import WebhookDeployment
from tests.support.webhook_receiver import OTHER_SECRET, SECRET, Receiver


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
