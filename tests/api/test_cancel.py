"""Cancelling, in every state that a job can be in."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import requests

from clipzy_api.inputs.preconditions import JSON_LIMIT_BYTES
from clipzy_storage import keys
from clipzy_storage.errors import CancellationRequested
from clipzy_storage.jobs import completion, durable_records
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.models.records import ErrorCode
from tests.support.jobs import reap_twice
from tests.support.played_worker import claim, complete, fail, submit, write_result
from tests.support.servers import FrontEnd, RedisServer
from tests.support.waiting import eventually
from tests.support.wire import exchange, head

JOBS = "/api/v1/jobs"


def cancel(front_end: FrontEnd, job_id: str, **options: Any) -> requests.Response:
    return front_end.post(f"{JOBS}/{job_id}/cancel", **options)


def records_of(front_end: FrontEnd, job_id: str) -> set[str]:
    """The directories in which there is a record of the job."""
    return {key.split("/")[1] for key in front_end.stored() if key.startswith("jobs/") and f"{job_id}.json" in key}


def refuses(front_end: FrontEnd, job_id: str) -> bool:
    answer = cancel(front_end, job_id)
    return (answer.status_code, answer.json()["code"]) == (409, "JOB_ALREADY_FINISHED")


def test_a_waiting_job_is_cancelled_in_the_answer(front_end: FrontEnd) -> None:
    # Given a waiting job
    job_id = submit(front_end)["job_id"]

    # When it is cancelled
    answer = cancel(front_end, job_id)

    # Then it is, for good, and nothing is left but the record of that
    job = answer.json()
    assert (answer.status_code, job["status"], job["error"], job["result"]) == (202, "cancelled", None, None)
    assert "Retry-After" not in answer.headers
    assert front_end.get(f"{JOBS}/{job_id}").json() == job
    assert records_of(front_end, job_id) == {"done"}
    assert front_end.get(f"{JOBS}/{job_id}/result").json()["code"] == "JOB_CANCELLED"
    assert front_end.store.claim(job_id, nonce="n", storage_id=front_end.storage.prepare()) is None
    assert refuses(front_end, job_id)


def test_a_running_job_is_ended_by_its_worker(front_end: FrontEnd) -> None:
    # Given a job that a worker holds
    job_id = submit(front_end)["job_id"]
    attempt = claim(front_end, job_id)

    # When it is cancelled, twice since the caller is in doubt
    for _ in range(2):
        answer = cancel(front_end, job_id)
        assert (answer.status_code, answer.json()["status"]) == (202, "processing")
        assert answer.headers["Retry-After"] == "1"

    # Then the worker hears of it, and a result that it had ready does not count
    assert front_end.store.heartbeat(attempt.claim, percent=90, stage="video_analysis") == "cancel"
    assert records_of(front_end, job_id) == {"open", "cancel"}
    result = write_result(front_end, attempt)
    with pytest.raises(CancellationRequested):
        attempt.commit(result)

    # And once the worker confirms it the job is cancelled, and its files are deleted
    attempt.confirm_cancelled()
    assert front_end.get(f"{JOBS}/{job_id}").json()["status"] == "cancelled"
    assert records_of(front_end, job_id) == {"done"}
    assert not [key for key in front_end.stored() if key.startswith(keys.result_prefix(job_id))]


def test_a_committed_job_is_not_cancelled(front_end: FrontEnd) -> None:
    """A request that stayed would cancel the job after a loss of Redis."""
    # Given a job whose result was committed
    job_id = submit(front_end)["job_id"]
    attempt = claim(front_end, job_id)
    result = write_result(front_end, attempt)
    digest = hashlib.sha256(result.index).hexdigest()
    pending = front_end.store.commit(attempt.claim, attempt_prefix=result.prefix, result_sha256=digest)

    # When it is cancelled, then it is too late, and no request is left
    assert front_end.get(f"{JOBS}/{job_id}").json()["status"] == "processing"
    assert refuses(front_end, job_id)
    assert records_of(front_end, job_id) == {"open"}

    # And it is completed as it was committed
    completion.complete(front_end.store, front_end.storage, pending)
    assert front_end.get(f"{JOBS}/{job_id}").json()["status"] == "completed"


def test_a_finished_job_cannot_be_cancelled(front_end: FrontEnd) -> None:
    # Given a completed job and a failed one, and others of which only storage knows
    jobs = [submit(front_end)["job_id"] for _ in range(4)]
    for job_id in jobs[::2]:
        complete(front_end, job_id)
    for job_id in jobs[1::2]:
        fail(front_end, job_id, ErrorCode.INVALID_MEDIA, "There is no video track.")
    for job_id in jobs[2:]:
        front_end.forget(job_id)

    # When they are cancelled, then nothing changes
    for job_id in jobs:
        before = front_end.get(f"{JOBS}/{job_id}").json()
        assert refuses(front_end, job_id)
        assert front_end.get(f"{JOBS}/{job_id}").json() == before
        assert records_of(front_end, job_id) == {"done"}


def test_a_job_that_only_storage_knows_is_cancelled(front_end: FrontEnd) -> None:
    """Without making Redis know it first it cannot be cancelled, and runs when it is found again."""
    job_id = submit(front_end)["job_id"]
    front_end.forget(job_id)

    answer = cancel(front_end, job_id)

    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert records_of(front_end, job_id) == {"done"}


def test_a_cancelled_job_stays_so_whatever_is_lost(own_front_end: FrontEnd, own_redis: RedisServer) -> None:
    """Without the request in storage the first job runs again; without the reaper the second is processed for ever."""
    # Given a running job that is to be cancelled, and then a Redis that has lost everything
    first = submit(own_front_end)["job_id"]
    claim(own_front_end, first)
    assert cancel(own_front_end, first).status_code == 202
    own_redis.forget_everything()

    # When its records are made anew from storage
    Recovery(own_front_end.store, own_front_end.admin, own_front_end.storage).rebuild()

    # Then it is cancelled
    assert own_front_end.get(f"{JOBS}/{first}").json()["status"] == "cancelled"
    assert records_of(own_front_end, first) == {"done"}

    # Given a waiting job, and a storage where its end cannot be recorded: a file lies where the directory should be
    assert eventually(lambda: own_front_end.get("/readyz").ok)
    second = submit(own_front_end)["job_id"]
    done, aside = own_front_end.root / "jobs/done", own_front_end.root / "aside"
    done.rename(aside)
    done.write_bytes(b"")

    # When it is cancelled, then that is decided, though it does not show yet
    answer = cancel(own_front_end, second)
    assert (answer.status_code, answer.json()["status"]) == (202, "processing")
    assert own_front_end.store.claim(second, nonce="n", storage_id=own_front_end.storage.prepare()) is None

    # And the reaper carries it out when the storage is well again
    done.unlink()
    aside.rename(done)
    with own_redis.client() as client:
        ((job_id, token),) = reap_twice(own_front_end.store, client).adopted
    completion.complete_job(own_front_end.store, own_front_end.storage, job_id, token)
    assert own_front_end.get(f"{JOBS}/{second}").json()["status"] == "cancelled"
    assert records_of(own_front_end, second) == {"done"}

    # Given a Redis that is away, when a job is cancelled or deleted, then the caller is told to come again
    own_redis.kill()
    for answer in (cancel(own_front_end, second), own_front_end.delete(f"{JOBS}/{second}")):
        assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
    assert own_front_end.get(f"{JOBS}/{second}").json()["code"] == "QUEUE_UNAVAILABLE"


@pytest.mark.parametrize("call", ["cancel", "retry"])
def test_a_call_that_takes_no_fields_takes_what_clients_send_instead(front_end: FrontEnd, call: str) -> None:
    # Given a job that is not there, so that whatever is let in is answered with that
    path = f"{JOBS}/{keys.new_id('job')}/{call}"
    as_json, chunked = "application/json", "Transfer-Encoding: chunked\r\n"
    too_long_in_chunks = b"%x\r\n{}%b\r\n0\r\n\r\n" % (JSON_LIMIT_BYTES + 1, b" " * (JSON_LIMIT_BYTES - 1))

    # When nothing is sent, or nothing in other words, then it is let in
    let_in = [
        exchange(front_end.port, f"POST {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()),
        exchange(front_end.port, head(path, length=0)),
        exchange(front_end.port, head(path, length=2, content_type=as_json), b"{}"),
        exchange(front_end.port, head(path, more=chunked), b"0\r\n\r\n"),
    ]
    assert [(answer.status, answer.json()["code"]) for answer in let_in] == [(404, "JOB_NOT_FOUND")] * 4

    # And what would be taken and ignored is refused
    refused = [
        (exchange(front_end.port, head(path, length=12, content_type=as_json), b'{"config":{}'), 422, "INVALID_FIELD"),
        (exchange(front_end.port, head(path, length=13, content_type=as_json), b'{"config":{}}'), 422, "INVALID_FIELD"),
        (exchange(front_end.port, head(f"{path}?config=1", length=0)), 422, "INVALID_FIELD"),
        (
            exchange(front_end.port, head(path, length=8, content_type="text/plain"), b"whatever"),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            exchange(front_end.port, head(path, length=2 << 20, content_type=as_json), bytes(2 << 20)),
            413,
            "FILE_TOO_LARGE",
        ),
        (
            exchange(front_end.port, head(path, content_type=as_json, more=chunked), too_long_in_chunks),
            413,
            "FILE_TOO_LARGE",
        ),
        (
            exchange(front_end.port, head(path, length=9, content_type=as_json), b"{}", end_sending=True),
            400,
            "TRUNCATED_UPLOAD",
        ),
    ]
    for answer, status, code in refused:
        assert (answer.status, answer.json()["code"]) == (status, code), answer.body


@pytest.mark.parametrize("job_id", ["job_00000000000000000000000000", "job_x", "..%2f..%2fetc"])
def test_a_job_that_is_not_there(front_end: FrontEnd, job_id: str) -> None:
    before = front_end.stored()

    for answer in (
        cancel(front_end, job_id),
        front_end.post(f"{JOBS}/{job_id}/retry"),
        front_end.delete(f"{JOBS}/{job_id}"),
    ):
        assert answer.status_code == 404
        assert answer.json()["code"] in ("JOB_NOT_FOUND", "NOT_FOUND")
    assert front_end.stored() == before


def test_the_cancellation_request_of_a_crashed_front_end_outlives_it(tmp_path: Path, front_end: FrontEnd) -> None:
    """A crash right after the request was written: no client has an answer, so the job may run, or be cancelled."""
    # Given a front end that dies as soon as it has written the request, in the middle of the answer
    job_id = submit(front_end)["job_id"]
    with (
        front_end.doomed(tmp_path / "doomed", at="cancellation-requested") as doomed,
        pytest.raises(requests.ConnectionError),
    ):
        cancel(doomed, job_id)
    assert records_of(front_end, job_id) == {"open", "cancel"}
    assert durable_records.is_cancellation_requested(front_end.storage, job_id)

    # When the caller asks again elsewhere, then it is as if nothing had been
    assert cancel(front_end, job_id).json()["status"] == "cancelled"
    assert records_of(front_end, job_id) == {"done"}
