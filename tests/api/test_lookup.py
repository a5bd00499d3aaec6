"""Jobs of which Redis knows nothing, or not enough: storage does."""

from clipzy_storage import keys
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.records import ErrorCode
from tests.support.played_worker import claim, complete, fail, submit
from tests.support.servers import FrontEnd

JOBS = "/api/v1/jobs"


def test_a_job_that_redis_does_not_know_is_looked_for_in_storage(front_end: FrontEnd) -> None:
    # Given a waiting job, a running one, a completed one and a failed one, all forgotten by Redis
    waiting, running, done, failed = (submit(front_end) for _ in range(4))
    claim(front_end, running["job_id"])
    complete(front_end, done["job_id"])
    fail(front_end, failed["job_id"], ErrorCode.INVALID_MEDIA, "There is no video track.")
    before = {job["job_id"]: front_end.get(f"{JOBS}/{job['job_id']}") for job in (waiting, running, done, failed)}
    for job_id in before:
        front_end.forget(job_id)

    # When they are asked for
    after = {job_id: front_end.get(f"{JOBS}/{job_id}") for job_id in before}

    # Then those that have ended are as they were, and the others wait
    for job in (done, failed):
        assert after[job["job_id"]].json() == before[job["job_id"]].json()
        assert "Retry-After" not in after[job["job_id"]].headers
    for job in (waiting, running):
        # The moment of submission differs by what passed between the record in storage and the one in Redis.
        assert after[job["job_id"]].json() == job | {"created_at": after[job["job_id"]].json()["created_at"]}
        assert after[job["job_id"]].headers["Retry-After"] == "1"
    assert front_end.get(f"{JOBS}/{failed['job_id']}/result").json()["code"] == "INVALID_MEDIA"

    # And none is shown that another owner has
    other_id = keys.new_id("job")
    mine = durable_records.read_open(front_end.storage, waiting["job_id"])
    durable_records.write_open_job(front_end.storage, mine.model_copy(update={"job_id": other_id, "owner": "another"}))
    assert front_end.get(f"{JOBS}/{other_id}").json()["code"] == "JOB_NOT_FOUND"


def test_an_end_that_only_storage_knows_is_news(front_end: FrontEnd) -> None:
    """Without the status in the tag, whoever polls is told that nothing has changed."""
    # Given a caller who has seen a job that was being finished
    job_id = submit(front_end)["job_id"]
    token = claim(front_end, job_id).claim.token
    front_end.store.fail(job_id, token, ErrorCode.INVALID_MEDIA, "There is no video track.")
    tag = front_end.get(f"{JOBS}/{job_id}").headers["ETag"]

    # When its end is recorded, and Redis is lost before it is visible
    pending = front_end.store.pending_completion(job_id, token)
    assert pending is not None
    durable_records.write_done_job(front_end.storage, pending.job)
    front_end.forget(job_id)

    # Then the caller learns of it
    answer = front_end.get(f"{JOBS}/{job_id}", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
