"""What clients are told, and what is left, when Redis or the storage is away."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from clipzy_storage.jobs import durable_records
from tests.support.forms import mp4_bytes, video_form
from tests.support.jobs import source_key_of
from tests.support.played_worker import submit
from tests.support.requirements import missing
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, exchange, head

VIDEOS, JOBS = "/api/v1/videos", "/api/v1/jobs"
PROBLEM = "application/problem+json"


def test_health_and_readiness(front_end: FrontEnd) -> None:
    alive, ready = front_end.get("/healthz"), front_end.get("/readyz")

    assert alive.status_code == 200
    assert ready.status_code == 200
    body = ready.json()
    assert (body["redis"], body["storage"], body["guard"]) == ("ok", "ok", "ok")
    assert body["live_workers"] == 0
    assert front_end.unfinished() == []


def test_without_redis_nothing_is_taken(own_front_end: FrontEnd, own_redis: RedisServer) -> None:
    # Given a front end whose Redis has died
    own_redis.kill()

    # When uploads and questions come
    body = video_form(mp4_bytes(1000))
    answers = [exchange(own_front_end.port, head(path, length=len(body)), body) for path in (VIDEOS, JOBS)]
    answers.append(exchange(own_front_end.port, head(JOBS, method="GET")))
    json_head = head(JOBS, length=2, content_type="application/json")
    answers.append(exchange(own_front_end.port, json_head + b"{}"))

    # Then all are told to come again
    for answer in answers:
        assert (answer.status, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0

    # And nothing was written
    assert own_front_end.stored() == []
    assert own_front_end.unfinished() == []

    # And the front end lives, not ready, with the reason named
    assert own_front_end.get("/healthz").status_code == 200
    ready = own_front_end.get("/readyz")
    assert ready.status_code == 503
    assert ready.headers["Content-Type"] == PROBLEM
    assert (ready.json()["redis"], ready.json()["storage"]) == ("unavailable", "ok")
    assert ready.json()["live_workers"] is None


def test_a_front_end_that_redis_does_not_list_takes_nothing(own_front_end: FrontEnd, own_redis: RedisServer) -> None:
    # Given a Redis that has forgotten everything
    own_redis.forget_everything()

    # When an upload comes before the guard has let us in again
    body = video_form(mp4_bytes(1000))
    answer = exchange(own_front_end.port, head(JOBS, length=len(body)), body)

    # Then it is told to come again, and readiness names the guard
    assert (answer.status, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert own_front_end.stored() == []
    ready = own_front_end.get("/readyz").json()
    assert (ready["redis"], ready["storage"], ready["guard"]) == ("ok", "ok", "unavailable")


def test_redis_that_dies_during_the_upload_leaves_nothing(own_front_end: FrontEnd, own_redis: RedisServer) -> None:
    # Given an upload that was let in
    body = video_form(mp4_bytes(1 << 20))
    with connect(own_front_end.port) as connection:
        connection.sendall(head(JOBS, length=len(body)) + body[:600_000])
        assert eventually(lambda: own_front_end.unfinished() != [])

        # When Redis dies before its end, so that the record is certainly not made
        own_redis.kill()
        connection.sendall(body[600_000:])
        answer = answer_on(connection)

    # Then the refusal leaves nothing
    assert (answer.status, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
    assert own_front_end.stored() == []
    assert own_front_end.unfinished() == []


def test_where_redis_may_have_heard_the_files_stay(own_front_end: FrontEnd, own_redis: RedisServer) -> None:
    # Given a front end that has made a record before, and an upload that was let in
    first = submit(own_front_end)
    body = video_form(mp4_bytes(1 << 20))
    with connect(own_front_end.port) as connection:
        connection.sendall(head(JOBS, length=len(body)) + body[:600_000])
        assert eventually(lambda: own_front_end.unfinished() != [])

        # When Redis takes the record but does not answer in time
        own_redis.freeze()
        connection.sendall(body[600_000:])
        answer = answer_on(connection)
    assert (answer.status, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")

    # Then what the job needs is still there, for it may run after all
    job_id = (set(durable_records.open_job_ids(own_front_end.storage)) - {first["job_id"]}).pop()
    assert own_front_end.storage.exists(source_key_of(durable_records.read_open(own_front_end.storage, job_id)))

    # And it does: once Redis wakes it knows the job
    own_redis.thaw()
    assert eventually(lambda: own_front_end.get(f"{JOBS}/{job_id}").status_code == 200)


def test_without_storage_nothing_is_taken(own_front_end: FrontEnd) -> None:
    # Given a storage directory that has vanished, as an unmounted share does
    body = video_form(mp4_bytes(1000))
    own_front_end.root.rename(own_front_end.root.with_name("elsewhere"))

    # When an upload comes
    for path in (VIDEOS, JOBS):
        answer = exchange(own_front_end.port, head(path, length=len(body)), body)

        # Then it is told to come again, and no directory was made in the hole
        assert (answer.status, answer.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    assert not own_front_end.root.exists()
    ready = own_front_end.get("/readyz")
    assert (ready.status_code, ready.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
    assert (ready.json()["redis"], ready.json()["storage"]) == ("ok", "unavailable")

    # And when it is back, so are we
    own_front_end.root.with_name("elsewhere").rename(own_front_end.root)
    assert exchange(own_front_end.port, head(JOBS, length=len(body)), body).status == 202


def test_a_record_that_cannot_be_written_takes_the_upload_back(own_front_end: FrontEnd) -> None:
    # Given a storage where uploads can be written but job records cannot: a file lies where their directory should be
    (own_front_end.root / "jobs").write_bytes(b"")
    body = video_form(mp4_bytes(1000))

    # When a job is submitted
    answer = exchange(own_front_end.port, head(JOBS, length=len(body)), body)

    # Then the upload that had been published for it is gone again
    assert answer.status >= 400
    (own_front_end.root / "jobs").unlink()
    assert own_front_end.stored() == []
    assert own_front_end.unfinished() == []
    assert own_front_end.get(JOBS).json()["total"] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 400 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(directory)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        missing("mounting a small filesystem needs root")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_full_disk(tmp_path: Path, own_redis: RedisServer, small_disk: Path) -> None:
    with running_front_end(tmp_path / "web", own_redis.url, storage_path=small_disk / "storage") as front_end:
        # Given an upload that is known to have no room
        with connect(front_end.port) as connection:
            connection.sendall(head(VIDEOS, length=600 << 20))

            # When it begins, then it is refused before a byte of it comes
            assert connection.recv(1000).startswith(b"HTTP/1.1 507 ")
        assert front_end.unfinished() == []

        # Given a disk that others have filled
        (small_disk / "filler").write_bytes(bytes(300 << 20))

        # When a small upload comes, then it is refused as well and leaves nothing, and readiness says so
        answer = requests.post(front_end.api + "/jobs", files={"file": ("a.mp4", mp4_bytes(1000))}, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (507, "STORAGE_FULL")
        assert front_end.stored() == []
        assert front_end.unfinished() == []
        assert front_end.get("/readyz").json()["storage"] == "unavailable"
