"""Deleting jobs and uploads: for good, in any state of things, and not under anybody who uses them."""

from pathlib import Path

import pytest
import requests

from clipzy_storage import keys
from clipzy_storage.failpoints import Failpoint
from clipzy_storage.jobs import day_index
from clipzy_storage.maintenance.recovery import Recovery
from tests.support.forms import mp4_bytes
from tests.support.played_worker import claim, complete, submit
from tests.support.servers import FrontEnd

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"


def traces_of(front_end: FrontEnd, job_id: str) -> list[str]:
    return [key for key in front_end.stored() if job_id in key]


def is_gone(front_end: FrontEnd, job_id: str) -> bool:
    """Wherever one asks."""
    paths = (f"{JOBS}/{job_id}", f"{JOBS}/{job_id}/result", f"{JOBS}/{job_id}/files/poster.jpg")
    codes = {front_end.get(path).json().get("code") for path in paths}
    listed = [job["job_id"] for job in front_end.get(f"{JOBS}?page_size=100").json()["jobs"]]
    return codes == {"JOB_NOT_FOUND"} and job_id not in listed and traces_of(front_end, job_id) == []


def test_a_finished_job_is_deleted_with_its_result(front_end: FrontEnd) -> None:
    # Given two completed jobs, one of them known to storage alone, and a cancelled one
    jobs = [submit(front_end) for _ in range(3)]
    for job in jobs[:2]:
        complete(front_end, job["job_id"])
    assert front_end.get(f"{JOBS}/{jobs[0]['job_id']}/result").ok
    front_end.forget_whole(jobs[1]["job_id"])
    front_end.post(f"{JOBS}/{jobs[2]['job_id']}/cancel")

    for job in jobs:
        # When it is deleted
        answer = front_end.delete(f"{JOBS}/{job['job_id']}")

        # Then it is gone, and its video is not
        assert (answer.status_code, answer.content) == (204, b"")
        assert is_gone(front_end, job["job_id"])
        assert front_end.get(f"/storage/{keys.result_index(job['job_id'])}").status_code == 404
        assert front_end.get(f"{VIDEOS}/{job['video_id']}").ok

        # And it is not there to be deleted again
        again = front_end.delete(f"{JOBS}/{job['job_id']}")
        assert (again.status_code, again.json()["code"]) == (404, "JOB_NOT_FOUND")


def test_an_unfinished_job_is_not_deleted(front_end: FrontEnd) -> None:
    # Given a waiting job, one that only storage knows, and a running one
    waiting, forgotten, running = (submit(front_end)["job_id"] for _ in range(3))
    front_end.forget(forgotten)
    claim(front_end, running)

    # When they are deleted, then they are not, and the caller learns how it can be done
    for job_id in (waiting, forgotten, running):
        answer = front_end.delete(f"{JOBS}/{job_id}")
        assert (answer.status_code, answer.json()["code"]) == (409, "JOB_NOT_FINISHED")
        assert "cancel it first" in answer.json()["detail"]
        assert front_end.get(f"{JOBS}/{job_id}").ok


LONG = pytest.mark.long
BROKEN_OFF = [
    pytest.param("open-deleted", "repeated", marks=LONG),
    pytest.param("open-deleted", "redis lost", marks=LONG),
    pytest.param("done-deleted", "repeated", marks=LONG),
    ("done-deleted", "redis lost"),
    pytest.param("results-deleted", "repeated", marks=LONG),
    pytest.param("results-deleted", "redis lost", marks=LONG),
]


@pytest.mark.parametrize(("point", "then"), BROKEN_OFF)
def test_a_deletion_that_is_broken_off_comes_to_the_same_end(
    tmp_path: Path, front_end: FrontEnd, point: Failpoint, then: str
) -> None:
    """With the done record gone before the open one, a job whose deletion was broken off between them runs again."""
    # Given a completed job with an open record, as a worker leaves it that dies at the very end
    job_id = submit(front_end)["job_id"]
    record = front_end.root / keys.open_job(job_id)
    text = record.read_bytes()
    complete(front_end, job_id)
    record.write_bytes(text)

    # When it is deleted by a front end that dies in the middle, and Redis is perhaps lost as well
    with front_end.doomed(tmp_path / "doomed", at=point) as doomed, pytest.raises(requests.ConnectionError):
        doomed.delete(f"{JOBS}/{job_id}")
    recovery = Recovery(front_end.store, front_end.admin, front_end.storage)
    if then == "redis lost":
        front_end.forget_whole(job_id)
        recovery.rebuild()

    # Then it does not run again; it is deleted, or can be
    assert front_end.store.claim(job_id, nonce="n", storage_id=front_end.storage.prepare()) is None
    is_deleted = then == "redis lost" and point != "open-deleted"
    assert front_end.get(f"{JOBS}/{job_id}").status_code == (404 if is_deleted else 200)
    assert front_end.delete(f"{JOBS}/{job_id}").status_code == (404 if is_deleted else 204)

    # And then it is gone, but for an entry and a result that are nobody's any more, which the janitor takes
    recovery.rebuild()
    left = [] if then == "repeated" else [blob.key for blob in front_end.storage.list(keys.result_prefix(job_id))]
    if then == "redis lost" and point == "done-deleted":
        left = [*(entry.key for entry in day_index.entries(front_end.storage) if job_id in entry.key), *left]
    assert front_end.get(f"{JOBS}/{job_id}").status_code == 404
    assert traces_of(front_end, job_id) == left


def test_an_upload_is_deleted_and_results_stay(front_end: FrontEnd) -> None:
    # Given an upload with a completed job
    job = submit(front_end)
    complete(front_end, job["job_id"])
    front_end.compare_records()
    video = f"{VIDEOS}/{job['video_id']}"

    # When it is deleted
    answer = front_end.delete(video)

    # Then it is gone, nothing of it is left, and no job can be had over it
    assert (answer.status_code, answer.content) == (204, b"")
    assert front_end.get(video).json()["code"] == "VIDEO_NOT_FOUND"
    assert not [key for key in front_end.stored() if job["video_id"] in key]
    submitted = front_end.post(JOBS, json={"video_id": job["video_id"]})
    assert (submitted.status_code, submitted.json()["code"]) == (404, "VIDEO_NOT_FOUND")
    assert front_end.delete(video).json()["code"] == "VIDEO_NOT_FOUND"

    # And the job has its result
    assert front_end.get(f"{JOBS}/{job['job_id']}").json()["status"] == "completed"
    assert front_end.get(f"{JOBS}/{job['job_id']}/files/poster.jpg").ok


def test_an_upload_in_use_is_not_deleted(front_end: FrontEnd) -> None:
    # Given an upload with a waiting job, and one with a running one
    waiting, running = (submit(front_end) for _ in range(2))
    claim(front_end, running["job_id"])
    front_end.compare_records()
    before = front_end.stored()

    # When they are deleted, then they are not
    for job in (waiting, running):
        answer = front_end.delete(f"{VIDEOS}/{job['video_id']}")
        assert (answer.status_code, answer.json()["code"]) == (409, "VIDEO_IN_USE")
    assert front_end.stored() == before

    # Until nobody uses it
    front_end.post(f"{JOBS}/{waiting['job_id']}/cancel")
    assert front_end.delete(f"{VIDEOS}/{waiting['video_id']}").status_code == 204


def test_a_job_over_an_upload_that_is_just_being_deleted_leaves_nothing(front_end: FrontEnd) -> None:
    """Without the word in Redis the job is accepted, and fails for want of its file."""
    # Given a deletion that has told Redis, and has not come to the files
    video = front_end.post(VIDEOS, files={"file": ("a.mp4", mp4_bytes(1000))}).json()
    front_end.compare_records()
    assert front_end.admin.block_video(video["video_id"])
    before = front_end.stored()

    # When a job is submitted that still sees them, then it is refused and leaves no record
    answer = front_end.post(JOBS, json={"video_id": video["video_id"]})
    assert (answer.status_code, answer.json()["code"]) == (404, "VIDEO_NOT_FOUND")
    assert front_end.stored() == before


def test_while_records_may_be_missing_no_upload_is_deleted(own_front_end: FrontEnd) -> None:
    """Without that look at the epoch, an upload goes whose job Redis has forgotten."""
    # Given a Redis whose records were not compared with storage yet, and a job that it does not know
    job = submit(own_front_end)
    own_front_end.forget_whole(job["job_id"])

    # When the upload is deleted
    answer = own_front_end.delete(f"{VIDEOS}/{job['video_id']}")

    # Then it is not, and the caller is told to come again
    assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
    assert own_front_end.get(f"{VIDEOS}/{job['video_id']}").ok
