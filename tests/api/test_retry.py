"""One more try at a job that came to no good end."""

import pytest

from clipzy_storage.models.records import ErrorCode
from tests.support.played_worker import claim, complete, fail, submit
from tests.support.servers import FrontEnd

JOBS = "/api/v1/jobs"


@pytest.mark.parametrize("end", ["failed", "cancelled", "known to storage alone"])
def test_a_job_without_a_result_is_tried_once_more(front_end: FrontEnd, end: str) -> None:
    # Given a job that came to no result
    first = submit(front_end)
    if end == "cancelled":
        assert front_end.post(f"{JOBS}/{first['job_id']}/cancel").status_code == 202
    else:
        fail(front_end, first["job_id"], ErrorCode.PROCESSING_FAILED, "the media process crashed twice")
    if end == "known to storage alone":
        front_end.forget(first["job_id"])
    ended = front_end.get(f"{JOBS}/{first['job_id']}").json()

    # When it is tried once more
    answer = front_end.post(f"{JOBS}/{first['job_id']}/retry")

    # Then there is a new job over the same video, which can be completed
    job = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"{JOBS}/{job['job_id']}")
    assert job["job_id"] != first["job_id"]
    same = ("video_id", "filename", "config", "status", "attempt", "error")
    assert [job[name] for name in same] == [first[name] for name in same]
    complete(front_end, job["job_id"])
    assert front_end.get(f"{JOBS}/{job['job_id']}").json()["status"] == "completed"

    # And the first stays as it was
    assert front_end.get(f"{JOBS}/{first['job_id']}").json() == ended


def test_a_job_that_may_not_be_tried_once_more_says_why(front_end: FrontEnd) -> None:
    # Given a waiting job, a running one, a completed one, and a cancelled one whose video is gone
    waiting, running, done, cancelled = (submit(front_end) for _ in range(4))
    claim(front_end, running["job_id"])
    complete(front_end, done["job_id"])
    front_end.post(f"{JOBS}/{cancelled['job_id']}/cancel")
    front_end.compare_records()
    assert front_end.delete(f"/api/v1/videos/{cancelled['video_id']}").status_code == 204
    before = front_end.stored()

    # When each is tried once more, then it is refused and nothing is made
    for job, status, code in (
        (waiting, 409, "JOB_NOT_FINISHED"),
        (running, 409, "JOB_NOT_FINISHED"),
        (done, 409, "JOB_ALREADY_FINISHED"),
        (cancelled, 404, "VIDEO_NOT_FOUND"),
    ):
        answer = front_end.post(f"{JOBS}/{job['job_id']}/retry")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert front_end.stored() == before


def test_a_retry_under_a_key_is_made_once(front_end: FrontEnd) -> None:
    # Given two cancelled jobs
    first, second = (submit(front_end)["job_id"] for _ in range(2))
    for job_id in (first, second):
        front_end.post(f"{JOBS}/{job_id}/cancel")
    named = {"headers": {"Idempotency-Key": f"retry-{first}"}}

    # When one is tried once more under a key, twice
    made, again = (front_end.post(f"{JOBS}/{first}/retry", **named) for _ in range(2))

    # Then that is one job
    assert (made.status_code, again.status_code) == (202, 202)
    assert made.json() == again.json()
    assert (made.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert again.headers["Location"] == made.headers["Location"]

    # And the key is good for nothing else
    other = front_end.post(f"{JOBS}/{second}/retry", **named)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
