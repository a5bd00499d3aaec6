"""``OWNER_MAX_…`` at front ends: 429, before a body is read where possible, and exact however many ask at once."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from tests.support.forms import mp4_bytes, video_form
from tests.support.played_worker import complete
from tests.support.servers import FrontEnd, running_front_end, running_pair, running_redis, without_waiting_jobs
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, head

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
LIMIT, MIB = 7, 1 << 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[FrontEnd]]:
    """Two front ends of one deployment."""
    with running_pair(tmp_path_factory.mktemp("pair"), OWNER_MAX_UNFINISHED_JOBS=str(LIMIT)) as front_ends:
        yield front_ends


@pytest.fixture
def first(pair: list[FrontEnd]) -> Iterator[FrontEnd]:
    """One of them, without a job before and after the test."""
    with without_waiting_jobs(pair[0]) as front_end:
        yield front_end


def me(front_end: FrontEnd) -> Any:
    return front_end.get("/api/v1/me").json()


def is_refused(answer: requests.Response) -> bool:
    problem = answer.json()
    assert answer.headers["Retry-After"] == "30"
    assert problem["limit"] == "unfinished_jobs"
    assert f"OWNER_MAX_UNFINISHED_JOBS allows {LIMIT} jobs" in problem["detail"]
    assert f"there are {LIMIT}" in problem["detail"]
    return (answer.status_code, problem["code"]) == (429, "QUOTA_EXCEEDED")


def test_50_requests_at_once_make_as_many_jobs_as_are_allowed(pair: list[FrontEnd], first: FrontEnd) -> None:
    # Given a video, and 50 clients at two front ends
    video = first.post(VIDEOS, files={"file": ("a.mp4", mp4_bytes(1000))}).json()
    stored = first.stored()

    def submit(number: int) -> requests.Response:
        return pair[number % 2].post(JOBS, json={"video_id": video["video_id"], "config": {"reuse": False}})

    # When all submit a job at the same time
    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(submit, range(50)))
    # Then exactly as many are made, the others are refused, and nothing of those is kept
    assert Counter(answer.status_code for answer in answers) == {202: LIMIT, 429: 50 - LIMIT}
    assert all(is_refused(answer) for answer in answers if answer.status_code == 429)
    assert len([key for key in set(first.stored()) - set(stored) if key.startswith("jobs/open/")]) == LIMIT
    # And the owner sees why
    assert me(first)["limits"] == {
        "unfinished_jobs": LIMIT,
        "running_jobs": None,
        "stored_bytes": None,
        "uploads": None,
    }
    usage = me(first)["usage"]
    assert (usage["unfinished_jobs"], usage["running_jobs"]) == (LIMIT, 0)


def test_no_body_is_read_and_a_repetition_is_answered(first: FrontEnd) -> None:
    # Given an owner with as many jobs as it may have, the first of them under a key
    content, key = mp4_bytes(1000), {"Idempotency-Key": "a-key"}
    made = first.post(JOBS, files={"file": ("a.mp4", content)}, headers=key).json()
    for _ in range(LIMIT - 1):
        assert first.post(JOBS, json={"video_id": made["video_id"], "config": {"reuse": False}}).status_code == 202
    stored = first.stored()
    # When it sends another file, then it is refused before the first byte of it
    with connect(first.port) as client:
        client.sendall(head(JOBS, length=100 << 20))
        assert answer_on(client).status == 429
    assert is_refused(first.post(JOBS, files={"file": ("b.mp4", mp4_bytes(1000))}))
    assert first.stored() == stored
    # And the repetition of the first request has its job
    again = first.post(JOBS, files={"file": ("a.mp4", content)}, headers=key)
    assert (again.status_code, again.json()["job_id"]) == (202, made["job_id"])
    # When one has finished, then there is room for one
    complete(first, made["job_id"])
    assert first.post(JOBS, files={"file": ("b.mp4", mp4_bytes(1000))}).status_code == 202
    assert is_refused(first.post(JOBS, files={"file": ("b.mp4", mp4_bytes(1000))}))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end whose owners may store 2 MiB."""
    directory = tmp_path_factory.mktemp("small")
    with (
        running_redis(directory / "redis") as server,
        running_front_end(directory / "web", server.url, OWNER_MAX_STORED_MB="2") as front_end,
    ):
        yield front_end


def test_what_is_stored_has_a_limit_and_falls_with_deletion(small: FrontEnd) -> None:
    # Given a video under a key, and a job with a result, within the limit
    small.compare_records()
    key = {"Idempotency-Key": "video"}
    content = mp4_bytes(MIB)
    video = small.post(VIDEOS, files={"file": ("a.mp4", content)}, headers=key).json()
    job = small.post(JOBS, files={"file": ("b.mp4", mp4_bytes(MIB // 2))}).json()
    complete(small, job["job_id"], artifacts={"poster.jpg": bytes(MIB // 4)})
    used = me(small)["usage"]["stored_bytes"]
    assert MIB * 7 // 4 < used < MIB * 7 // 4 + 10_000
    assert me(small)["limits"]["stored_bytes"] == 2 * MIB
    stored = small.stored()
    # When more is sent than there is room for, then it is refused and not kept, by every call that takes a file
    for call in (VIDEOS, JOBS):
        answer = small.post(call, files={"file": ("c.mp4", mp4_bytes(MIB // 2))})
        assert (answer.status_code, answer.json()["code"]) == (429, "QUOTA_EXCEEDED")
        assert "OWNER_MAX_STORED_MB allows 2 MiB" in answer.json()["detail"]
        assert answer.json()["limit"] == "stored_bytes"
    assert small.stored() == stored
    assert me(small)["usage"]["stored_bytes"] == used
    # And before the body is read, where its length tells
    with connect(small.port) as client:
        client.sendall(head(VIDEOS, length=100 << 20))
        assert answer_on(client).status == 429
    # And a repetition has its video
    again = small.post(VIDEOS, files={"file": ("a.mp4", content)}, headers=key)
    assert (again.status_code, again.json()["video_id"]) == (201, video["video_id"])
    assert me(small)["usage"]["stored_bytes"] == used
    # When the job is deleted, and then the videos, then there is room again
    assert small.delete(f"{JOBS}/{job['job_id']}").status_code == 204
    assert me(small)["usage"]["stored_bytes"] == MIB * 3 // 2
    for each in (video, job):
        assert small.delete(f"{VIDEOS}/{each['video_id']}").status_code == 204
    assert me(small)["usage"]["stored_bytes"] == 0
    assert small.post(VIDEOS, files={"file": ("c.mp4", mp4_bytes(MIB * 3 // 2))}).status_code == 201


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[FrontEnd]]:
    """Two front ends whose owners may have two uploads at a time."""
    directory = tmp_path_factory.mktemp("busy")
    with ExitStack() as stack:
        url = stack.enter_context(running_redis(directory / "redis")).url
        yield [
            stack.enter_context(
                running_front_end(directory / name, url, storage_path=directory / "storage", OWNER_MAX_UPLOADS="2")
            )
            for name in ("first", "second")
        ]


def test_uploads_at_a_time_have_a_limit_over_all_front_ends(busy: list[FrontEnd]) -> None:
    first, second = busy
    first.compare_records()
    body = video_form(mp4_bytes(1000))
    # Given an upload in progress at each front end
    with connect(first.port) as one, connect(second.port) as other:
        for client in (one, other):
            client.sendall(head(VIDEOS, length=len(body)) + body[:500])
        eventually(lambda: me(first)["usage"]["uploads"] == 2, "two uploads in progress")
        # When a third one comes, for whichever call, then it is refused
        for front_end, call in ((first, VIDEOS), (second, JOBS)):
            answer = front_end.post(call, files={"file": ("c.mp4", mp4_bytes(1000))})
            assert (answer.status_code, answer.json()["code"]) == (429, "QUOTA_EXCEEDED")
            assert "OWNER_MAX_UPLOADS allows 2 uploads at a time, and there are 2." in answer.json()["detail"]
            assert answer.json()["limit"] == "uploads"
        # When one of them ends, then there is room
        one.sendall(body[500:])
        assert answer_on(one).status == 201
        assert first.post(VIDEOS, files={"file": ("c.mp4", mp4_bytes(1000))}).status_code == 201
    # And so there is when the client of the other is gone
    eventually(lambda: me(first)["usage"]["uploads"] == 0, "no upload in progress")
