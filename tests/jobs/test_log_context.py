"""Events about a job carry what a search in the logs needs."""

import json
from typing import Any

import structlog

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.durable_records import read_open, write_open_job
from clipzy_storage.jobs.log_context import about_job
from clipzy_storage.jobs.store import JobStore
from tests.support.jobs import claimed, new_job, submitted


def test_the_request_id_stays_with_the_job(store: JobStore, storage: LocalStorage) -> None:
    # Given a job that was submitted by a request with an id
    job = submitted(store, request_id="mine-1")
    write_open_job(storage, job)
    # Then whoever has the record can say which request that was
    assert claimed(store, job.job_id).job.request_id == "mine-1"
    assert read_open(storage, job.job_id).request_id == "mine-1"


def test_a_record_of_an_older_version_has_none(store: JobStore, redis_client: Any) -> None:
    # Given a record without a request id
    job = submitted(store, request_id="mine-1")
    key = f"clipzy:job:{job.job_id}"
    record = json.loads(redis_client.hget(key, "record"))
    del record["request_id"]
    redis_client.hset(key, "record", json.dumps(record))
    # Then it can be claimed all the same
    assert claimed(store, job.job_id).job.request_id is None


def test_an_event_is_about_the_job_s_request_whatever_the_current_one_is() -> None:
    # Given a request that is about a job of an earlier request
    with structlog.contextvars.bound_contextvars(request_id="cancels", client="10.0.0.1"):
        with about_job(new_job(job_id="job_1", attempt=2, request_id="submitted")):
            inside = structlog.contextvars.get_contextvars()
        after = structlog.contextvars.get_contextvars()
    # Then what is logged about the job has the id of that one, and what is logged afterwards the current id
    assert inside == {"job_id": "job_1", "attempt": 2, "request_id": "submitted", "client": "10.0.0.1"}
    assert after == {"request_id": "cancels", "client": "10.0.0.1"}
