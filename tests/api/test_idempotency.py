"""``Idempotency-Key``: the same request sent again is answered with what was made first, and makes nothing."""

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_storage import keys
from clipzy_storage.failpoints import Failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.submission import SUBMISSION_TIMEOUT
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.models.records import EVERYONE
from tests.support.forms import CONTENT_TYPE, mp4_bytes, video_form
from tests.support.played_worker import complete, submit
from tests.support.servers import FrontEnd, RedisServer
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, exchange, head

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
REPLAYED = "Idempotent-Replayed"
Send = Callable[..., requests.Response]


def sender(front_end: FrontEnd, path: str, *, key: str | None = None) -> Send:
    """Sends requests under one key."""
    named = {"Idempotency-Key": key or uuid.uuid4().hex}
    return lambda headers=None, **what: front_end.post(path, headers=named | (headers or {}), **what)


def upload(content: bytes, *, name: str = "holiday.mp4") -> dict[str, Any]:
    return {"files": {"file": (name, content)}}


def test_a_submission_sent_again_finds_the_job(front_end: FrontEnd) -> None:
    # Given a job that was submitted under a key
    send, content = sender(front_end, JOBS), mp4_bytes(100_000)
    first = send(**upload(content))
    assert (first.status_code, first.headers.get(REPLAYED)) == (202, None)
    stored = front_end.stored()

    # When the same comes again
    again = send(**upload(content))

    # Then the answer is the same, says so, and nothing was made
    assert (again.status_code, again.headers[REPLAYED]) == (202, "true")
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Retry-After"] == "1"
    assert front_end.stored() == stored
    assert front_end.unfinished() == []

    # And when the job has come to its end, the answer has it as it is by then
    complete(front_end, first.json()["job_id"])
    late = send(**upload(content))
    assert (late.status_code, late.json()["status"]) == (202, "completed")
    assert late.json() == front_end.get(first.headers["Location"]).json()
    assert "Retry-After" not in late.headers

    # And when it was deleted, that is what is said, and nothing is made either
    stored = [key for key in front_end.stored() if first.json()["job_id"] not in key]
    assert front_end.delete(first.headers["Location"]).status_code == 204
    gone = send(**upload(content))
    assert (gone.status_code, gone.json()["code"]) == (404, "JOB_NOT_FOUND")
    assert front_end.stored() == stored


def test_an_upload_sent_again_finds_the_video(front_end: FrontEnd) -> None:
    # Given a video that was uploaded under a key
    send, content = sender(front_end, VIDEOS), mp4_bytes(100_000)
    first = send(**upload(content))
    stored = front_end.stored()

    # When the same comes again, then it is found
    again = send(**upload(content))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.headers.get(REPLAYED), again.headers[REPLAYED]) == (None, "true")
    assert (again.json(), again.headers["Location"]) == (first.json(), first.headers["Location"])
    assert front_end.stored() == stored

    # And a job over it, in JSON, is found as well however its members are written
    send = sender(front_end, JOBS)
    body = {"video_id": first.json()["video_id"]}
    made = send(json=body)
    spaced = send(data=f'\n{{  "video_id" : "{body["video_id"]}" }}', headers={"Content-Type": "application/json"})
    assert made.status_code == spaced.status_code == 202, spaced.text
    assert made.json() == spaced.json()


def test_a_key_is_good_for_one_request(front_end: FrontEnd) -> None:
    # Given a job that was submitted under a key
    key, content = uuid.uuid4().hex, mp4_bytes(1000)
    send = sender(front_end, JOBS, key=key)
    first = send(**upload(content)).json()
    stored = front_end.stored()

    # When something else comes under it: another file, another name, the video in JSON, an upload alone
    others = [
        send(**upload(mp4_bytes(1000))),
        send(**upload(content[:-1])),
        send(**upload(content, name="beach.mp4")),
        send(json={"video_id": first["video_id"]}),
        sender(front_end, VIDEOS, key=key)(**upload(content)),
    ]

    # Then each is refused, and leaves nothing
    assert [(other.status_code, other.json()["code"]) for other in others] == [(422, "IDEMPOTENCY_MISMATCH")] * 5
    assert front_end.stored() == stored
    assert front_end.unfinished() == []

    # And other keys are other requests
    assert sender(front_end, JOBS)(**upload(content)).json()["job_id"] != first["job_id"]


@pytest.mark.parametrize("path", [JOBS, VIDEOS, f"{JOBS}/job_00000000000000000000000000/retry"])
@pytest.mark.parametrize("key", ["", "k" * 256, "two words", "ключ"])
def test_what_cannot_be_a_key_is_refused_before_a_byte_comes(front_end: FrontEnd, path: str, key: str) -> None:
    named = f"Idempotency-Key: {key}\r\n".encode()
    request = head(path, length=0 if "retry" in path else 50_000_000)[:-2] + named + b"\r\n"

    answer = exchange(front_end.port, request)

    problem = answer.json()
    assert (answer.status, problem["code"], problem["field"]) == (422, "INVALID_FIELD", "Idempotency-Key")
    assert "255" in problem["detail"]


def test_a_key_is_kept_for_a_day(front_end: FrontEnd, redis_server: RedisServer) -> None:
    key = "!" + "~" * 254
    assert sender(front_end, JOBS, key=key)(**upload(mp4_bytes(1000))).status_code == 202

    with redis_server.client() as client:
        (kept,) = client.scan_iter(f"{keys.REDIS_PREFIX}idem:*:{key}")
        assert 86_000 < client.ttl(kept) <= 86_400


def test_fifty_concurrent_requests_create_one_job(own_front_end: FrontEnd) -> None:
    """Where the key is looked up before the submission and kept after it, fifty requests make many jobs."""
    # Given fifty callers with the same key and the same file
    body, callers = video_form(mp4_bytes(300_000)), 50
    headers = {"Idempotency-Key": "one", "Content-Type": CONTENT_TYPE}

    def submit_as_told(_: int) -> requests.Response:
        answers: list[requests.Response] = []

        def is_accepted() -> bool:
            answers.append(own_front_end.post(JOBS, data=body, headers=headers))
            return answers[-1].status_code != 503

        assert eventually(is_accepted, seconds=60)
        return answers[-1]

    # When all submit, and those who are told to come again do so
    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(submit_as_told, range(callers)))

    # Then all have the same job, one of them first, and there is one upload
    assert {answer.status_code for answer in answers} == {202}
    (job_id,) = {answer.json()["job_id"] for answer in answers}
    assert [answer.headers.get(REPLAYED) for answer in answers].count(None) == 1
    assert own_front_end.get(JOBS).json()["total"] == 1
    (video_id,) = {answer.json()["video_id"] for answer in answers}
    expected = {keys.upload(video_id, "mp4"), keys.video_record(video_id), keys.open_job(job_id)}
    assert set(own_front_end.stored()) == expected
    assert own_front_end.unfinished() == []


def test_a_lost_answer_is_got_by_asking_again(own_front_end: FrontEnd, own_redis: RedisServer) -> None:
    """Without the key, whoever asks again after a 503 of which nobody knows what came has two jobs."""
    # Given a front end that has made a record before, and an upload that was let in, under a key
    first = submit(own_front_end)["job_id"]
    content = mp4_bytes(1 << 20)
    body = video_form(content)
    with connect(own_front_end.port) as connection:
        connection.sendall(head(JOBS, length=len(body), more="Idempotency-Key: lost\r\n") + body[:600_000])
        assert eventually(lambda: own_front_end.unfinished() != [])

        # When Redis takes the record but does not answer in time, so that the caller is told to come again
        own_redis.freeze()
        connection.sendall(body[600_000:])
        assert answer_on(connection).status == 503
    own_redis.thaw()
    assert eventually(lambda: own_front_end.get("/readyz").ok)
    (job_id,) = set(durable_records.open_job_ids(own_front_end.storage)) - {first}

    # Then asking again finds the job that was made
    again = sender(own_front_end, JOBS, key="lost")(**upload(content))
    assert (again.status_code, again.json()["job_id"], again.headers[REPLAYED]) == (202, job_id, "true")
    assert own_front_end.get(JOBS).json()["total"] == 2

    # Given a Redis that dies during an upload, so that certainly nothing was made
    with connect(own_front_end.port) as connection:
        connection.sendall(head(VIDEOS, length=len(body), more="Idempotency-Key: certain\r\n") + body[:600_000])
        assert eventually(lambda: own_front_end.unfinished() != [])
        stored = own_front_end.stored()
        own_redis.kill()
        connection.sendall(body[600_000:])
        assert answer_on(connection).status == 503

    # Then nothing is left of it
    assert own_front_end.stored() == stored


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("upload-stored", marks=pytest.mark.long),
        pytest.param("video-recorded", marks=pytest.mark.long),
        pytest.param("job-opened", marks=pytest.mark.long),
        "job-submitted",
        pytest.param("workers-notified", marks=pytest.mark.long),
    ],
)
def test_a_crashed_front_end_leaves_the_key_to_the_next(tmp_path: Path, front_end: FrontEnd, point: Failpoint) -> None:
    """Without the key, a caller whose front end died after the submission has two jobs."""
    # Given a caller whose front end dies in the middle of a submission
    content, key = mp4_bytes(100_000), uuid.uuid4().hex
    before = set(durable_records.open_job_ids(front_end.storage))
    with front_end.doomed(tmp_path / "doomed", at=point) as doomed, pytest.raises(requests.ConnectionError):
        sender(doomed, JOBS, key=key)(**upload(content))

    # When it is sent again to another
    again = sender(front_end, JOBS, key=key)(**upload(content))

    # And what it has left is looked at once it is old enough
    for job_id in set(durable_records.open_job_ids(front_end.storage)) - before:
        os.utime(front_end.root / keys.open_job(job_id), (0, 0))
    front_end.compare_records()
    Recovery(front_end.store, front_end.admin, front_end.storage).reconcile_open()

    # Then there is one job, the first if it was made
    assert again.status_code == 202
    assert set(durable_records.open_job_ids(front_end.storage)) - before == {again.json()["job_id"]}
    assert (REPLAYED in again.headers) == (point in ("job-opened", "job-submitted", "workers-notified"))


@pytest.mark.parametrize(
    ("age", "status"), [(SUBMISSION_TIMEOUT * 2, 202), (SUBMISSION_TIMEOUT / 6, 503)], ids=["old", "young"]
)
def test_the_record_of_an_unknown_front_end_is_adopted_by_its_age(
    tmp_path: Path, front_end: FrontEnd, age: timedelta, status: int
) -> None:
    # Given an open record whose front end cannot be looked for, and of which Redis does not know
    content, key = mp4_bytes(1000), uuid.uuid4().hex
    before = set(durable_records.open_job_ids(front_end.storage))
    with front_end.doomed(tmp_path / "doomed", at="job-opened") as doomed, pytest.raises(requests.ConnectionError):
        sender(doomed, JOBS, key=key)(**upload(content))
    (job_id,) = set(durable_records.open_job_ids(front_end.storage)) - before
    left = durable_records.read_open(front_end.storage, job_id)
    front_end.storage.delete(keys.open_job(job_id))
    unknown = left.model_copy(update={"front_end": None, "created_at": datetime.now(UTC) - age})
    durable_records.write_open_job(front_end.storage, unknown)

    # When the request is repeated
    again = sender(front_end, JOBS, key=key)(**upload(content))

    # Then its job is submitted, unless the first request may still be in progress
    assert again.status_code == status, again.text
    if status == 202:
        assert (again.json()["job_id"], again.headers[REPLAYED]) == (job_id, "true")
        assert front_end.store.look_up(job_id, owner=EVERYONE)
    else:
        assert again.json()["code"] == "QUEUE_UNAVAILABLE"
