"""``source_url`` at the front end: what is refused before a job exists, what a job shows of it, and its retry."""

from collections.abc import Iterator
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.records import ErrorCode, Video
from tests.support.forms import mp4_bytes
from tests.support.jobs import attempt_at
from tests.support.openapi import assert_described, document_of
from tests.support.played_worker import complete, fail
from tests.support.servers import FrontEnd, running_front_end, running_redis

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
SECRET = "canary-of-a-signature"
URL = f"https://videos.example.com/a/holiday%20one.mp4?X-Amz-Signature={SECRET}"


@pytest.fixture(scope="module")
def importing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end that accepts URLs, also of one private network."""
    directory = tmp_path_factory.mktemp("importing")
    (directory / "redis").mkdir()
    with (
        running_redis(directory / "redis") as redis,
        running_front_end(
            directory / "web",
            redis.url,
            ALLOW_URL_IMPORT="true",
            ALLOW_PRIVATE_ADDRESSES="10.1.0.0/16",
            OWNER_MAX_STORED_MB="1",
        ) as front_end,
    ):
        front_end.compare_records()
        yield front_end


def import_of(front_end: FrontEnd, url: Any = URL, **fields: Any) -> Any:
    return front_end.post(JOBS, json={"source_url": url, **fields})


def test_a_job_is_promised_its_video(importing: FrontEnd) -> None:
    # When a job is submitted with a URL
    answer = import_of(importing, config={"sprites": False}, queue="batch")
    # Then it has a video that does not exist yet
    job = answer.json()
    assert answer.status_code == 202, answer.text
    assert_described(document_of(importing), JOBS, answer)
    assert (job["status"], job["filename"], job["queue"]) == ("queued", "holiday one.mp4", "batch")
    assert keys.is_video_id(job["video_id"])
    assert importing.get(f"{VIDEOS}/{job['video_id']}").status_code == 404
    assert importing.post(JOBS, json={"video_id": job["video_id"]}).json()["code"] == "VIDEO_NOT_FOUND"
    # And it is recorded durably, as much as is known
    record = durable_records.read_open(importing.storage, job["job_id"])
    assert (record.source_url, record.source) == (URL, None)


def test_the_url_is_shown_to_nobody(importing: FrontEnd) -> None:
    job_id = import_of(importing).json()["job_id"]
    answers = [importing.get(f"{JOBS}/{job_id}"), importing.get(JOBS), importing.post(f"{JOBS}/{job_id}/cancel")]
    answers.append(import_of(importing, url=f"ftp://videos.example.com/{SECRET}"))
    answers.append(import_of(importing, url=f"https://me:{SECRET}@videos.example.com/"))
    answers.append(import_of(importing, surprise=1))
    assert [answer.text for answer in answers if SECRET in answer.text] == []
    assert SECRET not in importing.process.output()


@pytest.mark.parametrize(
    ("path", "filename"),
    [
        ("/v.mp4", "v.mp4"),
        ("/a/b.MKV?x=y.avi", "b.MKV"),
        ("/%2E%2E%2Fetc%2Fv.mov", "v.mov"),
        ("/a%0Ab%E2%80%AE.mp4", "ab.mp4"),
        ("/", "video"),
        ("/d/3f9a1c77e0", "video"),
        ("/.mp4", "video"),
        ("/watch.php/", "video"),
        ("/v.verylongextension", "video"),
    ],
)
def test_the_name_of_the_file_is_the_end_of_the_path(importing: FrontEnd, path: str, filename: str) -> None:
    """If it looks like one: the end of a path may be a secret too."""
    assert import_of(importing, f"https://videos.example.com{path}").json()["filename"] == filename


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.com/v.mp4", "file:///etc/passwd", "v.mp4", "https://", "http://user:pw@example.com/v.mp4"),
        *("http://127.0.0.1/v.mp4", "http://2130706433/", "http://0177.1/", "http://0x7f.1/", "http://[::1]/"),
        *("http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://0/"),
        *("http://169.254.169.254/latest/meta-data/", "http://10.2.0.1/", "http://192.168.0.1/", "http://[fd00::1]/"),
        "http://example.com/\r\nX-Injected: 1",
    ],
)
def test_some_urls_are_refused_at_once(importing: FrontEnd, url: str) -> None:
    before = importing.get(JOBS).json()["total"]
    answer = import_of(importing, url)
    assert (answer.status_code, answer.json()["code"]) == (422, "URL_REFUSED")
    assert_described(document_of(importing), JOBS, answer)
    assert importing.get(JOBS).json()["total"] == before


def test_an_allowed_network_is_accepted(importing: FrontEnd) -> None:
    assert import_of(importing, "http://10.1.2.3/v.mp4").status_code == 202


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"source_url": 7}, "source_url", "INVALID_FIELD"),
        ({"source_url": [URL]}, "source_url", "INVALID_FIELD"),
        ({"source_url": URL, "video_id": "vid_01m81bjpv3rgjp4c18v8p81aj2"}, "source_url", "INVALID_FIELD"),
        ({"source_url": ""}, "video_id", "MISSING_FIELD"),
        ({}, "video_id", "MISSING_FIELD"),
    ],
)
def test_what_is_no_import(importing: FrontEnd, fields: dict[str, Any], field: str, code: str) -> None:
    answer = importing.post(JOBS, json=fields)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)


def test_a_form_has_no_source_url(importing: FrontEnd) -> None:
    files = {"file": ("a.mp4", mp4_bytes(1000)), "source_url": (None, URL)}
    answer = importing.post(JOBS, files=files)
    assert (answer.status_code, answer.json()["field"]) == (422, "source_url")


def test_imports_are_off_unless_they_are_allowed(front_end: FrontEnd) -> None:
    answer = import_of(front_end)
    assert (answer.status_code, answer.json()["code"]) == (422, "URL_REFUSED")
    assert "ALLOW_URL_IMPORT" in answer.json()["detail"]


def test_an_owner_at_its_limit_imports_nothing(importing: FrontEnd) -> None:
    video = importing.post(VIDEOS, files={"file": ("a.mp4", mp4_bytes(1 << 20))}).json()
    answer = import_of(importing)
    assert (answer.status_code, answer.json()["code"]) == (429, "QUOTA_EXCEEDED")
    assert importing.delete(f"{VIDEOS}/{video['video_id']}").status_code == 204


def test_a_repeated_import_is_one_job(importing: FrontEnd) -> None:
    headers, fields = {"Idempotency-Key": "import-1"}, {"source_url": URL}
    first, second = (importing.post(JOBS, json=fields, headers=headers) for _ in range(2))
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    other = importing.post(JOBS, json={"source_url": URL + "x"}, headers=headers)
    assert other.json()["code"] == "IDEMPOTENCY_MISMATCH"


def test_a_failed_import_is_tried_once_more(importing: FrontEnd) -> None:
    # Given a job whose video could not be fetched
    first = import_of(importing, queue="batch").json()
    fail(importing, first["job_id"], ErrorCode.IMPORT_FAILED, "The video was not fetched.")
    answer = importing.get(f"{JOBS}/{first['job_id']}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "IMPORT_FAILED")
    # When it is retried, though Redis has forgotten it
    importing.forget(first["job_id"])
    job = importing.post(f"{JOBS}/{first['job_id']}/retry").json()
    # Then another video is fetched from the same URL
    assert (job["status"], job["filename"], job["queue"]) == ("queued", first["filename"], "batch")
    assert job["video_id"] != first["video_id"]
    assert durable_records.read_open(importing.storage, job["job_id"]).source_url == URL


def test_a_retry_takes_the_video_if_it_was_fetched(importing: FrontEnd) -> None:
    # Given a job that failed after its video was imported
    first = import_of(importing).json()
    attempt = attempt_at(importing.store, importing.storage, first["job_id"])
    video = Video.model_validate(
        durable_records.read_open(importing.storage, first["job_id"]).model_dump(
            include={"owner", "video_id", "filename"}
        )
        | {"key": keys.upload(first["video_id"], "mp4"), "container": "mp4", "size_bytes": 3, "sha256": "a" * 64}
        | {"uploaded_at": "2026-01-01T00:00:00Z"}
    )
    durable_records.write_video(importing.storage, video)
    assert attempt.fail(ErrorCode.PROCESSING_FAILED, "x") is not None
    # Then it is the same video
    assert importing.post(f"{JOBS}/{first['job_id']}/retry").json()["video_id"] == first["video_id"]


def test_a_job_over_an_import_can_be_completed_and_deleted(importing: FrontEnd) -> None:
    job = import_of(importing).json()
    complete(importing, job["job_id"])
    assert importing.get(f"{JOBS}/{job['job_id']}").json()["status"] == "completed"
    assert SECRET.encode() not in (importing.root / keys.done_job(job["job_id"])).read_bytes()
    assert importing.delete(f"{JOBS}/{job['job_id']}").status_code == 204
