"""Redis is lost: what was still to be delivered is delivered, and what was delivered is not sent again."""

from datetime import timedelta

import pytest

from clipzy_storage import keys
from clipzy_storage.jobs.deletion import delete_job
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.models.deliveries import DeliveryStatus
from clipzy_storage.models.records import Job
from clipzy_storage.webhooks.delivery import replay
from tests.support.webhook_deployment import WebhookDeployment
from tests.support.webhook_receiver import Receiver, status


@pytest.fixture
def lost(deployment: WebhookDeployment) -> "Lost":
    return Lost(deployment)


class Lost:
    """The loss of everything in Redis, and what a janitor does about it."""

    def __init__(self, deployment: WebhookDeployment) -> None:
        self.deployment = deployment

    def now(self) -> None:
        self.deployment.redis.client.flushdb()
        Recovery(self.deployment.store, self.deployment.admin, self.deployment.storage).rebuild()


def test_an_end_that_was_not_announced_is(deployment: WebhookDeployment, receiver: Receiver, lost: Lost) -> None:
    job = deployment.completed(receiver.url())
    before = deployment.record(job).delivery_id
    lost.now()
    assert deployment.deliver() == [job.job_id]
    assert receiver.received[0].webhook_id == before


def test_a_failing_delivery_goes_on(deployment: WebhookDeployment, receiver: Receiver, lost: Lost) -> None:
    receiver.answers = [status(500)]
    job = deployment.completed(receiver.url())
    deployment.deliver()
    lost.now()
    assert deployment.deliver() == [job.job_id]
    assert [attempt.status_code for attempt in deployment.record(job).attempts] == [500, 204]
    assert len({one.webhook_id for one in receiver.received}) == 1


@pytest.mark.parametrize("answer", [204, 410])
def test_what_has_ended_is_not_sent_again(
    deployment: WebhookDeployment, receiver: Receiver, lost: Lost, answer: int
) -> None:
    receiver.answers = [status(answer)]
    job = deployment.completed(receiver.url())
    deployment.deliver()
    lost.now()
    deployment.deliver()
    assert len(receiver.received) == 1
    assert deployment.due_in_seconds(job) is None


def test_a_replay_is_not_lost(deployment: WebhookDeployment, receiver: Receiver, lost: Lost) -> None:
    job = deployment.completed(receiver.url())
    deployment.deliver()
    replay(deployment.due, deployment.storage, job)
    lost.now()
    deployment.deliver()
    assert len(receiver.received) == 2
    assert deployment.record(job).status is DeliveryStatus.DELIVERED


def test_an_end_of_some_days_ago_is_left_alone(deployment: WebhookDeployment, receiver: Receiver) -> None:
    """Unless it is replayed: a receiver does not expect it any more."""

    def restored(job: Job, days: float) -> Job:
        assert job.finished_at
        old = job.model_copy(update={"finished_at": job.finished_at - timedelta(days=days)})
        assert deployment.admin.forget(job.job_id, while_it_is="final") == "forgotten"
        assert deployment.admin.restore(old) == "restored"
        return old

    recent, old = (restored(deployment.completed(receiver.url()), days) for days in (2.9, 3.1))
    assert deployment.due_in_seconds(recent) == 0
    assert deployment.due_in_seconds(old) is None


def test_a_deleted_job_stays_silent(deployment: WebhookDeployment, receiver: Receiver, lost: Lost) -> None:
    receiver.otherwise = status(500)
    job = deployment.completed(receiver.url())
    deployment.deliver()
    delete_job(deployment.storage, deployment.admin, job)
    deployment.storage.replace(keys.deliveries(job.job_id), b"{}", content_type="application/json")  # left by a crash
    lost.now()
    assert deployment.deliver() == [job.job_id]
    assert len(receiver.received) == 1
    assert deployment.due_in_seconds(job) is None
