"""The ``queue`` of a job, as clients name and see it."""

import pytest
import requests

from clipzy_storage.jobs import durable_records
from clipzy_storage.models.records import Queue
from tests.support.forms import mp4_bytes
from tests.support.servers import FrontEnd

JOBS = "/api/v1/jobs"


def uploaded(front_end: FrontEnd, content: bytes, *, key: str | None = None, **fields: str) -> requests.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return front_end.post(JOBS, files={"file": ("a.mp4", content)}, data=fields, headers=headers)


def test_a_form_and_json_name_the_queue_and_every_answer_has_it(front_end: FrontEnd) -> None:
    # Given a job of each kind of request
    by_form = uploaded(front_end, mp4_bytes(1000), queue="batch").json()
    by_json = front_end.post(JOBS, json={"video_id": by_form["video_id"], "queue": "batch"}).json()
    usual = front_end.post(JOBS, json={"video_id": by_form["video_id"]}).json()
    # Then each waits where it was told to, in every answer and in the record that outlives Redis
    queues = {by_form["job_id"]: "batch", by_json["job_id"]: "batch", usual["job_id"]: "interactive"}
    listed = {job["job_id"]: job["queue"] for job in front_end.get(JOBS).json()["jobs"]}
    assert queues.items() <= listed.items()
    for job_id, queue in queues.items():
        assert front_end.get(f"{JOBS}/{job_id}").json()["queue"] == queue
        assert durable_records.read_open(front_end.storage, job_id).queue is Queue(queue)
    # And a retry waits in the queue of the first job
    assert front_end.post(f"{JOBS}/{by_json['job_id']}/cancel").status_code == 202
    assert front_end.post(f"{JOBS}/{by_json['job_id']}/retry").json()["queue"] == "batch"


@pytest.mark.parametrize("name", ["", "Batch", "batch ", "x" * 20_000, "ínteractive"])
def test_another_queue_is_refused(front_end: FrontEnd, name: str) -> None:
    video = front_end.post("/api/v1/videos", files={"file": ("a.mp4", mp4_bytes(1000))}).json()
    by_json = front_end.post(JOBS, json={"video_id": video["video_id"], "queue": name})
    form = {"queue": (None, name.encode())}
    by_form = front_end.post(JOBS, files={**form, "file": ("a.mp4", mp4_bytes(1000))})
    for answer in (by_json, by_form):
        assert (answer.status_code, answer.json()["field"]) == (422, "queue")
        assert answer.json()["detail"] == "The field `queue` is wrong; it should be interactive or batch."


@pytest.mark.parametrize("value", [None, 1, ["batch"], {"batch": 1}, True])
def test_a_queue_is_a_text(front_end: FrontEnd, value: object) -> None:
    answer = front_end.post(JOBS, json={"video_id": "vid_00000000000000000000000000", "queue": value})
    assert (answer.status_code, answer.json()["field"]) == (422, "queue")


def test_a_queue_is_named_once(front_end: FrontEnd) -> None:
    fields = [("queue", "batch"), ("queue", "batch")]
    answer = front_end.post(JOBS, files={"file": ("a.mp4", mp4_bytes(1000))}, data=fields)
    assert (answer.status_code, answer.json()["field"]) == (422, "queue")


def test_a_key_is_of_one_queue(front_end: FrontEnd) -> None:
    content = mp4_bytes(1000)
    first = uploaded(front_end, content, key="one", queue="batch")
    again = uploaded(front_end, content, key="one", queue="batch")
    assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])
    other = uploaded(front_end, content, key="one")
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    # A request that names the usual queue asks for the same as one that names none
    first = uploaded(front_end, content, key="two")
    again = uploaded(front_end, content, key="two", queue="interactive")
    assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])
