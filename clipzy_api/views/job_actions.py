"""Actions on a job: cancel, retry, delete."""

from flask import Blueprint, Response

from clipzy_api import schemas
from clipzy_api.inputs.idempotency import fingerprinted, sent_key
from clipzy_api.inputs.preconditions import admit, refuse_fields, refuse_parameters
from clipzy_api.links import result_link
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
from clipzy_api.retry_after import poll_headers
from clipzy_api.schemas import json_response
from clipzy_api.services import find_job, owner, services
from clipzy_api.views.submitting import accepted, submit
from clipzy_api.views.videos import find_video
from clipzy_storage.errors import JobAlreadyFinished
from clipzy_storage.jobs import deletion
from clipzy_storage.jobs.rollback import Rollback
from clipzy_storage.jobs.submission import JobRequest
from clipzy_storage.models.records import Job, Status

UNAVAILABLE = ("QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE", "STORAGE_FULL")

actions = Blueprint("actions", __name__)


@actions.post("/jobs/<job_id>/cancel")
@described(
    Call(
        summary="Cancel a job",
        answers=[Answer(202, "The job: cancelled, or about to be.", schemas.Job, (POLL_WHILE_UNFINISHED,))],
        problems=["NOT_FOUND", "JOB_NOT_FOUND", "JOB_ALREADY_FINISHED", *REFUSED_FIELDS, *UNAVAILABLE],
    )
)
def cancel_job(job_id: str) -> tuple[Response, int, dict[str, str]]:
    """A waiting job is cancelled in the answer; one that is worked on soon after. Nothing is sent with it."""
    _expect_nothing()
    job = services().cancellation.cancel(job_id, owner=owner())
    return json_response(schemas.Job.of(job, result_link(job))), 202, poll_headers(job)


@actions.post("/jobs/<job_id>/retry")
@described(
    Call(
        summary="Try a job once more",
        answers=[Answer(202, "A new job.", schemas.Job, (LOCATION, POLL_WHILE_UNFINISHED, REPLAYED))],
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
    text = sent_key()
    _expect_nothing()
    first = find_job(job_id)
    if not first.status.is_final:
        raise _not_finished(first, "only a failed or cancelled job can be retried")
    if first.status is Status.COMPLETED:
        raise JobAlreadyFinished(first.status.value)
    key = fingerprinted(text, "retry", job_id=job_id)
    with Rollback(services().storage) as rollback:
        job, is_replay = submit(JobRequest(find_video(first.video_id), first.config, key), rollback)
    return accepted(job, is_replay)


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
    deletion.delete_job(services().storage, services().admin, job_id)
    return Response(status=204)


def _expect_nothing() -> None:
    """The checks that every call here makes first. Raises ``ApiError`` and what ``admit`` raises."""
    refuse_parameters()
    admit()
    refuse_fields()


def _not_finished(job: Job, remedy: str) -> ApiError:
    return ApiError("JOB_NOT_FINISHED", detail=f"The job is {job.status.value}; {remedy}.")
