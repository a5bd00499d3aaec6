"""Webhooks of a whole deployment: real processes, real receivers, and what is lost in between."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.log_events import WEBHOOK_DELIVERED, WORKER_READY
from clipzy_storage.models.access import Scope
from clipzy_storage.webhooks.signatures import secrets_of
from tests.e2e import shared_front_end
from tests.support.api_client import ApiClient
from tests.support.deployment import SHORT_LEASE, Deployment, log_times
from tests.support.servers import RedisServer, running_redis
from tests.support.waiting import eventually
from tests.support.webhook_receiver import SECRET, Receiver, running_receiver, silence, status

SETTINGS = {"WEBHOOK_SECRETS": SECRET, "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1/32"}
CANARY = "canary-of-a-token"

api, deployment = shared_front_end.api, shared_front_end.deployment


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("webhooks")
    with Deployment(directory, redis_url=redis.url, **SETTINGS, **SHORT_LEASE) as deployment:
        yield deployment


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def submit(api: ApiClient, clip: Path, url: str, *, reuse: bool = False) -> str:
    with clip.open("rb") as stream:
        answer = api.post("/jobs", reuse=reuse, files={"file": ("a.mp4", stream)}, data={"webhook_url": url})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def attempts_at(api: ApiClient, job_id: str) -> Any:
    (delivery,) = api.get(f"/jobs/{job_id}/deliveries").json()["deliveries"]
    return delivery["attempts"]


def delivered(api: ApiClient, job_id: str, status: str = "delivered") -> Any:
    """The delivery of the job, once it has this status."""

    def found() -> Any:
        listed = api.get(f"/jobs/{job_id}/deliveries").json()["deliveries"]
        return [one for one in listed if one["status"] == status]

    return eventually(found, f"a delivery that is {status}")[0]


def test_ends_of_every_kind_are_announced(
    shared: Deployment, deployment: Deployment, api: ApiClient, receiver: Receiver, clip: Path, tmp_path: Path
) -> None:
    # Given a worker, and jobs that complete, fail, are cancelled, and get the result of another
    cancelled = submit(api, clip, receiver.url("/cancelled"))
    assert api.post(f"/jobs/{cancelled}/cancel").status_code == 202
    worker = deployment.worker()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:3000])
    completed, failed = submit(api, clip, receiver.url(f"/a?{CANARY}")), submit(api, broken, receiver.url("/failed"))
    api.finished(completed)
    reused = submit(api, clip, receiver.url("/reused"), reuse=True)
    # When they have ended
    ids = {completed: "completed", failed: "failed", cancelled: "cancelled", reused: "completed"}
    for job_id in ids:
        delivery = delivered(api, job_id)
        # Then each is announced once, as GET shows it, and verified by the package of the specification
        (one,) = receiver.of(job_id)
        event = one.event()
        assert (event["type"], event["data"]) == (f"job.{ids[job_id]}", api.finished(job_id))
        assert (delivery["delivery_id"], delivery["type"]) == (one.webhook_id, event["type"])
        assert [attempt["status_code"] for attempt in delivery["attempts"]] == [204]
    # And the log says so, without the URL
    assert len(log_times(worker, WEBHOOK_DELIVERED)) == 4
    logged = "".join(process.output() for process in (*shared.processes, *deployment.processes))
    assert [text for text in (CANARY, SECRET) if text in logged] == []
    # And a replay is the same event
    delivery_id = delivery["delivery_id"]
    assert api.post(f"/jobs/{reused}/deliveries/{delivery_id}/replay").status_code == 202
    eventually(lambda: len(receiver.of(reused)) == 2, "a replay")
    assert {one.webhook_id for one in receiver.of(reused)} == {delivery_id}


def test_neither_a_slow_receiver_nor_a_long_analysis_delays_others(
    deployment: Deployment, api: ApiClient, receiver: Receiver, clip: Path, long_clip: Path
) -> None:
    """One worker with one slot: its webhooks go on while it analyses, and it analyses while a receiver hangs."""
    over = threading.Event()
    receiver.otherwise = silence(over)
    with running_receiver() as other:
        deployment.worker()
        hanging = [submit(api, clip, receiver.url()) for _ in range(3)]
        receiver.next(3)  # all of them are being sent, and get no answer
        # When jobs finish meanwhile, then they are announced at once
        quick = submit(api, clip, other.url())
        delivered(api, quick)
        # And also while the next one is being analysed
        failed = submit(api, clip, other.url())
        running = api.upload(long_clip)["job_id"]
        api.working(running)
        delivered(api, failed)
        assert api.job(running)["status"] == "processing"
        assert api.post(f"/jobs/{running}/cancel").status_code == 202
    # And those of the receiver that hangs are tried again
    for job_id in hanging:
        eventually(partial(attempts_at, api, job_id), "an attempt that has ended")
    over.set()
    receiver.otherwise = status(204)
    for job_id in hanging:
        first, *_, last = delivered(api, job_id)["attempts"]
        assert (first["status_code"], first["error"]) == (None, "the server did not answer in time")
        assert 4.9 <= first["duration_seconds"] < 8
        assert last["status_code"] == 204


@pytest.mark.parametrize("failpoint", ["webhook-sent", pytest.param("delivery-recorded", marks=pytest.mark.long)])
def test_a_worker_that_is_killed_in_a_delivery(
    deployment: Deployment, api: ApiClient, receiver: Receiver, redis: RedisServer, clip: Path, failpoint: Any
) -> None:
    # Given a worker that dies when it has sent an event
    worker, orders = deployment.worker_with_failpoints()
    orders.order(failpoint, "exit-once")
    job_id = submit(api, clip, receiver.url())
    worker.wait()
    assert len(receiver.of(job_id)) == 1
    # When another one runs, and the lease of the first has expired
    deployment.worker()
    redis.admin.zadd("clipzy:webhooks:due", {job_id: 1})
    # Then the event is sent again under the same id, unless the first had recorded that it was delivered
    delivered(api, job_id)
    eventually(lambda: redis.admin.zcard("clipzy:webhooks:due") == 0, "a delivery that is settled")
    assert len(receiver.of(job_id)) == (2 if failpoint == "webhook-sent" else 1)
    assert len({one.webhook_id for one in receiver.of(job_id)}) == 1


def test_redis_is_lost_between_an_end_and_its_delivery(
    deployment: Deployment, api: ApiClient, receiver: Receiver, redis: RedisServer, clip: Path
) -> None:
    # Given a worker without secrets, which announces nothing
    silent = deployment.worker(WEBHOOK_SECRETS="")
    job_id = submit(api, clip, receiver.url())
    api.finished(job_id)
    silent.stop()
    assert receiver.received == []
    # When Redis forgets everything, and another one runs
    redis.forget_everything(open_guard=True)
    deployment.run("worker").wait_for_log(WORKER_READY)
    # Then the end is announced, once
    delivered(api, job_id)
    assert len(receiver.of(job_id)) == 1


def test_every_owner_has_secrets_of_its_own(tmp_path: Path, redis_url: str, receiver: Receiver, clip: Path) -> None:
    settings = {**SETTINGS, **SHORT_LEASE, "CLIPZY_AUTH": "keys", "PUBLIC_URL": "http://clips.test"}
    with Deployment(tmp_path / "keys", redis_url=redis_url, **settings) as deployment:
        api = deployment.web()
        keys = ApiKeys(LocalStorage(deployment.storage, shared=False))
        _, text = keys.create("test", owner="anna", scopes=[Scope.READ, Scope.WRITE], expires_at=None)
        api.http.headers["Authorization"] = f"Bearer {text}"
        eventually(lambda: api.get("/me").ok, "a front end that knows the key")
        deployment.worker()
        job_id = submit(api, clip, receiver.url())
        delivered(api, job_id)
        # Its link opens without a key, and is made by the worker as by a front end
        (one,) = receiver.of(job_id)
        event = one.event(secret=secrets_of("anna", [SECRET])[0])
        path = event["data"]["result"]["storage_url"].removeprefix("http://clips.test")
        assert ApiClient(api.url).get(path).json()["job_id"] == job_id
