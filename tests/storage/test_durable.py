"""The records that outlive Redis, on every storage."""

from datetime import UTC, datetime

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend, put_bytes, put_json
from clipzy_storage.errors import AlreadyExists, NotFound, StorageError
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.records import EVERYONE, SCHEMA_VERSION, ErrorCode, Job, JobError, Status, Video

NOW = datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC)


def _video() -> Video:
    video_id = keys.new_id("vid")
    return Video(
        video_id=video_id,
        filename="../Zoë 🎬.mp4",
        key=keys.upload(video_id, "mp4"),
        container="mp4",
        size_bytes=5,
        sha256="0" * 64,
        uploaded_at=NOW,
    )


def _job() -> Job:
    return Job.for_video(_video(), storage_id="f" * 32, created_at=NOW)


def test_a_video_comes_back_as_it_was(storage: StorageBackend) -> None:
    # Given a video's record
    video = _video()
    durable_records.write_video(storage, video)

    # Then it is read as it was written, and is written once
    assert durable_records.read_video(storage, video.video_id) == video
    with pytest.raises(AlreadyExists):
        durable_records.write_video(storage, video)
    with pytest.raises(NotFound):
        durable_records.read_video(storage, keys.new_id("vid"))


def test_a_job_is_open_until_it_is_done(storage: StorageBackend) -> None:
    # Given an accepted job
    job = _job()
    durable_records.write_open_job(storage, job)
    assert durable_records.read_open(storage, job.job_id) == job

    # When it finishes
    error = JobError(code=ErrorCode.INVALID_MEDIA, stage="video_analysis", message="no video stream")
    ended = job.model_copy(update={"status": Status.FAILED, "finished_at": NOW, "error": error})
    durable_records.write_done_job(storage, ended)
    removed = [
        durable_records.remove_open_job(storage, job.job_id),
        durable_records.remove_open_job(storage, job.job_id),
    ]

    # Then only its done record remains
    assert removed == [True, False]
    assert durable_records.read_done(storage, job.job_id) == ended
    with pytest.raises(NotFound):
        durable_records.read_open(storage, job.job_id)


def test_the_first_done_record_of_a_job_counts(storage: StorageBackend) -> None:
    # Given a job with a done record
    done = _job().model_copy(update={"status": Status.COMPLETED, "finished_at": NOW})
    durable_records.write_done_job(storage, done)

    # When another is written
    durable_records.write_done_job(storage, done.model_copy(update={"status": Status.FAILED}))

    # Then that is no error and changes nothing
    assert durable_records.read_done(storage, done.job_id) == done


def test_open_jobs_are_found_oldest_first(storage: StorageBackend) -> None:
    # Given open jobs, one that is done, and a stray file
    jobs = [_job() for _ in range(3)]
    for job in reversed(jobs):
        durable_records.write_open_job(storage, job)
    durable_records.write_done_job(storage, _job())
    put_json(storage, "jobs/open/stray.json", {})

    # Then the open ones are found, by age and in the order of their ids
    expected = sorted(jobs, key=lambda job: job.job_id)
    assert list(durable_records.open_jobs(storage)) == expected
    assert list(durable_records.open_job_ids(storage)) == [job.job_id for job in expected]


def test_a_job_that_finishes_during_the_search_is_left_out(storage: StorageBackend) -> None:
    # Given two open jobs, and a search that has reached the first
    jobs = sorted((_job(), _job()), key=lambda job: job.job_id)
    for job in jobs:
        durable_records.write_open_job(storage, job)
    search = durable_records.open_jobs(storage)
    assert next(search) == jobs[0]

    # When the second finishes
    durable_records.remove_open_job(storage, jobs[1].job_id)

    # Then the search ends too
    assert list(search) == []


def test_records_name_their_version_and_owner(storage: StorageBackend) -> None:
    # When a record is written
    job = _job()
    durable_records.write_open_job(storage, job)

    # Then it carries both
    read = durable_records.read_open(storage, job.job_id)
    assert (read.schema_version, read.owner) == (SCHEMA_VERSION, EVERYONE)
    with storage.open(keys.open_job(job.job_id)) as stream:
        text = stream.read()
    assert b'"schema_version": 1' in text
    assert b'"owner": "everyone"' in text


def test_a_record_of_a_later_version_is_not_guessed_at(storage: StorageBackend) -> None:
    # Given a record that a later Clipzy wrote
    job = _job()
    put_json(storage, keys.open_job(job.job_id), job.model_dump(mode="json") | {"schema_version": 99})

    # Then reading it names the version and the remedy
    with pytest.raises(StorageError, match=r"version 99.*upgrade"):
        durable_records.read_open(storage, job.job_id)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"{}", b'{"schema_version": "1"}', b'{"schema_version": 1}', b'"\xff"'],
    ids=["empty", "cut", "list", "null", "no version", "text version", "no fields", "no text"],
)
def test_a_damaged_record_is_reported_as_damaged(storage: StorageBackend, text: bytes) -> None:
    # Given a damaged record
    job_id = keys.new_id("job")
    put_bytes(storage, keys.open_job(job_id), text, content_type="application/json")

    # Then reading it names the file
    with pytest.raises(StorageError, match=rf"{job_id}.json is damaged"):
        durable_records.read_open(storage, job_id)
