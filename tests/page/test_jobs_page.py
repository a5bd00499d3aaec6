"""Uploads and the list of jobs in a real browser, live."""

import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipzy_api.fleet_schemas import Fleet, FleetQueue, FleetWorker, RunningJob
from clipzy_storage.log_events import HTTP_REQUEST
from clipzy_storage.models.records import ErrorCode, Queue
from tests.page.conftest import CompletedJobs
from tests.page.web_page import WebPage
from tests.support.forms import MP4_HEAD
from tests.support.log_lines import events_in
from tests.support.played_worker import claim, complete, expire, fail, submit, write_result
from tests.support.servers import FrontEnd
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually

CHOOSER = "input[type=file]"
SLOW_BYTES_PER_SECOND = 500_000
CUT_AFTER_BYTES = 1_200_000


def listed(front_end: FrontEnd, filename: str) -> dict[str, Any]:
    """The newest job on a video of this name, once there is one."""

    def find() -> dict[str, Any] | None:
        jobs = front_end.get("/api/v1/jobs").json()["jobs"]
        return next((job for job in jobs if job["filename"] == filename), None)

    return eventually(find, filename) or {}


def test_an_upload_is_cut_resumed_and_followed_to_its_end(
    page: WebPage, front_end: FrontEnd, network: TcpProxy, tmp_path: Path
) -> None:
    # Given two files that were chosen, over a slow network whose connections break
    page.expected = ["net::ERR_", "status of 409", "status of 422", "status of 423"]
    video, other = tmp_path / "holiday ☀.mp4", tmp_path / "notes.mp4"
    video.write_bytes(MP4_HEAD + secrets.token_bytes(3_000_000))
    other.write_bytes(b"no video at all" * 1000)
    network.suffer(Fault("cut", of="request", after_bytes=CUT_AFTER_BYTES))
    page.url = network.url
    page.open()
    page.tab.set_upload_speed(SLOW_BYTES_PER_SECOND)
    page.tab.choose(CHOOSER, video, other)

    # Then one is under way, and the other was refused with a reason
    page.see("holiday ☀.mp4", "of 3 MB", "left", "notes.mp4", "The file is not mp4, mov, avi, mkv or webm")
    page.check()

    # Then the rest is sent by itself after every break, and the video is the same
    page.tab.set_upload_speed(-1)
    job = listed(front_end, "holiday ☀.mp4")
    stored = next(front_end.root.glob(f"uploads/{job['video_id']}/source.*")).read_bytes()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(video.read_bytes()).digest()
    patches = events_in(
        front_end.log.read_text(), HTTP_REQUEST, method="PATCH", path=f"/api/v1/uploads/{job['video_id']}"
    )
    assert len(patches) >= 3
    network.heal()

    # And each step of its worker shows before the next one is made
    page.see("Queued")
    attempt = claim(front_end, job["job_id"])
    page.see("Processing")
    for percent, stage in ((42, "video_analysis"), (97, "style_extraction")):
        front_end.store.heartbeat(attempt.claim, percent=percent, stage=stage)
        page.see(f"{percent} %", stage.replace("_", " ").capitalize())
    attempt.commit(write_result(front_end, attempt, artifacts={"shots/0000.jpg": b"a still"}))
    eventually(lambda: "Completed" in page.value(".job", "innerText"), "a completed job")

    # And what was refused can be discarded
    page.push("Discard notes.mp4")
    page.find(".upload", count=0)


def test_an_upload_is_paused_continued_and_given_up(page: WebPage, front_end: FrontEnd, tmp_path: Path) -> None:
    # Given an upload under way
    page.expected = ["status of 423"]  # while the request that was broken off still has its lock
    video = tmp_path / "paused.mp4"
    video.write_bytes(MP4_HEAD + secrets.token_bytes(4_000_000))
    page.open()
    page.tab.set_upload_speed(SLOW_BYTES_PER_SECOND)
    page.tab.choose(CHOOSER, video)
    page.see("/s ·")

    # When the same file is chosen once more, then it is not sent a second time
    page.tab.choose(CHOOSER, video)
    page.find(".upload")

    # When it is paused, and the page loaded anew, then it can be continued with the same file
    page.push("Pause paused.mp4")
    page.see("Paused at")
    page.tab.set_upload_speed(-1)
    page.open()
    page.see("Unfinished, 4 MB in all. Choose the same file again to continue it.")
    begun = next((front_end.root / ".clipzy/uploads").glob("*/data")).parent.name
    page.tab.choose(CHOOSER, video)
    job = listed(front_end, "paused.mp4")
    page.find(".upload", count=0)
    assert job["video_id"] == begun
    assert front_end.post(f"/api/v1/jobs/{job['job_id']}/cancel").status_code == 202

    # And one that is given up leaves nothing
    before = front_end.stored()
    page.tab.set_upload_speed(SLOW_BYTES_PER_SECOND)
    video.write_bytes(MP4_HEAD + secrets.token_bytes(4_000_000))
    page.tab.choose(CHOOSER, video)
    page.see("/s ·")
    page.push("Discard paused.mp4")
    page.find(".upload", count=0)
    page.tab.set_upload_speed(-1)
    left = front_end.root / ".clipzy/uploads"
    eventually(lambda: not any(left.glob("*/data")), "an upload that was removed")
    assert front_end.stored() == before


def test_files_can_be_dropped_anywhere(page: WebPage) -> None:
    # Given another view than the list
    page.expected = ["status of 404", "status of 422"]
    page.open("#/jobs/job_00000000000000000000000000")
    page.see("There is no such job")

    # When files are dropped on it, which are no videos
    page.tab.run("""{
      const dataTransfer = new DataTransfer();
      for (const name of ["one.mp4", "two.mov"]) dataTransfer.items.add(new File(["no video".repeat(99)], name));
      dataTransfer.items.add(new File([], "three.mp4"));
      for (const type of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, {dataTransfer, bubbles: true, cancelable: true}));
    }""")

    # Then the list shows what became of them
    page.find(".upload-refused", count=3)
    page.see("one.mp4", "two.mov", "The file is empty.", "Drop videos here")


def test_a_job_is_followed_on_its_page_cancelled_retried_and_deleted(page: WebPage, front_end: FrontEnd) -> None:
    # Given the page of a job that waits
    job = submit(front_end, filename="waits.mp4")
    page.open(f"#/jobs/{job['job_id']}")
    page.see("waits.mp4", "Waiting for a worker", "0 %")

    # When a worker takes it, then each step shows before the next one
    attempt = claim(front_end, job["job_id"])
    for percent, stage in ((30, "video_analysis"), (93, "audio_analysis")):
        front_end.store.heartbeat(attempt.claim, percent=percent, stage=stage)
        page.see(f"{percent} %")
        assert page.value(".stage-current", "innerText") == stage.replace("_", " ").capitalize()
    page.check()

    # And so does its failure, with what to do
    attempt.fail(ErrorCode.INVALID_MEDIA, "The file holds no video that can be decoded.")
    page.see("This job failed", "The file holds no video that can be decoded.", "INVALID_MEDIA", "export it again")
    page.check()

    # When it is retried, then there is a new job, which can be cancelled
    page.push("Retry")
    page.see("Waiting for a worker")
    page.push("Cancel")
    page.see("This job was cancelled")
    page.check()

    # When that is deleted, then only after a question
    page.push("Delete")
    page.see("Delete this job?")
    assert page.violations() == []
    page.tab.press("Escape")
    page.find("dialog", count=0)
    page.push("Delete")
    page.find("dialog[open]")
    page.tab.run("document.querySelector('dialog .button-danger').click()")
    page.find(".jobs")
    page.see("waits.mp4", "Failed")
    page.find(".badge-cancelled", count=front_end.get("/api/v1/jobs?status=cancelled").json()["total"])


def test_a_job_is_kept_whose_video_another_one_uses(page: WebPage, front_end: FrontEnd) -> None:
    # Given a failed job, and another one on its video that waits
    page.expected = ["status of 409"]
    front_end.compare_records()
    job = submit(front_end, filename="shared.mp4")
    fail(front_end, job["job_id"], ErrorCode.JOB_TIMEOUT, "It took too long.")
    retried = front_end.post(f"/api/v1/jobs/{job['job_id']}/retry").json()["job_id"]

    # When it is to be deleted with the video, then the page says why not, and the job is still there
    page.open(f"#/jobs/{job['job_id']}")
    page.push("Delete")
    page.find("dialog[open]")
    page.tab.run("document.querySelector('dialog input').click()")
    page.tab.run("document.querySelector('dialog .button-danger').click()")
    page.see("An unfinished job uses the video.")
    assert front_end.get(f"/api/v1/jobs/{job['job_id']}").ok

    # When that other job is cancelled, then both go
    assert front_end.post(f"/api/v1/jobs/{retried}/cancel").status_code == 202
    page.tab.run("document.querySelector('dialog .button-danger').click()")
    page.find(".jobs")
    for path in (f"jobs/{job['job_id']}", f"videos/{job['video_id']}"):
        assert front_end.get(f"/api/v1/{path}").status_code == 404


def test_a_result_that_has_expired_can_be_made_again(page: WebPage, front_end: FrontEnd) -> None:
    # Given a completed job whose result is gone
    job = submit(front_end, filename="old.mp4")
    complete(front_end, job["job_id"])
    expire(front_end, job["job_id"])

    # When its page is opened, then it says so
    page.open(f"#/jobs/{job['job_id']}")
    page.see("The result has expired", "Expired")
    page.check()

    # And the video can be analysed again
    page.push("Analyse again")
    page.see("Waiting for a worker", "old.mp4")
    page.push("Cancel")
    page.see("This job was cancelled")


def test_the_list_is_filtered(page: WebPage, front_end: FrontEnd, jobs: CompletedJobs) -> None:
    # Given jobs of several states
    fail(front_end, submit(front_end, filename="broken.mp4")["job_id"], ErrorCode.JOB_TIMEOUT, "It took too long.")
    page.open()
    page.see("demo.mp4", "broken.mp4")
    page.check()

    # When one status is asked for, then the list has no other
    page.push("failed")
    page.see("It took too long.")
    eventually(lambda: "demo.mp4" not in page.text(), "a list of failures")
    assert page.count(".badge") == page.count(".badge-failed")

    # And a name narrows it further
    page.tab.run("document.querySelector('input[type=search]').focus()")
    for letter in "zzz":
        page.tab.press(letter, text=letter)
    page.see("No job on this page has that name.")

    # And where the list has become shorter meanwhile, there is a way back
    page.open("#/?page=99")
    page.see("This page of the list is empty by now.")
    page.push("To the newest jobs")
    page.see("demo.mp4")

    # And every row leads to its job
    page.go("#/?status=completed")
    eventually(lambda: "zzz" not in page.text() and page.count(".job a") >= 0)
    page.open("#/?status=completed")
    page.see("demo.mp4")
    page.tab.run("[...document.querySelectorAll('.job a')].find(a => a.textContent.includes('demo.mp4')).click()")
    page.see("Timeline")
    assert jobs.demo["job_id"] in page.tab.run("location.hash")


def test_what_is_not_there_is_said(page: WebPage) -> None:
    page.expected = ["status of 404"]
    page.open("#/jobs/job_00000000000000000000000000")
    page.see("There is no such job")


def test_the_fleet(page: WebPage) -> None:
    # Given an answer of two workers; a stand-in, since no worker runs for long enough here to be looked at
    queues = [Queue.INTERACTIVE, Queue.BATCH]
    run = RunningJob(
        job_id=None,
        current_stage="video_analysis",
        progress_percent=7,
        running_seconds=1,
        started_at=datetime.now(UTC),
    )
    fleet = Fleet(
        workers=[
            FleetWorker(name="clipzy@one", queues=queues, slots=2, running=[run]),
            FleetWorker(name="clipzy@two", queues=[Queue.BATCH], slots=1, running=[]),
        ],
        queues=[
            FleetQueue(queue=Queue.INTERACTIVE, jobs=3, oldest_seconds=75, size_bytes=5_000_000_000),
            FleetQueue(queue=Queue.BATCH, jobs=0, oldest_seconds=None, size_bytes=0),
        ],
        delayed_jobs=1,
        parked_jobs=2,
        estimated_seconds_to_empty=600,
    ).model_dump_json()
    page.open()
    page.tab.run(
        f"void (globalThis.fetch = (fetch => (url, ...rest) => url.endsWith('/fleet')"
        f" ? Promise.resolve(new Response({fleet!r})) : fetch(url, ...rest))(fetch))"
    )

    # When the view is opened, then it shows both, and what waits
    page.go("#/fleet")
    page.see("clipzy@one", "1 of 2 slots", "a job of another owner", "Video analysis", "clipzy@two", "idle")
    page.see("3 jobs", "oldest for 75 s", "5 GB", "all done in about 10 min", "nothing waits")
    page.see("1 job waiting", "2 jobs waiting")
    page.check()

    # And that of the front end too
    page.open()
    page.go("#/fleet")
    page.see("No worker is running", "nothing waits")
