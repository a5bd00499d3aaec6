"""Jobs through a real front end: submitted, followed, listed, answered for."""

import re
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_storage import keys
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.records import ErrorCode, Status
from tests.support.forms import mp4_bytes, video_form
from tests.support.played_worker import POSTER, claim, complete, fail, submit
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.waiting import eventually
from tests.support.wire import exchange, head

JOBS = "/api/v1/jobs"
FIELDS = [
    "job_id",
    "video_id",
    "filename",
    "status",
    "progress_percent",
    "current_stage",
    "attempt",
    "config",
    "queue",
    "created_at",
    "started_at",
    "finished_at",
    "result",
    "error",
]


def post_json(front_end: FrontEnd, text: str | bytes) -> requests.Response:
    return requests.post(front_end.api + "/jobs", data=text, headers={"Content-Type": "application/json"}, timeout=30)


def test_a_file_becomes_a_job(front_end: FrontEnd) -> None:
    # Given a video
    content = mp4_bytes(300_000)

    # When it is submitted
    answer = requests.post(front_end.api + "/jobs", files={"file": ("holiday.mp4", content)}, timeout=30)

    # Then there is a queued job for it
    job = answer.json()
    assert answer.status_code == 202, answer.text
    assert list(job) == FIELDS
    assert (job["status"], job["progress_percent"], job["attempt"]) == ("queued", 0, 0)
    assert (job["filename"], job["config"], job["queue"]) == ("holiday.mp4", {}, "interactive")
    assert job["result"] is job["error"] is job["started_at"] is job["finished_at"] is job["current_stage"] is None
    assert answer.headers["Location"] == f"{JOBS}/{job['job_id']}"

    # And it can be followed, under a record that outlives Redis, of the file that was sent
    assert front_end.get(answer.headers["Location"]).json() == job
    record = durable_records.read_open(front_end.storage, job["job_id"])
    video = front_end.get(f"/api/v1/videos/{job['video_id']}").json()
    assert record.source_key == keys.upload(job["video_id"], "mp4")
    assert (record.source_size_bytes, record.source_sha256) == (len(content), video["sha256"])
    assert record.source_container == "mp4"
    assert record.storage_id == front_end.storage.prepare()


def test_one_video_serves_many_jobs(front_end: FrontEnd) -> None:
    # Given an uploaded video
    video = requests.post(front_end.api + "/videos", files={"file": ("a.mp4", mp4_bytes(1000))}, timeout=30).json()

    # When two jobs are asked for it
    answers = [requests.post(front_end.api + "/jobs", json={"video_id": video["video_id"]}, timeout=30) for _ in "12"]

    # Then there are two
    assert [answer.status_code for answer in answers] == [202, 202]
    assert {answer.json()["video_id"] for answer in answers} == {video["video_id"]}
    assert len({answer.json()["job_id"] for answer in answers}) == 2


@pytest.mark.parametrize(
    ("text", "status", "code", "field"),
    [
        ("", 422, "INVALID_FIELD", "body"),
        ("{", 422, "INVALID_FIELD", "body"),
        (b"\xff\xfe{}", 422, "INVALID_FIELD", "body"),
        ("[" * 100_000, 422, "INVALID_FIELD", "body"),
        ("[]", 422, "INVALID_FIELD", "body"),
        ('"vid"', 422, "INVALID_FIELD", "body"),
        ("null", 422, "INVALID_FIELD", "body"),
        ("{}", 422, "MISSING_FIELD", "video_id"),
        ('{"video_id": null}', 422, "MISSING_FIELD", "video_id"),
        ('{"video_id": ""}', 422, "MISSING_FIELD", "video_id"),
        ('{"video_id": 7}', 422, "INVALID_FIELD", "video_id"),
        ('{"video_id": ["x"]}', 422, "INVALID_FIELD", "video_id"),
        ('{"video_id": "x", "colour": 1}', 422, "INVALID_FIELD", "colour"),
        ('{"video_id": "x", "config": []}', 422, "INVALID_FIELD", "config"),
        ('{"video_id": "x", "config": {}}', 404, "VIDEO_NOT_FOUND", None),
        ('{"video_id": "x", "template_video_id": null}', 422, "INVALID_FIELD", "template_video_id"),
        ('{"video_id": "x", "webhook_url": ""}', 422, "INVALID_FIELD", "webhook_url"),
        ('{"video_id": "x"}', 404, "VIDEO_NOT_FOUND", None),
        ('{"video_id": "../../etc/passwd"}', 404, "VIDEO_NOT_FOUND", None),
        ('{"video_id": "vid_00000000000000000000000000"}', 404, "VIDEO_NOT_FOUND", None),
    ],
)
def test_a_wrong_json_body_is_refused_by_name(
    front_end: FrontEnd, text: str | bytes, status: int, code: str, field: str | None
) -> None:
    before = front_end.stored()

    answer = post_json(front_end, text)

    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert front_end.stored() == before


def test_a_json_body_needs_its_length(front_end: FrontEnd) -> None:
    request = head(JOBS, content_type="application/json", more="Transfer-Encoding: chunked\r\n")

    answer = exchange(front_end.port, request + b"2\r\n{}\r\n0\r\n\r\n")

    assert (answer.status, answer.json()["code"]) == (411, "LENGTH_REQUIRED")


def test_a_cut_json_body_is_refused(front_end: FrontEnd) -> None:
    request = head(JOBS, content_type="application/json", length=50)

    answer = exchange(front_end.port, request + b"{}", end_sending=True)

    assert (answer.status, answer.json()["code"]) == (400, "TRUNCATED_UPLOAD")


def test_a_job_that_has_not_changed_is_not_sent_again(front_end: FrontEnd) -> None:
    # Given a job that was asked for once
    job_id = submit(front_end)["job_id"]
    first = front_end.get(f"{JOBS}/{job_id}")
    tag = first.headers["ETag"]
    assert tag.startswith('W/"')
    assert first.headers["Retry-After"] == "1"

    # When it is asked for again, unchanged, then there is nothing to send
    second = front_end.get(f"{JOBS}/{job_id}", headers={"If-None-Match": tag})
    assert (second.status_code, second.content) == (304, b"")

    # When a worker has reported, then there is
    attempt = claim(front_end, job_id)
    assert front_end.store.heartbeat(attempt.claim, percent=40, stage="video_analysis") == "held"
    third = front_end.get(f"{JOBS}/{job_id}", headers={"If-None-Match": tag})
    assert third.status_code == 200
    assert third.headers["ETag"] != tag
    assert (third.json()["status"], third.json()["progress_percent"]) == ("processing", 40)
    assert (third.json()["current_stage"], third.json()["attempt"]) == ("video_analysis", 1)


def test_a_completed_job_leads_to_its_result(front_end: FrontEnd) -> None:
    # Given a completed job
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id)

    # When it is asked for
    answer = front_end.get(f"{JOBS}/{job_id}")
    job = answer.json()

    # Then it need not be asked again, and links to the index of its result
    assert (job["status"], job["progress_percent"], job["current_stage"]) == ("completed", 100, None)
    assert "Retry-After" not in answer.headers
    assert job["result"] == {"storage_url": f"/storage/results/{job_id}/output.json", "expires_at": None}
    assert front_end.get(job["result"]["storage_url"]).json()["job_id"] == job_id

    # And the result itself comes with a link to each of its files
    result = front_end.get(f"{JOBS}/{job_id}/result").json()
    [poster] = result["artifacts"]
    assert poster["storage_url"] == "/storage/" + poster["key"]
    assert front_end.get(poster["storage_url"]).content == POSTER

    # And the links were not written into it
    assert "storage_url" not in front_end.get(job["result"]["storage_url"]).text


def test_files_of_a_job_by_name(front_end: FrontEnd) -> None:
    # Given a completed job with a file in a directory
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id, artifacts={"poster.jpg": POSTER, "shots/0000.jpg": b"first"})
    base = f"{JOBS}/{job_id}/files"

    # When its files are asked for by name, then they come
    assert front_end.get(f"{base}/poster.jpg").content == POSTER
    assert front_end.get(f"{base}/shots/0000.jpg").content == b"first"
    assert front_end.get(f"{base}/output.json").json()["job_id"] == job_id

    # And nothing else does
    for name in (
        "unlisted.txt",
        "0000.jpg",
        "shots/",
        "shots/../poster.jpg",
        "%2e%2e/output.json",
        "Poster.jpg",
        "%00",
    ):
        answer = front_end.get_as_written(f"{base}/{name}")
        assert answer.status_code == 404, name
        assert answer.json()["code"] in ("FILE_NOT_FOUND", "NOT_FOUND")


@pytest.mark.parametrize("path", ["result", "files/output.json"])
def test_a_job_without_a_result_says_why(front_end: FrontEnd, path: str) -> None:
    # Given a job that waits, one that runs and one that failed
    waiting, running, failed = (submit(front_end)["job_id"] for _ in range(3))
    claim(front_end, running)
    fail(front_end, failed, ErrorCode.INVALID_MEDIA, "There is no video track.")

    # When their results are asked for, then each says what it is
    for job_id, code in ((waiting, "JOB_NOT_FINISHED"), (running, "JOB_NOT_FINISHED"), (failed, "INVALID_MEDIA")):
        answer = front_end.get(f"{JOBS}/{job_id}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert "There is no video track." in answer.json()["detail"]
    error = front_end.get(f"{JOBS}/{failed}").json()["error"]
    assert (error["code"], error["message"]) == ("INVALID_MEDIA", "There is no video track.")


def test_jobs_are_listed_newest_first(own_front_end: FrontEnd) -> None:
    # Given five jobs, two of them completed
    ids = [submit(own_front_end)["job_id"] for _ in range(5)]
    for job_id in ids[:2]:
        complete(own_front_end, job_id)
    newest_first = ids[::-1]

    # When they are listed
    everything = own_front_end.get(JOBS)

    # Then all come, in one page
    body = everything.json()
    assert [job["job_id"] for job in body["jobs"]] == newest_first
    assert (body["total"], body["page"], body["page_size"]) == (5, 1, 20)
    assert "Link" not in everything.headers

    # When they are listed by pages, then each page leads to its neighbours
    middle = own_front_end.get(f"{JOBS}?page=2&page_size=2")
    assert [job["job_id"] for job in middle.json()["jobs"]] == newest_first[2:4]
    assert own_front_end.get(middle.links["next"]["url"]).json()["page"] == 3
    assert own_front_end.get(middle.links["prev"]["url"]).json()["page"] == 1
    last = own_front_end.get(f"{JOBS}?page=3&page_size=2")
    assert "next" not in last.links
    beyond = own_front_end.get(f"{JOBS}?page=9&page_size=2")
    assert beyond.json()["jobs"] == []
    assert beyond.links["prev"]["url"] == f"{JOBS}?page=3&page_size=2"

    # When one status is asked for, then only those come, and the links keep to it
    completed = own_front_end.get(f"{JOBS}?status=completed&page_size=1")
    assert completed.json()["total"] == 2
    assert completed.json()["jobs"][0]["result"] is not None
    assert "status=completed" in completed.links["next"]["url"]
    for status in Status:
        assert own_front_end.get(f"{JOBS}?status={status.value}").status_code == 200


def test_listings_by_cursor_do_not_shift(own_front_end: FrontEnd) -> None:
    # Given a page of jobs, the last of which is deleted while others arrive
    newest_first = [submit(own_front_end)["job_id"] for _ in range(5)][::-1]
    for job_id in newest_first[1:4]:
        complete(own_front_end, job_id)
    first = own_front_end.get(f"{JOBS}?page_size=2").json()
    for _ in range(3):
        submit(own_front_end)
    requests.delete(f"{own_front_end.api}/jobs/{newest_first[1]}", timeout=30)

    # When the next pages are asked for, then they go on where the first has ended
    found, cursor = [], first["next_cursor"]
    while cursor:
        page = own_front_end.get(f"{JOBS}?page_size=2&cursor={cursor}")
        found += [job["job_id"] for job in page.json()["jobs"]]
        cursor = page.json()["next_cursor"]
        assert (page.json()["page"], page.json()["total"]) == (None, 7)
        assert ("next" in page.links) == (cursor is not None)
        assert cursor is None or own_front_end.get(page.links["next"]["url"]).json()["jobs"][0]["job_id"] not in found
    assert found == newest_first[2:]

    # And a listing of one status goes on among those
    page = own_front_end.get(f"{JOBS}?status=completed&page_size=1").json()
    assert page["jobs"][0]["job_id"] == newest_first[2]
    page = own_front_end.get(f"{JOBS}?status=completed&page_size=1&cursor={page['next_cursor']}").json()
    assert ([job["job_id"] for job in page["jobs"]], page["next_cursor"]) == ([newest_first[3]], None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=1.5", "page"),
        ("page=%D9%A1", "page"),
        ("page=99999999999999999999", "page"),
        ("page=1&page=2", "page"),
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("limit=5", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=MTpqb2Jf%C3%A9", "cursor"),
        ("cursor=MTox&page=1", "cursor"),
    ],
)
def test_a_wrong_query_is_refused_by_name(front_end: FrontEnd, query: str, field: str) -> None:
    answer = front_end.get(f"{JOBS}?{query}")

    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "INVALID_FIELD", field)
    assert re.search("should be", problem["detail"])


def test_a_broker_that_is_away_does_not_lose_the_job(tmp_path: Path, own_redis: RedisServer) -> None:
    # Given a front end whose broker is another Redis, which is away
    with running_front_end(tmp_path / "web", own_redis.url, CELERY_BROKER_URL="redis://127.0.0.1:1/0") as front_end:
        # When a job is submitted
        body = video_form(mp4_bytes(1000))
        answer = exchange(front_end.port, head(JOBS, length=len(body)), body)

        # Then it is accepted, since its record will be published later
        assert answer.status == 202
        assert front_end.get(f"{JOBS}/{answer.json()['job_id']}").json()["status"] == "queued"
        assert eventually(lambda: "job.notification_lost" in front_end.log.read_text())


def test_an_empty_parameter_counts_as_none(front_end: FrontEnd) -> None:
    spelt_out = front_end.get(f"{JOBS}?status=&page=1&page_size=20")
    assert spelt_out.status_code == 200
    assert spelt_out.json() == front_end.get(JOBS).json()


@pytest.mark.parametrize("path", [JOBS, "/api/v1/videos"])
def test_a_query_on_a_submission_is_not_taken_and_ignored(front_end: FrontEnd, path: str) -> None:
    files = {"file": ("holiday.mp4", mp4_bytes(1000))}
    answer = requests.post(f"{front_end.url}{path}?config={{}}", files=files, timeout=30)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "INVALID_FIELD", "config")
