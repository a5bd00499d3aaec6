"""``MAX_UNFINISHED_JOBS``: beyond it no job is created, and no body is read."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis
import requests

from clipzy_storage import keys
from clipzy_storage.models.records import EVERYONE, ErrorCode
from tests.support.forms import CONTENT_TYPE, form, mp4_bytes, part
from tests.support.played_worker import claim, complete, fail, submit
from tests.support.servers import FrontEnd, running_pair, without_waiting_jobs
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, head

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
LIMIT = 3


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[FrontEnd]]:
    """Two front ends of one deployment that takes three jobs."""
    with running_pair(tmp_path_factory.mktemp("pair"), MAX_UNFINISHED_JOBS=str(LIMIT)) as front_ends:
        yield front_ends


@pytest.fixture
def first(pair: list[FrontEnd]) -> Iterator[FrontEnd]:
    """One of them, with an empty queue before and after the test."""
    with without_waiting_jobs(pair[0]) as front_end:
        yield front_end


def is_refused(answer: requests.Response) -> bool:
    return (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "QUEUE_FULL", "30")


def test_a_full_queue_refuses_every_call_that_creates_a_job(first: FrontEnd) -> None:
    # Given a failed job, and a queue that is full of a job that is processed and others that wait
    failed = submit(first)
    fail(first, failed["job_id"], ErrorCode.PROCESSING_FAILED, "the media process crashed twice")
    held = [submit(first) for _ in range(LIMIT)]
    claimed = claim(first, held[0]["job_id"])
    stored = first.stored()
    # When a job is submitted in any way, then it is refused, and nothing stays
    assert is_refused(first.post(JOBS, files={"file": ("holiday.mp4", mp4_bytes(1000))}))
    assert is_refused(first.post(JOBS, json={"video_id": failed["video_id"]}))
    assert is_refused(first.post(f"{JOBS}/{failed['job_id']}/retry"))
    assert is_refused(first.post(f"{JOBS}/{keys.new_id('job')}/retry")), "checked first"
    assert is_refused(first.post(JOBS, json={"video_id": failed["video_id"]}, headers={"Idempotency-Key": "unknown"}))
    assert first.stored() == stored
    assert first.unfinished() == []
    # But a video is taken
    video = first.post(VIDEOS, files={"file": ("holiday.mp4", mp4_bytes(1000))})
    assert video.status_code == 201
    assert first.delete(f"{VIDEOS}/{video.json()['video_id']}").status_code == 204
    # And a job as well, once another has finished
    assert claimed.fail(ErrorCode.PROCESSING_FAILED, "") is not None
    assert first.post(f"{JOBS}/{failed['job_id']}/retry").status_code == 202


@pytest.mark.parametrize(("content_type", "length"), [(CONTENT_TYPE, 40_000_000), ("application/json", 1_000_000)])
def test_a_full_queue_is_noticed_before_the_body_arrives(first: FrontEnd, content_type: str, length: int) -> None:
    # Given a full queue, and a client that has sent nothing of its body
    for _ in range(LIMIT):
        submit(first)
    with connect(first.port) as connection:
        connection.sendall(head(JOBS, length=length, content_type=content_type))
        # Then it is refused immediately
        answer = answer_on(connection)
    assert (answer.status, answer.json()["code"]) == (503, "QUEUE_FULL")


@pytest.mark.parametrize("way", ["upload", "JSON", "retry", "after a loss of the key"])
def test_a_repetition_is_answered_although_the_queue_is_full(first: FrontEnd, way: str) -> None:
    # Given a job that was submitted under a key, and a full queue
    key = {"Idempotency-Key": uuid.uuid4().hex}
    earlier, content = submit(first), mp4_bytes(1000)
    fail(first, earlier["job_id"], ErrorCode.PROCESSING_FAILED, "no luck")

    def send() -> requests.Response:
        if way == "JSON":
            return first.post(JOBS, json={"video_id": earlier["video_id"]}, headers=key)
        if way == "retry":
            return first.post(f"{JOBS}/{earlier['job_id']}/retry", headers=key)
        return first.post(JOBS, files={"file": ("holiday.mp4", content)}, headers=key)

    job = send().json()
    for _ in range(LIMIT - 1):
        submit(first)
    if way == "after a loss of the key":
        with redis.Redis.from_url(first.redis_url) as client:
            assert client.delete(f"{keys.REDIS_PREFIX}idem:{EVERYONE}:{key['Idempotency-Key']}") == 1
    # When the same request comes again
    again = send()
    # Then it has the job, and no other was created
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (202, "true"), again.text
    assert again.json()["job_id"] == job["job_id"]
    complete(first, job["job_id"])
    assert send().json()["status"] == "completed"


def test_the_last_place_is_taken_once(pair: list[FrontEnd], first: FrontEnd) -> None:
    """Both front ends find it free before they read the body; the script that creates the job decides."""
    # Given room for one job, and an upload at each front end that is past the check
    for _ in range(LIMIT - 1):
        submit(first)
    body = form(part("file", mp4_bytes(1_000_000), filename="holiday.mp4"))
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(front_end.port)) for front_end in pair]
        for connection in connections:
            connection.sendall(head(JOBS, length=len(body)) + body[:-10])
        eventually(lambda: len(first.unfinished()) == len(pair), "both uploads")
        # When both are complete
        for connection in connections:
            connection.sendall(body[-10:])
        answers = [answer_on(connection) for connection in connections]
    # Then one job is created, and nothing of the other stays
    accepted, refused = sorted(answers, key=lambda answer: answer.status)
    assert (accepted.status, refused.status, refused.json()["code"]) == (202, 503, "QUEUE_FULL")
    left = [key for key in first.stored() if key.startswith("jobs/open/")]
    assert len(left) == LIMIT
    videos = {key.split("/")[1] for key in first.stored() if key.startswith("uploads/")}
    listed = {job["video_id"] for job in first.get(f"{JOBS}?page_size=100").json()["jobs"]}
    assert videos <= listed, "an upload of a refused request"
