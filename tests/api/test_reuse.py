"""A job that asks for what an earlier one has found is completed in its 202; where that fails it waits as any other."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_storage import keys
from clipzy_storage.failpoints import Failpoint
from clipzy_storage.jobs import completion
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.models.records import EVERYONE, ErrorCode, Queue
from tests.support.finished_jobs import ARTIFACTS, complete, files_of, found_in, result_of
from tests.support.forms import mp4_bytes
from tests.support.played_worker import expire, fail
from tests.support.servers import FrontEnd, RedisServer
from tests.support.waiting import eventually

JOBS = "/api/v1/jobs"


def submit(front_end: FrontEnd, content: bytes, *, config: Any = None, name: str = "holiday.mp4") -> Any:
    """The job, as it is answered."""
    data = {} if config is None else {"config": json.dumps(config)}
    answer = front_end.post(JOBS, files={"file": (name, content)}, data=data)
    assert answer.status_code == 202, answer.text
    assert ("Retry-After" in answer.headers) == (answer.json()["status"] == "queued")
    return answer.json()


def finish(front_end: FrontEnd, job: Any) -> None:
    front_end.storage.prepare()
    complete(front_end.store, front_end.storage, front_end.store.look_up(job["job_id"], owner=EVERYONE)[0])


@pytest.fixture
def content() -> bytes:
    return mp4_bytes(5000)


@pytest.fixture
def first(front_end: FrontEnd, content: bytes) -> Any:
    """A job over ``content`` that a worker has completed."""
    job = submit(front_end, content)
    assert job["status"] == "queued"
    finish(front_end, job)
    return job


def test_the_same_again_is_completed_in_its_answer(front_end: FrontEnd, content: bytes, first: Any) -> None:
    # When the same bytes come again, under another name
    job = submit(front_end, content, name="beach.mp4")
    # Then the answer has the job as it ended
    assert (job["status"], job["progress_percent"], job["attempt"], job["error"]) == ("completed", 100, 1, None)
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    assert front_end.get(f"{JOBS}/{job['job_id']}").json() == job
    # And its result is its own, says what the first one says and whose it was
    result = front_end.get(f"{JOBS}/{job['job_id']}/result").json()
    assert (result["job_id"], result["reused_from"]) == (job["job_id"], first["job_id"])
    assert result["source"]["filename"] == "beach.mp4"
    assert found_in(result_of(front_end.storage, job["job_id"])) == found_in(
        result_of(front_end.storage, first["job_id"])
    )
    for name, data in ARTIFACTS.items():
        assert front_end.get(f"{JOBS}/{job['job_id']}/files/{name}").content == data
    # And it went the way of every job
    assert {key.split("/")[0] + "/" + key.split("/")[1] for key in files_of(front_end.storage, job["job_id"])} == {
        "jobs/by-day",
        "jobs/done",
        f"results/{job['job_id']}",
    }
    told = front_end.get(f"{JOBS}/{job['job_id']}/events").text
    assert [json.loads(line[6:])["status"] for line in told.splitlines() if line.startswith("data: ")] == [
        "queued",
        "processing",
        "completed",
    ]


def test_an_upload_of_before_and_a_retry_are_answered_alike(front_end: FrontEnd, content: bytes) -> None:
    # Given a video, and a job over it that was cancelled before another one found something
    cancelled = submit(front_end, content)
    assert front_end.post(f"{JOBS}/{cancelled['job_id']}/cancel").json()["status"] == "cancelled"
    finish(front_end, submit(front_end, content))
    # When it is asked for in JSON, and by trying again
    named = front_end.post(JOBS, json={"video_id": cancelled["video_id"]})
    again = front_end.post(f"{JOBS}/{cancelled['job_id']}/retry")
    # Then both are completed
    assert [answer.json()["status"] for answer in (named, again)] == ["completed", "completed"]


@pytest.mark.parametrize(
    "config",
    [{"reuse": True}, {"sprites": True}, {"analyses": ["style", "motion", "color", "audio", "style"]}],
    ids=str,
)
@pytest.mark.usefixtures("first")
def test_what_is_asked_for_in_other_words_is_the_same(
    front_end: FrontEnd, content: bytes, config: dict[str, Any]
) -> None:
    assert submit(front_end, content, config=config)["status"] == "completed"


@pytest.mark.parametrize(
    "config", [{"reuse": False}, {"sprites": False}, {"analyses": ["audio"]}, {"thumbnails": {"width": 100}}], ids=str
)
@pytest.mark.usefixtures("first")
def test_anything_else_waits_for_a_worker(front_end: FrontEnd, content: bytes, config: dict[str, Any]) -> None:
    job = submit(front_end, content, config=config)
    assert (job["status"], job["attempt"]) == ("queued", 0)
    assert submit(front_end, content[:-1])["status"] == "queued"
    # And once it was worked on, it is what the next can have
    finish(front_end, job)
    other = submit(front_end, content, config=config | {"reuse": True})
    assert result_of(front_end.storage, other["job_id"])["reused_from"] == job["job_id"]


def test_each_job_keeps_its_own_when_others_are_deleted(front_end: FrontEnd, content: bytes, first: Any) -> None:
    # Given a job that was given the result of another
    second = submit(front_end, content)
    # When the other is deleted
    assert front_end.delete(f"{JOBS}/{first['job_id']}").status_code == 204
    # Then the second has all of it, and a third is given it
    assert len(result_of(front_end.storage, second["job_id"])["artifacts"]) == len(ARTIFACTS)
    third = submit(front_end, content)
    assert third["status"] == "completed"
    assert result_of(front_end.storage, third["job_id"])["reused_from"] == first["job_id"]
    # And when all are, the next waits for a worker
    for job in (second, third):
        assert front_end.delete(f"{JOBS}/{job['job_id']}").status_code == 204
    assert submit(front_end, content)["status"] == "queued"


@pytest.mark.parametrize("tell_redis", [True, False])
def test_an_expired_result_is_given_to_nobody(
    front_end: FrontEnd, content: bytes, first: Any, tell_redis: bool
) -> None:
    expire(front_end, first["job_id"], tell_redis=tell_redis)
    job = submit(front_end, content)
    assert (job["status"], job["attempt"]) == ("queued", 0)
    assert files_of(front_end.storage, job["job_id"]) == [keys.open_job(job["job_id"])]


def test_a_failure_is_given_to_nobody(front_end: FrontEnd, content: bytes) -> None:
    fail(front_end, submit(front_end, content)["job_id"], ErrorCode.INVALID_MEDIA, "no video in it")
    assert submit(front_end, content)["status"] == "queued"


def test_a_damaged_picture_is_given_to_nobody(front_end: FrontEnd, content: bytes, first: Any) -> None:
    # Given a result of which a file on the disk has changed
    damaged = front_end.root / result_of(front_end.storage, first["job_id"])["artifacts"][3]["key"]
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    # When the same comes again
    job = submit(front_end, content)
    # Then it waits for a worker, and nothing of the try is left
    assert job["status"] == "queued"
    assert files_of(front_end.storage, job["job_id"]) == [keys.open_job(job["job_id"])]
    assert front_end.get(f"{JOBS}/{job['job_id']}").json()["status"] == "queued"
    assert front_end.unfinished() == []


def test_concurrent_cache_hits_complete_once_each(front_end: FrontEnd, content: bytes, first: Any) -> None:
    # When the same comes many times at once, under keys of their own and twice under each
    names = [uuid.uuid4().hex for _ in range(8)] * 2

    def send(key: str) -> requests.Response:
        files = {"file": ("holiday.mp4", content)}
        while (answer := front_end.post(JOBS, files=files, headers={"Idempotency-Key": key})).status_code == 503:
            time.sleep(0.1)
        return answer

    with ThreadPoolExecutor(len(names)) as pool:
        jobs = [answer.json() for answer in pool.map(send, names)]
    # Then each key has one job, and every one that was not left to the workers has its whole result
    ids = {job["job_id"] for job in jobs}
    assert len(ids) == 8
    ended = [job_id for job_id in ids if front_end.get(f"{JOBS}/{job_id}").json()["status"] == "completed"]
    assert ended
    for job_id in ended:
        assert result_of(front_end.storage, job_id)["reused_from"] == first["job_id"]
        (directory,) = {key.split("/")[3] for key in files_of(front_end.storage, job_id) if "/attempts/" in key}
        assert directory.startswith("1-")


LONG = {name: pytest.param(name, marks=pytest.mark.long) for name in ("claimed", "committed", "done-recorded")}


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize("at", [LONG["claimed"], "attempt-stored", LONG["committed"], LONG["done-recorded"]])
def test_a_front_end_that_dies_over_it_loses_nothing(
    tmp_path: Path, front_end: FrontEnd, content: bytes, at: Failpoint
) -> None:
    # Given a front end that dies while it gives a job an earlier result
    key = {"Idempotency-Key": uuid.uuid4().hex}
    files = {"file": ("holiday.mp4", content)}
    with front_end.doomed(tmp_path / "doomed", at=at) as doomed, pytest.raises(requests.ConnectionError):
        doomed.post(JOBS, files=files, headers=key)
    # When the client repeats itself to another
    job = front_end.post(JOBS, files=files, headers=key)
    # Then it finds the one job, which is held by nobody alive
    assert (job.status_code, job.headers["Idempotent-Replayed"]) == (202, "true")
    job_id = job.json()["job_id"]
    assert job.json()["status"] == ("completed" if at == "done-recorded" and job.json()["result"] else "processing")
    # And whoever looks after such jobs brings it to its end, once
    gone = [lease for lease in front_end.store.leases() if lease.holder is not None and lease.holder.is_gone()]
    reaped = front_end.store.reap(gone, nonce=uuid.uuid4().hex)
    for adopted, token in reaped.adopted:
        assert completion.complete_job(front_end.store, front_end.storage, adopted, token)
    if at in ("claimed", "attempt-stored"):
        assert reaped.requeued == [(job_id, Queue.INTERACTIVE)]
        complete(front_end.store, front_end.storage, front_end.store.look_up(job_id, owner=EVERYONE)[0])
    ended = front_end.get(f"{JOBS}/{job_id}").json()
    assert (ended["status"], ended["attempt"]) == ("completed", 2 if reaped.requeued else 1)
    # And its result is whole, with nothing of the first try beside it
    result = result_of(front_end.storage, job_id)
    directory = result["artifacts"][0]["key"].rpartition("/")[0]
    attempts = [key for key in files_of(front_end.storage, job_id) if "/attempts/" in key]
    assert all(key.startswith(directory) for key in attempts)


@pytest.mark.long
def test_a_redis_that_was_lost_knows_it_again(own_front_end: FrontEnd, own_redis: RedisServer, content: bytes) -> None:
    # Given a completed job, which Redis has lost
    own_front_end.compare_records()
    job = submit(own_front_end, content)
    finish(own_front_end, job)
    own_redis.forget_everything()
    assert eventually(lambda: own_front_end.get("/readyz").status_code == 200, seconds=60)
    assert submit(own_front_end, content)["status"] == "queued"
    # When it has been compared with storage
    Recovery(own_front_end.store, own_front_end.admin, own_front_end.storage).rebuild()
    # Then its result is given to others
    other = submit(own_front_end, content)
    assert result_of(own_front_end.storage, other["job_id"])["reused_from"] == job["job_id"]
