"""Jobs: submitting, following, listing them, and reading their results."""

import json
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request, url_for

from clipzy_api import schemas
from clipzy_api.inputs import job_config
from clipzy_api.inputs.idempotency import fingerprinted, sent_key
from clipzy_api.inputs.pagination import Page, requested_page
from clipzy_api.inputs.preconditions import JSON, MULTIPART, json_body, refuse_parameters, require_media_type
from clipzy_api.links import absolute, link_to, period_of, result_link, why_missing
from clipzy_api.openapi.operations import (
    CACHE_CONTROL,
    ETAG,
    FILE_ANSWERS,
    FILE_REQUEST_HEADERS,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    LOCATION,
    NOT_MODIFIED,
    POLL_WHILE_UNFINISHED,
    REPLAYED,
    Answer,
    Call,
    Header,
    described,
)
from clipzy_api.problems import ApiError, invalid_field, missing_field, result_expired, unknown_field
from clipzy_api.result_indexes import ResultIndex
from clipzy_api.retry_after import poll_headers
from clipzy_api.schemas import json_response
from clipzy_api.services import find_job, owner, services
from clipzy_api.views.files import send_published
from clipzy_api.views.submitting import accepted, submit
from clipzy_api.views.videos import REFUSED_UPLOADS, content_of, find_video, store_upload
from clipzy_storage.errors import NotFound
from clipzy_storage.jobs.rollback import Rollback
from clipzy_storage.jobs.submission import JobRequest
from clipzy_storage.models.records import ErrorCode, Job, Link, Status, Video

UNAVAILABLE = ("QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE")
NO_RESULT = (
    "NOT_FOUND",
    "JOB_NOT_FOUND",
    "FILE_NOT_FOUND",
    "JOB_NOT_FINISHED",
    "JOB_CANCELLED",
    "RESULT_EXPIRED",
    *(code.value for code in ErrorCode),
)
LINKS = Header("Link", "The pages before and after this one, as `rel=prev` and `rel=next`.", always=False)

jobs = Blueprint("jobs", __name__)


@jobs.post("/jobs")
@described(
    Call(
        summary="Submit a job",
        takes={MULTIPART: schemas.JobUpload, JSON: schemas.JobRequest},
        answers=[Answer(202, "The job.", schemas.Job, (LOCATION, POLL_WHILE_UNFINISHED, REPLAYED))],
        problems=[*REFUSED_UPLOADS, "LENGTH_REQUIRED", "VIDEO_NOT_FOUND", "JOB_NOT_FOUND"],
        headers=[IDEMPOTENCY_KEY],
    )
)
def submit_job() -> tuple[Response, int, dict[str, str]]:
    """Upload a file as a form, or name an earlier upload in JSON. Once answered with 202, the job comes to an end.

    Where an earlier job has found the same already, it is completed in the answer, unless `config.reuse` is false.

    With an `Idempotency-Key` it may be sent again until there is an answer, which then has the job as it is by now.
    """
    media_type = require_media_type(MULTIPART, JSON)
    refuse_parameters()
    text = sent_key()
    with Rollback(services().storage) as rollback:
        job_request = _uploaded(text, rollback) if media_type == MULTIPART else _requested(text)
        job, is_replay = submit(job_request, rollback)
    return accepted(job, is_replay)


def _uploaded(text: str | None, rollback: Rollback) -> JobRequest:
    video, config = store_upload(rollback, takes_config=True)
    content = content_of(video) | ({"config": config} if config else {})
    return JobRequest(video, config, fingerprinted(text, "submit upload", **content))


def _requested(text: str | None) -> JobRequest:
    """Raises ``ApiError`` 404 or 422."""
    fields = json_body()
    for name in fields.keys() - schemas.JobRequest.model_fields.keys():
        raise unknown_field(name, known=", ".join(schemas.JobRequest.model_fields))
    config = job_config.checked_config(fields.get(job_config.NAME, {}))
    return JobRequest(_named_video(fields.get("video_id")), config, fingerprinted(text, "submit", fields=fields))


@jobs.get("/jobs/<job_id>")
@described(
    Call(
        summary="Follow a job",
        answers=[
            Answer(200, "The job.", schemas.Job, (ETAG, CACHE_CONTROL, POLL_WHILE_UNFINISHED)),
            Answer(304, NOT_MODIFIED.says, headers=(ETAG, CACHE_CONTROL, POLL_WHILE_UNFINISHED)),
        ],
        problems=["NOT_FOUND", "JOB_NOT_FOUND", *UNAVAILABLE],
        headers=[IF_NONE_MATCH],
    )
)
def show_job(job_id: str) -> Response:
    """Ask again after `Retry-After` seconds, with the last `ETag` in `If-None-Match`, until there is no `Retry-After`.

    The `ETag` changes with the record and, on S3, with every half life of a link.
    """
    job = find_job(job_id)
    link = result_link(job)
    answer = json_response(schemas.Job.of(job, link))
    answer.set_etag(_etag_of(job, link), weak=True)
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers.update(poll_headers(job))
    answer.make_conditional(request.environ)
    return answer


@jobs.get("/jobs")
@described(
    Call(
        summary="List jobs",
        query=schemas.JobsQuery,
        answers=[Answer(200, "One page of jobs.", schemas.JobPage, (LINKS,))],
        problems=["INVALID_FIELD", *UNAVAILABLE],
    )
)
def list_jobs() -> tuple[Response, int, dict[str, str]]:
    """Newest first, by pages."""
    page = requested_page(request.args)
    found, total = services().store.page(
        owner=owner(), status=page.status, number=page.number, page_size=page.page_size
    )
    listed = [schemas.Job.of(job, result_link(job)) for job in services().lookup.with_durable_outcomes(found)]
    body = schemas.JobPage(jobs=listed, total=total, page=page.number, page_size=page.page_size)
    return json_response(body), 200, _links(page, total)


@jobs.get("/jobs/<job_id>/result")
@described(
    Call(
        summary="Read the result",
        answers=[Answer(200, "The job's `output.json`.", schemas.Result)],
        problems=[*NO_RESULT, *UNAVAILABLE],
    )
)
def show_result(job_id: str) -> Response:
    """The index of what the job found, with a fresh `storage_url` in each of its artifacts."""
    result: dict[str, Any] = json.loads(_result_index_of(job_id).index)
    for artifact in result["artifacts"]:
        artifact["storage_url"] = link_to(artifact["key"]).url
    return jsonify(result)


@jobs.get("/jobs/<job_id>/files/<path:name>")
@described(
    Call(
        summary="Fetch a file of the result",
        answers=[*FILE_ANSWERS, Answer(302, "On S3: to a freshly signed URL.", headers=(LOCATION, CACHE_CONTROL))],
        problems=[*NO_RESULT, "RANGE_NOT_SATISFIABLE", *UNAVAILABLE, "OVERLOADED"],
        headers=FILE_REQUEST_HEADERS,
    )
)
def show_file(job_id: str, name: str) -> Response:
    """An address that does not change: the file itself on local storage, a redirect to the store on S3."""
    file = _result_index_of(job_id).files.get(name)
    if file is None:
        raise ApiError("FILE_NOT_FOUND", detail="The job's result lists no such file.")
    if services().storage.kind == "local":
        return send_published(job_id, file)
    return Response(status=302, headers={"Location": link_to(file.key).url, "Cache-Control": "no-store"})


def _named_video(named: Any) -> Video:
    """Raises ``ApiError`` 404 or 422."""
    match named:
        case None | "":
            raise missing_field("video_id", expects="the id of an uploaded video")
        case str(video_id):
            return find_video(video_id)
    raise invalid_field("video_id", expects="the id of an uploaded video, as a string")


def _etag_of(job: Job, link: Link | None) -> str:
    """A text that changes with the answer."""
    # The revision alone would not do: the durable record of a finished job has that of the Redis record before it.
    expired = "-expired" if job.expired else ""
    return f"{job.job_id}-{job.revision}-{job.status.value}{expired}{_period(link)}"


def _period(link: Link | None) -> str:
    return "" if link is None else period_of(link, life_seconds=services().settings.s3_presign_expires_seconds)


def _result_index_of(job_id: str) -> ResultIndex:
    """What the job has published. Raises ``ApiError`` 409 where it has not completed, 410 or 404 where it is gone."""
    job = find_job(job_id)
    if job.status is Status.CANCELLED:
        raise ApiError("JOB_CANCELLED", detail="The job was cancelled and has no result.")
    if job.error is not None:
        raise ApiError(job.error.code.value, detail=f"The job failed: {job.error.message}")
    if job.status is not Status.COMPLETED:
        detail = f"The job is {job.status.value}; it has a result once it is completed."
        raise ApiError("JOB_NOT_FINISHED", detail=detail)
    if job.expired:
        raise result_expired()
    try:
        return services().result_indexes.of(job_id)
    except NotFound:
        raise why_missing(job_id) from None


def _links(page: Page, total: int) -> dict[str, str]:
    last = max(1, -(-total // page.page_size))
    targets = {}
    if page.number < last:
        targets["next"] = page.number + 1
    if page.number > 1:
        targets["prev"] = min(page.number - 1, last)
    here = absolute(url_for("jobs.list_jobs"))
    links = [f'<{here}?{urlencode(page.query(number))}>; rel="{rel}"' for rel, number in targets.items()]
    return {"Link": ", ".join(links)} if links else {}
