"""The 202 that every call answers which creates a job."""

from flask import Response, g, url_for

from clipzy_api.inputs.idempotency import REPLAYED
from clipzy_api.links import absolute, result_link
from clipzy_api.retry_after import poll_headers
from clipzy_api.schemas import Job, json_response
from clipzy_api.services import services
from clipzy_storage.jobs.rollback import Rollback
from clipzy_storage.jobs.submission import JobRequest
from clipzy_storage.models import records


def submit(request: JobRequest, rollback: Rollback) -> tuple[records.Job, bool]:
    """Create the job in the storage of this deployment. Returns and raises what ``JobSubmission.submit`` does."""
    storage_id = services().membership.guard().storage_id
    return services().submission.submit(request, rollback, storage_id=storage_id, request_id=g.request_id)


def accepted(job: records.Job, is_replay: bool) -> tuple[Response, int, dict[str, str]]:
    """The answer with a job that was created, by this request or by the one that it repeats."""
    location = absolute(url_for("jobs.show_job", job_id=job.job_id))
    headers = {"Location": location, **poll_headers(job), **(REPLAYED if is_replay else {})}
    return json_response(Job.of(job, result_link(job))), 202, headers
