"""Actions on a job: cancel, retry, delete."""

from collections.abc import Callable

from flask import Blueprint, Response

from clipzy_api import schemas
from clipzy_api.inputs.idempotency import fingerprinted, sent_key
from clipzy_api.inputs.preconditions import admit, admit_job, refuse_fields, refuse_parameters
from clipzy_api.inputs.source_url import video_at
from clipzy_api.inputs.webhook_url import require_secrets
from clipzy_api.links import result_link
from clipzy_api.openapi.operations import (
    DELETED,
    IDEMPOTENCY_KEY,
    NEW_JOB_HEADERS,
    NO_FIELDS_PROBLEMS,
    Answer,
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
from clipzy_storage.models.records import Job, Status, Video, VideoToImport

UNAVAILABLE = ("QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE", "STORAGE_FULL")

actions = Blueprint("actions", __name__)


@actions.post("/jobs/<job_id>/cancel")
@described(
    "Cancel a job",
    [Answer(202, "The job: cancelled, or with its cancellation requested.", schemas.Job, ("Retry-After",))],
    problems=["JOB_ALREADY_FINISHED", *NO_FIELDS_PROBLEMS, *UNAVAILABLE],
)
def cancel_job(job_id: str) -> tuple[Response, int, dict[str, str]]:
    """A queued job is cancelled in the answer, one that is processed soon after. The request has no fields."""
    _expect_nothing()
    job = services().cancellation.cancel(job_id, owner=owner())
    return json_response(schemas.Job.of(job, result_link(job))), 202, poll_headers(job)


@actions.post("/jobs/<job_id>/retry")
@described(
    "Retry a job",
    [Answer(202, "A new job.", schemas.Job, NEW_JOB_HEADERS)],
    problems=[
        *("VIDEO_NOT_FOUND", "JOB_NOT_FINISHED", "JOB_ALREADY_FINISHED", "IDEMPOTENCY_MISMATCH"),
        *("QUEUE_FULL", "QUOTA_EXCEEDED", "URL_REFUSED"),
        *NO_FIELDS_PROBLEMS,
        *UNAVAILABLE,
    ],
    headers=[IDEMPOTENCY_KEY],
)
def retry_job(job_id: str) -> tuple[Response, int, dict[str, str]]:
    """Submits a new job on the video of a failed or cancelled one, with its `config`, `queue` and `webhook_url`.

    The old job stays. A video that was to be imported and was not, or is no longer there, is fetched anew, as another
    video.
    """
    text = sent_key()
    _expect_nothing(admit=admit_job)
    first = find_job(job_id)
    if not first.status.is_final:
        raise _not_finished(first, "only a failed or cancelled job can be retried")
    if first.status is Status.COMPLETED:
        raise JobAlreadyFinished(first.status.value)
    if first.webhook_url is not None:
        require_secrets()
    key = fingerprinted(text, "retry", job_id=job_id)
    with Rollback(services().storage) as rollback:
        request = JobRequest(_video_of(first), first.config, key, first.queue, first.webhook_url)
        job, is_replay = submit(request, rollback)
    return accepted(job, is_replay)


def _video_of(job: Job) -> Video | VideoToImport:
    """Raises ``ApiError`` 404 if it was uploaded and is no longer there, 422 if its URL may not be opened any more."""
    try:
        return find_video(job.video_id)
    except ApiError as error:
        if job.source_url is None or error.code != "VIDEO_NOT_FOUND":
            raise
    return video_at(job.source_url)


@actions.delete("/jobs/<job_id>")
@described(
    "Delete a job",
    [DELETED],
    problems=["JOB_NOT_FINISHED", *NO_FIELDS_PROBLEMS, *UNAVAILABLE],
)
def delete_job(job_id: str) -> Response:
    """Also deletes its result, but not its video. An unfinished job must be cancelled first."""
    _expect_nothing()
    job = find_job(job_id)
    if not job.status.is_final:
        raise _not_finished(job, "cancel it first")
    deletion.delete_job(services().storage, services().admin, job)
    return Response(status=204)


def _expect_nothing(*, admit: Callable[[], None] = admit) -> None:
    """The request checks that all calls here make first. Raises ``ApiError`` and what ``admit`` raises."""
    refuse_parameters()
    admit()
    refuse_fields()


def _not_finished(job: Job, remedy: str) -> ApiError:
    return ApiError("JOB_NOT_FINISHED", detail=f"The job is {job.status.value}; {remedy}.")
