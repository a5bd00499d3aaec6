"""What can be done with a job: cancel it, try it once more, delete it."""

import logging
import os

from flask import Blueprint, Response, jsonify

from clipzy_api import schemas as models
from clipzy_api.inputs.idempotency import over, sent_key
from clipzy_api.inputs.preconditions import admit, refuse_fields, refuse_parameters
from clipzy_api.lookup import POLL_AFTER, find_job, result_link
from clipzy_api.openapi.operations import (
    DELETED,
    IDEMPOTENCY_KEY,
    LOCATION,
    POLL_WHILE_UNFINISHED,
    REFUSED_FIELDS,
    REPLAYED,
    Answer,
    Call,
    described,
)
from clipzy_api.problems import ApiError
from clipzy_api.rollback import Rollback
from clipzy_api.services import services
from clipzy_api.submission import Order, accept, poll_after
from clipzy_api.views.videos import find_video
from clipzy_storage import keys
from clipzy_storage.errors import NotFound, QueueUnavailable, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import completion, durable_records
from clipzy_storage.models.records import Job, Status

UNAVAILABLE = ("QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE", "STORAGE_FULL")

log = logging.getLogger(__name__)
actions = Blueprint("actions", __name__)


@actions.post("/jobs/<job_id>/cancel")
@described(
    Call(
        summary="Cancel a job",
        answers=[Answer(202, "The job: cancelled, or about to be.", models.Job, (POLL_WHILE_UNFINISHED,))],
        problems=["NOT_FOUND", "JOB_NOT_FOUND", "JOB_ALREADY_FINISHED", *REFUSED_FIELDS, *UNAVAILABLE],
    )
)
def cancel_job(job_id: str) -> tuple[Response, int, dict[str, str]]:
    """A waiting job is cancelled in the answer; one that is worked on soon after. Nothing is sent with it."""
    _expect_nothing()
    job = find_job(job_id)
    if job.status.is_final:
        raise _already_finished(job)
    _cancel(job_id)
    job = _as_it_is_now(job)
    return jsonify(job.public(result_link(job))), 202, poll_after(job)


@actions.post("/jobs/<job_id>/retry")
@described(
    Call(
        summary="Try a job once more",
        answers=[Answer(202, "A new job.", models.Job, (LOCATION, POLL_WHILE_UNFINISHED, REPLAYED))],
        problems=[
            "NOT_FOUND",
            "JOB_NOT_FOUND",
            "VIDEO_NOT_FOUND",
            "JOB_NOT_FINISHED",
            "JOB_ALREADY_FINISHED",
            "IDEMPOTENCY_MISMATCH",
            *REFUSED_FIELDS,
            *UNAVAILABLE,
        ],
        headers=[IDEMPOTENCY_KEY],
    )
)
def retry_job(job_id: str) -> tuple[Response, int, dict[str, str]]:
    """A new job over the same video with the same `config`, from one that failed or was cancelled, which stays."""
    key = sent_key()
    _expect_nothing()

    def order(_: Rollback) -> Order:
        job = find_job(job_id)
        if not job.status.is_final:
            raise _not_finished(job, "only one that failed or was cancelled can be tried once more")
        if job.status is Status.COMPLETED:
            raise _already_finished(job)
        return Order(find_video(job.video_id), over(key, "retry", job_id=job_id), job.config)

    return accept(order)


@actions.delete("/jobs/<job_id>")
@described(
    Call(
        summary="Delete a job",
        answers=[DELETED],
        problems=["NOT_FOUND", "JOB_NOT_FOUND", "JOB_NOT_FINISHED", *REFUSED_FIELDS, *UNAVAILABLE],
    )
)
def delete_job(job_id: str) -> Response:
    """With its result. Its video stays. A job that is not finished has to be cancelled first."""
    _expect_nothing()
    job = find_job(job_id)
    if not job.status.is_final:
        raise _not_finished(job, "cancel it first")
    _delete(job_id)
    return Response(status=204)


def _expect_nothing() -> None:
    """Ask what every call here asks before it does anything. Raises ``ApiError`` and what ``admit`` does."""
    refuse_parameters()
    admit()
    refuse_fields()


def _cancel(job_id: str) -> None:
    """Have the job end as cancelled. Raises ``ApiError`` 409 where it has its end already, and ``JobNotFound``."""
    storage, nonce = services().storage, os.urandom(8).hex()
    # Before Redis hears of it, so that a Redis that is lost afterwards does not take the wish with it.
    durable_records.request_cancellation(storage, job_id)
    failpoint("cancel-wished")
    asked = services().jobs.request_cancel(job_id, nonce=nonce)
    if asked.verdict == "unknown":
        _make_known(job_id)
        asked = services().jobs.request_cancel(job_id, nonce=nonce)
    if asked.verdict == "requested":
        return
    if asked.verdict == "decided":
        ended = _conclude(job_id, asked.token)
        if ended is None or ended.status is Status.CANCELLED:
            return
    job = find_job(job_id)
    if asked.verdict == "unknown" and not job.status.is_final:
        raise QueueUnavailable("the records come and go; Redis was lost just now", certain=False)
    _drop_wish(job_id)
    raise _already_finished(job)


def _make_known(job_id: str) -> None:
    """Tell Redis of a job that only storage knows as open."""
    try:
        services().upkeep.restore(durable_records.read_open(services().storage, job_id))
    except NotFound:
        log.info("cancel.too_late: %s has ended or was deleted meanwhile", job_id)


def _conclude(job_id: str, token: str) -> Job | None:
    """End a job that nobody works on; ``None`` where another does it: it is decided, so the reaper will."""
    failpoint("cancel-decided")
    jobs, storage = services().jobs, services().storage
    try:
        decided = jobs.decided(job_id, token)
        return completion.conclude(jobs, storage, decided) if decided else None
    except (StorageError, QueueUnavailable) as error:
        log.warning("cancel.left_to_the_reaper: %s: %s", job_id, error)
        return None


def _drop_wish(job_id: str) -> None:
    try:
        durable_records.remove_cancellation_request(services().storage, job_id)
    except StorageError as error:
        log.warning("wish.left_behind: %s: %s", job_id, error)


def _as_it_is_now(job: Job) -> Job:
    """The job after what was done with it; as it was before where nobody can tell, since done it is."""
    try:
        return find_job(job.job_id)
    except QueueUnavailable as error:
        log.warning("cancel.shown_as_before: %s: %s", job.job_id, error)
        return job


def _delete(job_id: str) -> None:
    """Remove every trace of a finished job, in an order that comes to the same end wherever it is broken off.

    The open record goes first: alone, without the done one, it would have the job run again after a loss of Redis.
    With the done record the job is gone for good: what is left of the result belongs to no job, so the janitor takes
    it, and a rebuild of Redis finds nothing to bring back. Redis forgets last: until then it knows the job as
    finished, so that whoever deletes it again comes by here once more.
    """
    storage = services().storage
    durable_records.remove_open_job(storage, job_id)
    failpoint("open-deleted")
    storage.delete(keys.done_job(job_id))
    failpoint("done-deleted")
    for blob in list(storage.list(keys.result_prefix(job_id))):
        storage.delete(blob.key)
    failpoint("results-deleted")
    services().upkeep.forget(job_id, while_it_is="final")


def _already_finished(job: Job) -> ApiError:
    status = job.status.value if job.status.is_final else "finishing"
    return ApiError(409, "JOB_ALREADY_FINISHED", detail=f"The job is {status} already; that never changes again.")


def _not_finished(job: Job, remedy: str) -> ApiError:
    detail = f"The job is {job.status.value}; {remedy}."
    return ApiError(409, "JOB_NOT_FINISHED", detail=detail, headers=POLL_AFTER)
