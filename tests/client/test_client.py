"""Every call of the client against a real front end; the worker is played."""

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from clipzy_api.client import Client, ClipzyError, Job, JobFailed, Queue, Status, UnusableFile, WaitTimeout
from clipzy_api.client.uploads.method import Method
from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.records import ErrorCode
from tests.exports.documents import output
from tests.support import played_worker
from tests.support.servers import FrontEnd


def test_a_file_becomes_a_job(client: Client, video: Path) -> None:
    # When a file is submitted with options
    sent: list[tuple[int, int]] = []
    job = client.submit(
        video, config={"sprites": False}, queue=Queue.BATCH, on_progress=lambda *done: sent.append(done)
    )
    # Then the job is as asked for, and is found again
    assert (job.status, job.filename, job.queue, job.config) == ("queued", video.name, "batch", {"sprites": False})
    assert client.job(job.job_id) == job
    # And the progress went from nothing to the whole file
    size_bytes = video.stat().st_size
    assert (sent[0], sent[-1]) == ((0, size_bytes), (size_bytes, size_bytes))
    assert sent == sorted(sent)
    # And its video has the bytes of the file
    found = client.video(job.video_id)
    assert (found.size_bytes, found.sha256) == (size_bytes, hashlib.sha256(video.read_bytes()).hexdigest())


def test_of_a_file_that_something_still_writes_nothing_is_kept(client: Client, video: Path) -> None:
    before = client.jobs_page().total

    def write_on(sent_bytes: int, total_bytes: int) -> None:
        if sent_bytes < total_bytes:
            with video.open("ab") as file:
                file.write(b"more")

    with pytest.raises(UnusableFile, match="was changed while it was sent"):
        client.submit(video, on_progress=write_on)
    assert client.jobs_page().total == before


def test_jobs_are_submitted_on_a_video(client: Client, video: Path) -> None:
    uploaded = client.upload(video)
    job = client.submit_video(uploaded.video_id, config=JobConfig(reuse=False), queue="batch")
    assert (job.video_id, job.config, job.queue) == (uploaded.video_id, {"reuse": False}, "batch")


def test_a_url_is_refused_where_that_is_not_allowed_and_is_not_shown(client: Client) -> None:
    with pytest.raises(ClipzyError, match="ALLOW_URL_IMPORT") as error:
        client.submit_url("https://videos.test/holiday.mp4?signature=secret")
    assert (error.value.code, error.value.is_transient, "secret" in str(error.value)) == ("URL_REFUSED", False, False)


def test_under_the_same_key_there_is_one_job(client: Client, video: Path) -> None:
    video_id = client.upload(video, idempotency_key="one-upload").video_id
    assert client.upload(video, idempotency_key="one-upload").video_id == video_id
    job = client.submit(video, idempotency_key="one-job")
    assert client.submit(video, idempotency_key="one-job").job_id == job.job_id
    assert client.submit(video).job_id != job.job_id


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"idempotency_key": "two words"}, "Idempotency-Key"),
        ({"idempotency_key": "holiday ☀"}, "Idempotency-Key"),
        ({"idempotency_key": "two\nlines"}, "Idempotency-Key"),
        ({"idempotency_key": ""}, "Idempotency-Key"),
        ({"config": {"shots": {"sensitivity": float("nan")}}}, "config"),
        ({"config": {"shots": object()}}, "config"),
    ],
)
@pytest.mark.parametrize("method", ["form", "tus"])
def test_what_cannot_be_asked_for_is_refused_before_the_file_is_sent(
    client: Client, video: Path, method: Method, options: dict[str, Any], field: str
) -> None:
    sent: list[int] = []
    with pytest.raises(ClipzyError, match="INVALID_FIELD") as error:
        client.submit(video, method=method, on_progress=lambda *done: sent.append(done[0]), **options)
    assert (error.value.field, sent) == (field, [])


def test_jobs_are_listed_each_once(client: Client, video: Path) -> None:
    # Given some jobs, of which one is cancelled
    made = [client.submit(video).job_id for _ in range(5)]
    client.cancel(made[0])
    # When they are listed over several pages, and another one arrives meanwhile
    listing = client.jobs(page_size=2)
    listed = [next(listing).job_id, next(listing).job_id]
    client.submit(video)
    listed += [job.job_id for job in listing]
    # Then each is there once, the newest first
    assert listed[:5] == made[::-1]
    assert len(set(listed)) == len(listed)
    # And they can be chosen by their status
    assert made[0] in [job.job_id for job in client.jobs(status=Status.CANCELLED)]
    assert {job.status for job in client.jobs(status="cancelled")} == {"cancelled"}
    page = client.jobs_page(2, page_size=3)
    assert (page.page, page.page_size, len(page.jobs)) == (2, 3, 3)


def test_a_job_is_cancelled_retried_and_deleted(client: Client, front_end: FrontEnd, video: Path) -> None:
    front_end.compare_records()  # as a worker does, before which no video is deleted
    # Given a job, When it is cancelled, Then to cancel it again changes nothing
    job = client.submit(video)
    assert client.cancel(job.job_id).status == "cancelled"
    assert client.cancel(job.job_id).status == "cancelled"
    # When it is retried, Then there is a new job on its video
    again = client.retry(job.job_id, idempotency_key=f"again-{job.job_id}")
    assert (again.video_id, again.job_id != job.job_id) == (job.video_id, True)
    assert client.retry(job.job_id, idempotency_key=f"again-{job.job_id}").job_id == again.job_id
    # When the new one is completed, Then it cannot be cancelled any more
    played_worker.complete(front_end, again.job_id)
    with pytest.raises(ClipzyError, match="JOB_ALREADY_FINISHED"):
        client.cancel(again.job_id)
    # When all is deleted, Then it is gone
    for job_id in (job.job_id, again.job_id):
        client.delete(job_id)
        with pytest.raises(ClipzyError) as gone:
            client.job(job_id)
        assert (gone.value.code, gone.value.status) == ("JOB_NOT_FOUND", 404)
    client.delete_video(job.video_id)
    with pytest.raises(ClipzyError, match="VIDEO_NOT_FOUND"):
        client.video(job.video_id)


def test_a_job_is_waited_for(client: Client, front_end: FrontEnd, video: Path) -> None:
    # Given a job that is not finished, Then to wait for it ends after the given time
    job = client.submit(video)
    with pytest.raises(WaitTimeout) as timeout:
        client.wait(job.job_id, timeout_seconds=0)
    assert (timeout.value.job.status, isinstance(timeout.value, TimeoutError)) == ("queued", True)
    # When it is completed while it is waited for, Then every change is seen, to the last
    seen: list[Job] = []

    def complete_once_seen(changed: Job) -> None:
        seen.append(changed)
        if len(seen) == 1:
            played_worker.complete(front_end, job.job_id)

    finished = client.wait(job.job_id, poll_seconds=0.05, on_change=complete_once_seen)
    assert [changed.status for changed in (seen[0], seen[-1])] == ["queued", "completed"]
    assert (finished, finished.status) == (seen[-1], "completed")


def test_a_job_without_a_result_is_an_error(client: Client, front_end: FrontEnd, video: Path) -> None:
    # Given a job that failed, and one that was cancelled
    failed, cancelled = client.submit(video), client.submit(video)
    played_worker.fail(front_end, failed.job_id, ErrorCode.INVALID_MEDIA, "The file has no video frames.")
    client.cancel(cancelled.job_id)
    # When they are waited for, Then the error has the code and the words of the job
    with pytest.raises(JobFailed) as failure:
        client.wait(failed.job_id)
    assert str(failure.value) == "INVALID_MEDIA: The file has no video frames."
    assert failure.value.job.status == "failed"
    with pytest.raises(JobFailed, match="JOB_CANCELLED"):
        client.wait(cancelled.job_id)


def test_a_refusal_has_all_that_the_front_end_says(client: Client, video: Path) -> None:
    with pytest.raises(ClipzyError) as refusal:
        client.submit(video, config={"sprites": "no"})
    error = refusal.value
    assert (error.code, error.status, error.field) == ("INVALID_FIELD", 422, "config.sprites")
    assert error.detail == str(error).removeprefix("INVALID_FIELD: ")
    assert error.request_id
    assert not error.is_transient


def test_the_caller_learns_who_it_is(client: Client) -> None:
    me = client.me()
    assert (me.owner, me.key) == ("everyone", None)
    assert me.usage.stored_bytes >= 0


def test_a_file_that_cannot_be_sent_is_refused_before_anything_is(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:1") as unreachable, pytest.raises(UnusableFile, match="No such file"):
        unreachable.submit(tmp_path / "missing.mp4")


def test_an_address_that_is_none_is_refused() -> None:
    for url in ("localhost:8000", "ftp://localhost", "http://", ""):
        with pytest.raises(ValueError, match="not the address of a front end"):
            Client(url)


def test_no_secret_is_shown() -> None:
    # Given a client with a key, and one with a login in its address
    for client in (Client("http://u:secret@127.0.0.1:1"), Client("http://127.0.0.1:1", api_key="clz_secret_secret")):
        # When it is shown, or fails, Then neither shows the secret
        with pytest.raises(ClipzyError) as failure:
            client.me()
        assert "secret" not in repr(client) + repr(failure.value) + str(failure.value)


@pytest.mark.parametrize("key", ["clz_secret\n", "clz secret", "clz_sécret"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="the API key has characters that no key has") as error:
        Client(api_key=key)
    assert key.strip() not in str(error.value)


def test_threads_may_share_a_client(client: Client, video: Path) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(client.submit(video).job_id)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 4


def test_shots_and_clips_are_exported(client: Client, front_end: FrontEnd) -> None:
    # Given a completed job, and one that waits
    job_id = played_worker.publish(front_end, output(shots=(0, 50, 100), clips=[(10, 60)]))
    waiting = played_worker.submit(front_end)["job_id"]
    # Then each export is there as bytes, of what and for which file was asked for
    assert client.export(job_id, "edl").startswith(b"TITLE: holiday shots\n")
    assert "* FROM CLIP NAME: Möwe & Co.mov\n".encode() in client.export(job_id, "edl", media="/day 1/Möwe & Co.mov")
    assert client.export(job_id, "csv", of="clips").count(b"\r\n") == 2
    # And a refusal is an error with its code
    for refused, format_name, of, code in (
        (job_id, "../result", "shots", "NOT_FOUND"),
        (job_id, "edl", "frames", "INVALID_FIELD"),
        (waiting, "edl", "shots", "JOB_NOT_FINISHED"),
    ):
        with pytest.raises(ClipzyError) as error:
            client.export(refused, format_name, of=of)
        assert error.value.code == code


def test_deliveries_to_a_webhook_are_listed_and_replayed(client: Client, front_end: FrontEnd, video: Path) -> None:
    # Given completed jobs with a webhook, submitted in every way
    url = "https://hooks.example.com/"
    jobs = [client.submit(video, webhook_url=url, method=method) for method in ("form", "tus")]
    jobs.append(client.submit_video(client.upload(video).video_id, webhook_url=url))
    for job in jobs:
        assert client.deliveries(job.job_id) == []
        played_worker.complete(front_end, job.job_id)
        # Then each has a delivery, which is due again after a replay
        (delivery,) = client.deliveries(job.job_id)
        assert (delivery.type, delivery.status) == ("job.completed", "pending")
        assert client.replay(job.job_id, delivery.delivery_id) == delivery
    with pytest.raises(ClipzyError) as refused:
        client.replay(jobs[0].job_id, "../replay")
    assert refused.value.code in ("DELIVERY_NOT_FOUND", "NOT_FOUND")
