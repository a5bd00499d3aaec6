"""``webhook_url`` at the front end: what is refused before a job exists, who sees deliveries, and replays."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_storage import keys
from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.access import Scope
from clipzy_storage.models.records import ErrorCode
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.webhooks import outbox
from clipzy_storage.webhooks.due_deliveries import DueDeliveries
from tests.support.forms import mp4_bytes
from tests.support.openapi import assert_described, document_of
from tests.support.played_worker import complete, fail
from tests.support.processes import clipzy
from tests.support.servers import FrontEnd, running_front_end, running_redis
from tests.support.waiting import eventually
from tests.support.webhook_receiver import SECRET

JOBS = "/api/v1/jobs"
LISTING, REPLAY = f"{JOBS}/{{job_id}}/deliveries", f"{JOBS}/{{job_id}}/deliveries/{{delivery_id}}/replay"
CANARY = "canary-of-a-token"
URL = f"https://hooks.example.com/{CANARY}?token={CANARY}"
VIDEO = mp4_bytes(1000)
WRONG_URLS = [
    *("ftp://example.com/", "hook", "https://", "", "http://user:pw@example.com/", "https://example.com/a b"),
    *("http://127.0.0.1/", "http://0x7f.1/", "http://[::1]/", "http://169.254.169.254/", "http://10.2.0.1/"),
    "https://example.com/" + "a" * 8192,
]


@pytest.fixture(scope="module")
def announcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end with a secret, keys, and one private network that is allowed."""
    directory = tmp_path_factory.mktemp("announcing")
    (directory / "redis").mkdir()
    settings: dict[str, Any] = {
        "WEBHOOK_SECRETS": SECRET,
        "ALLOW_PRIVATE_ADDRESSES": "10.1.0.0/16",
        "CLIPZY_AUTH": "keys",
    }
    with (
        running_redis(directory / "redis") as redis,
        running_front_end(directory / "web", redis.url, **settings) as front_end,
    ):
        front_end.compare_records()
        yield front_end


def _key(front_end: FrontEnd, owner: str) -> dict[str, str]:
    _, text = ApiKeys(front_end.storage).create("test", owner=owner, scopes=[Scope.READ, Scope.WRITE], expires_at=None)
    headers = {"Authorization": f"Bearer {text}"}
    eventually(lambda: front_end.get("/api/v1/me", headers=headers).ok, "a front end that knows the key")
    return headers


@pytest.fixture(scope="module")
def ada(announcing: FrontEnd) -> dict[str, str]:
    return _key(announcing, "ada")


@pytest.fixture(scope="module")
def bob(announcing: FrontEnd) -> dict[str, str]:
    return _key(announcing, "bob")


def submit(front_end: FrontEnd, headers: dict[str, str], url: Any = URL, **more: str) -> Any:
    """As a form."""
    files = {"file": ("a.mp4", VIDEO), "webhook_url": (None, url)}
    return front_end.post(JOBS, files=files, headers=headers | more)


def deliveries(front_end: FrontEnd, job_id: str, headers: dict[str, str]) -> Any:
    return front_end.get(f"{JOBS}/{job_id}/deliveries", headers=headers)


def test_a_webhook_is_recorded_and_shown_to_nobody(announcing: FrontEnd, ada: dict[str, str]) -> None:
    # When jobs are submitted with a webhook, as a form and in JSON
    first = submit(announcing, ada)
    fields = {"video_id": first.json()["video_id"], "webhook_url": URL}
    second = announcing.post(JOBS, json=fields, headers=ada)
    for answer in (first, second):
        assert answer.status_code == 202, answer.text
        assert_described(document_of(announcing), JOBS, answer)
        # Then the durable record has it
        assert durable_records.read_open(announcing.storage, answer.json()["job_id"]).webhook_url == URL
    # And neither an answer nor the log shows any of it
    job_id = first.json()["job_id"]
    answers = [announcing.get(path, headers=ada) for path in (JOBS, f"{JOBS}/{job_id}", f"{JOBS}/{job_id}/deliveries")]
    answers += [
        first,
        second,
        announcing.post(f"{JOBS}/{job_id}/cancel", headers=ada),
        submit(announcing, ada, f"ftp:{CANARY}"),
    ]
    answers.append(deliveries(announcing, job_id, ada))
    assert [answer.text for answer in answers if CANARY in answer.text] == []
    assert CANARY not in announcing.process.output()


@pytest.mark.parametrize("url", WRONG_URLS)
def test_some_urls_are_refused_at_once(announcing: FrontEnd, ada: dict[str, str], url: str) -> None:
    before = announcing.stored()
    fields = {"video_id": "vid_01m81bjpv3rgjp4c18v8p81aj2", "webhook_url": url}
    for answer in (submit(announcing, ada, url), announcing.post(JOBS, json=fields, headers=ada)):
        assert (answer.status_code, answer.json()["code"]) == (422, "URL_REFUSED")
        assert_described(document_of(announcing), JOBS, answer)
    assert eventually(lambda: announcing.stored() == before)


def test_an_allowed_network_is_accepted(announcing: FrontEnd, ada: dict[str, str]) -> None:
    assert submit(announcing, ada, "http://10.1.2.3:8080/hook").status_code == 202


@pytest.mark.parametrize("value", [None, 7, [URL], {}])
def test_what_is_no_url_is_wrong(announcing: FrontEnd, ada: dict[str, str], value: Any) -> None:
    fields = {"video_id": "vid_01m81bjpv3rgjp4c18v8p81aj2", "webhook_url": value}
    answer = announcing.post(JOBS, json=fields, headers=ada)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "INVALID_FIELD", "webhook_url")


def test_a_form_has_one_webhook(announcing: FrontEnd, ada: dict[str, str]) -> None:
    files = [("file", ("a.mp4", mp4_bytes(1000))), *[("webhook_url", (None, URL))] * 2]
    answer = announcing.post(JOBS, files=files, headers=ada)
    assert (answer.status_code, answer.json()["field"]) == (422, "webhook_url")


def test_without_secrets_a_webhook_is_refused_with_the_remedy(front_end: FrontEnd) -> None:
    before = front_end.stored()
    for answer in (submit(front_end, {}), front_end.post(JOBS, json={"video_id": "x", "webhook_url": URL})):
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_FIELD")
        assert answer.json()["field"] == "webhook_url"
        assert "WEBHOOK_SECRETS" in answer.json()["detail"]
    assert eventually(lambda: front_end.stored() == before)


def test_without_secrets_no_delivery_is_promised_anew(
    announcing: FrontEnd, ada: dict[str, str], tmp_path: Path
) -> None:
    # Given a failed job with a webhook, in a deployment that has no secrets any more
    job_id = submit(announcing, ada).json()["job_id"]
    fail(announcing, job_id, ErrorCode.INVALID_MEDIA, "it is no video")
    (delivery,) = deliveries(announcing, job_id, ada).json()["deliveries"]
    replay = REPLAY.format(job_id=job_id, delivery_id=delivery["delivery_id"])
    with running_front_end(
        tmp_path, announcing.redis_url, storage_path=announcing.root, CLIPZY_AUTH="keys"
    ) as without_secrets:
        # Then neither a retry nor a replay is accepted, of which nothing would be sent
        for path in (f"{JOBS}/{job_id}/retry", replay):
            answer = without_secrets.post(path, headers=ada)
            assert (answer.status_code, answer.json()["field"]) == (422, "webhook_url")
            assert "WEBHOOK_SECRETS" in answer.json()["detail"]
        # And an operator is told where they are missing
        examined = clipzy("doctor", cwd=tmp_path, REDIS_URL=announcing.redis_url)
        lacking = r"^warn  webhooks  WEBHOOK_SECRETS is not set for front end [^,]+: "
        assert re.search(lacking, examined.stdout, re.MULTILINE), examined.stdout


def test_another_webhook_is_another_request(announcing: FrontEnd, ada: dict[str, str]) -> None:
    key = {"Idempotency-Key": "announced-1"}
    first, second = (submit(announcing, ada, **key) for _ in range(2))
    assert first.json()["job_id"] == second.json()["job_id"]
    assert submit(announcing, ada, URL + "x", **key).json()["code"] == "IDEMPOTENCY_MISMATCH"


def test_a_retry_keeps_the_webhook(announcing: FrontEnd, ada: dict[str, str]) -> None:
    job_id = submit(announcing, ada).json()["job_id"]
    fail(announcing, job_id, ErrorCode.INVALID_MEDIA, "it is no video")
    again = announcing.post(f"{JOBS}/{job_id}/retry", headers=ada).json()["job_id"]
    assert durable_records.read_open(announcing.storage, again).webhook_url == URL


def test_deliveries_are_listed_once_the_job_has_finished(announcing: FrontEnd, ada: dict[str, str]) -> None:
    # Given a job with a webhook, and one without
    with_webhook = submit(announcing, ada).json()["job_id"]
    files = {"file": ("a.mp4", mp4_bytes(1000))}
    without = announcing.post(JOBS, files=files, headers=ada).json()["job_id"]
    assert deliveries(announcing, with_webhook, ada).json() == {"deliveries": []}
    # When both have finished
    complete(announcing, with_webhook)
    complete(announcing, without)
    # Then the first has a delivery that is due
    answer = deliveries(announcing, with_webhook, ada)
    assert_described(document_of(announcing), LISTING, answer)
    (delivery,) = answer.json()["deliveries"]
    assert delivery.pop("delivery_id").startswith("dlv_")
    assert delivery == {"type": "job.completed", "status": "pending", "next_attempt_at": None, "attempts": []}
    assert deliveries(announcing, without, ada).json() == {"deliveries": []}


def test_a_replay_is_one_of_a_delivery_that_there_is(announcing: FrontEnd, ada: dict[str, str]) -> None:
    job_id = submit(announcing, ada).json()["job_id"]
    path = f"{JOBS}/{job_id}/deliveries/{{}}/replay"
    unfinished = announcing.post(path.format("dlv_01m81bjpv3rgjp4c18v8p81aj2"), headers=ada)
    assert (unfinished.status_code, unfinished.json()["code"]) == (404, "DELIVERY_NOT_FOUND")
    complete(announcing, job_id)
    (delivery,) = deliveries(announcing, job_id, ada).json()["deliveries"]
    here = path.format(delivery["delivery_id"])
    # When it is replayed, Then the answer has it
    answer = announcing.post(here, headers=ada)
    assert (answer.status_code, answer.json()) == (202, delivery)
    assert_described(document_of(announcing), REPLAY, answer)
    # And another id, or fields, are refused
    assert announcing.post(path.format("dlv_x"), headers=ada).json()["code"] == "DELIVERY_NOT_FOUND"
    assert announcing.post(here, json={"a": 1}, headers=ada).json()["code"] == "INVALID_FIELD"
    # And during an attempt it must wait
    assert job_id in DueDeliveries(RedisDatabase(announcing.redis_url)).claim(limit=100, token="a worker's")
    busy = announcing.post(here, headers=ada)
    assert (busy.status_code, busy.json()["code"]) == (409, "DELIVERY_IN_PROGRESS")
    assert int(busy.headers["Retry-After"]) > 0
    assert_described(document_of(announcing), REPLAY, busy)


def test_deliveries_of_another_owner_are_not_there(
    announcing: FrontEnd, ada: dict[str, str], bob: dict[str, str]
) -> None:
    job_id = submit(announcing, ada).json()["job_id"]
    complete(announcing, job_id)
    (delivery,) = deliveries(announcing, job_id, ada).json()["deliveries"]
    replay = f"{JOBS}/{job_id}/deliveries/{delivery['delivery_id']}/replay"
    for answer in (deliveries(announcing, job_id, bob), announcing.post(replay, headers=bob)):
        assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")


def test_a_deleted_job_has_no_deliveries(announcing: FrontEnd, ada: dict[str, str]) -> None:
    job_id = submit(announcing, ada).json()["job_id"]
    complete(announcing, job_id)
    (delivery,) = deliveries(announcing, job_id, ada).json()["deliveries"]
    replay = f"{JOBS}/{job_id}/deliveries/{delivery['delivery_id']}/replay"
    assert announcing.post(replay, headers=ada).status_code == 202
    assert announcing.storage.exists(keys.deliveries(job_id))
    assert announcing.delete(f"{JOBS}/{job_id}", headers=ada).status_code == 204
    assert not announcing.storage.exists(keys.deliveries(job_id))
    assert announcing.post(replay, headers=ada).json()["code"] == "JOB_NOT_FOUND"


def test_a_replay_is_not_lost_with_its_front_end(announcing: FrontEnd, tmp_path: Path) -> None:
    # Given a delivery that has been made, to those whose front ends ask for no keys
    key = _key(announcing, "everyone")
    job_id = submit(announcing, key).json()["job_id"]
    complete(announcing, job_id)
    (delivery,) = deliveries(announcing, job_id, key).json()["deliveries"]
    due = DueDeliveries(RedisDatabase(announcing.redis_url), lease_seconds=0.01)
    assert due.hold(job_id, token="t")
    due.settle(job_id, token="t", delay_seconds=None)
    # When a front end dies over its replay
    with (
        announcing.doomed(tmp_path / "doomed", at="replay-recorded", WEBHOOK_SECRETS=SECRET) as dying,
        pytest.raises(requests.RequestException),
    ):
        dying.post(f"{JOBS}/{job_id}/deliveries/{delivery['delivery_id']}/replay", headers=key)
    # Then it is due as soon as the lease of that front end has expired
    client = RedisDatabase(announcing.redis_url).client
    assert client.zscore(f"{keys.REDIS_PREFIX}webhooks:due", job_id) is not None
    record = outbox.read(announcing.storage, announcing.store.look_up(job_id, owner=None)[0])
    assert record.status == "pending"
