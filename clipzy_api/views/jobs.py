"""Jobs: submitting, following, listing them, and reading their results."""

from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request, url_for
from pydantic_core import from_json, to_json

from clipzy_api import large_answers, request_schemas, schemas
from clipzy_api.inputs import job_config, job_queue, source_url, webhook_url
from clipzy_api.inputs.idempotency import fingerprinted, sent_key
from clipzy_api.inputs.pagination import cursor_of, requested_page
from clipzy_api.inputs.preconditions import JSON, MULTIPART, json_body, refuse_parameters, require_media_type
from clipzy_api.links import absolute, link_to, period_of, result_link, why_missing
from clipzy_api.openapi.operations import (
    FILE_ANSWERS,
    FILE_REQUEST_HEADERS,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    NEW_JOB_HEADERS,
    NOT_MODIFIED,
    Answer,
    described,
)
from clipzy_api.problems import ApiError, invalid_field, missing_field, result_expired, unknown_field
from clipzy_api.result_indexes import ResultIndex
from clipzy_api.retry_after import poll_headers
from clipzy_api.schemas import json_response
from clipzy_api.services import find_job, owner, services
from clipzy_api.video_uploads import store_form
from clipzy_api.views.files import send_file
from clipzy_api.views.submitting import accepted, submit
from clipzy_api.views.videos import REFUSED_UPLOADS, content_of, find_video
from clipzy_storage.errors import NotFound
from clipzy_storage.jobs.listing import Page
from clipzy_storage.jobs.rollback import Rollback
from clipzy_storage.jobs.submission import JobRequest
from clipzy_storage.models.records import ErrorCode, Job, Link, Queue, Status, Video, VideoToImport

UNAVAILABLE = ("QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE")
NO_RESULT = ("FILE_NOT_FOUND", "JOB_NOT_FINISHED", "JOB_CANCELLED", "RESULT_EXPIRED", *ErrorCode)

jobs = Blueprint("jobs", __name__)


@jobs.post("/jobs")
@described(
    "Submit a job",
    [Answer(202, "The job.", schemas.Job, NEW_JOB_HEADERS)],
    takes={MULTIPART: request_schemas.JobUpload, JSON: (request_schemas.JobRequest, request_schemas.JobImport)},
    problems=[
        *REFUSED_UPLOADS,
        *("LENGTH_REQUIRED", "VIDEO_NOT_FOUND", "JOB_NOT_FOUND", "QUEUE_FULL", "QUOTA_EXCEEDED", "URL_REFUSED"),
    ],
    headers=[IDEMPOTENCY_KEY],
)
def submit_job() -> tuple[Response, int, dict[str, str]]:
    """Upload a file as a form, or name an earlier upload or a URL in JSON. A job answered with 202 will finish.

    If an earlier job has the same result, the job is completed in the answer, unless `config.reuse` is false.

    With an `Idempotency-Key` the request may be repeated until there is an answer, which has the job as it is then.
    """
    media_type = require_media_type(MULTIPART, JSON)
    refuse_parameters()
    text = sent_key()
    with Rollback(services().storage) as rollback:
        job_request = _uploaded(text, rollback) if media_type == MULTIPART else _requested(text)
        job, is_replay = submit(job_request, rollback)
    return accepted(job, is_replay)


def _uploaded(text: str | None, rollback: Rollback) -> JobRequest:
    video, form = store_form(rollback, for_job=True)
    content: dict[str, Any] = dict(content_of(video))
    if form.config:
        content["config"] = form.config
    if form.queue is not Queue.INTERACTIVE:
        content["queue"] = form.queue
    if form.webhook_url is not None:
        content["webhook_url"] = form.webhook_url
    key = fingerprinted(text, "submit upload", **content)
    return JobRequest(video, form.config, key, form.queue, form.webhook_url)


def _requested(text: str | None) -> JobRequest:
    """Raises ``ApiError`` 404 or 422."""
    fields = json_body()
    known = request_schemas.JobRequest.model_fields | request_schemas.JobImport.model_fields
    for name in fields:
        if name not in known:
            raise unknown_field(name, known=", ".join(known))
    config = job_config.checked_config(fields.get(job_config.NAME, {}))
    queue = job_queue.checked_queue(fields.get(job_queue.NAME, Queue.INTERACTIVE))
    webhook = webhook_url.checked_webhook_url(fields[webhook_url.NAME]) if webhook_url.NAME in fields else None
    key = fingerprinted(text, "submit", fields=fields)
    return JobRequest(_named_video(fields), config, key, queue, webhook)


@jobs.get("/jobs/<job_id>")
@described(
    "Poll a job",
    [
        Answer(200, "The job.", schemas.Job, ("ETag", "Retry-After")),
        replace(NOT_MODIFIED, headers=("ETag", "Retry-After")),
    ],
    problems=UNAVAILABLE,
    headers=[IF_NONE_MATCH],
)
def show_job(job_id: str) -> Response:
    """Repeat after `Retry-After` seconds, with the last `ETag` in `If-None-Match`, until there is no `Retry-After`.

    The `ETag` changes with the job and, where links expire, with every half of a link's life.
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
    "List jobs",
    [Answer(200, "One page of jobs.", schemas.JobPage, ("Link",))],
    problems=["INVALID_FIELD", *UNAVAILABLE, "OVERLOADED"],
    query=request_schemas.JobsQuery,
)
def list_jobs() -> tuple[Response, int, dict[str, str]]:
    """Newest first, by pages."""
    query = requested_page(request.args)
    found = _found(query)
    listed = [schemas.Job.of(job, result_link(job)) for job in services().lookup.with_durable_outcomes(found.jobs)]
    next_cursor = str(found.next_cursor) if found.next_cursor else None
    body = schemas.JobPage(
        jobs=listed,
        total=found.total,
        page=None if query.cursor else query.page or 1,
        page_size=query.page_size,
        next_cursor=next_cursor,
    )
    return json_response(body), 200, _links(query, body)


def _found(query: request_schemas.JobsQuery) -> Page:
    listing = services().store.listing
    if query.cursor:
        cursor = cursor_of(query.cursor)
        return listing.after(cursor, owner=owner(), status=query.status, page_size=query.page_size)
    return listing.page(owner=owner(), status=query.status, number=query.page or 1, page_size=query.page_size)


@jobs.get("/jobs/<job_id>/result")
@described(
    "Read the result",
    [Answer(200, "The job's `output.json`.", schemas.Result)],
    problems=[*NO_RESULT, *UNAVAILABLE, "OVERLOADED"],
)
def show_result(job_id: str) -> Response:
    """The `output.json` of the job, with a fresh `storage_url` for each artifact."""
    index = result_index_of(job_id).index
    if len(index) <= large_answers.WHOLE_ANSWER_BYTES:
        return _with_links(index)
    with large_answers.reserved():
        return _with_links(index)


@jobs.get("/jobs/<job_id>/files/<path:name>")
@described(
    "Fetch a file of the result",
    [*FILE_ANSWERS, Answer(302, "On S3: a redirect to a freshly signed URL.", headers=("Location",))],
    problems=[*NO_RESULT, "RANGE_NOT_SATISFIABLE", *UNAVAILABLE, "OVERLOADED"],
    headers=FILE_REQUEST_HEADERS,
)
def show_file(job_id: str, name: str) -> Response:
    """A permanent address: the file itself on local storage, a redirect to the S3 service on S3."""
    file = result_index_of(job_id).files.get(name)
    if file is None:
        raise ApiError("FILE_NOT_FOUND", detail="The job's result lists no such file.")
    if services().storage.kind == "local":
        return send_file(file, why_missing=partial(why_missing, job_id))
    return Response(status=302, headers={"Location": link_to(file.key).url, "Cache-Control": "no-store"})


def _with_links(index: bytes) -> Response:
    # A large one takes the interpreter of all requests: the json module takes three times as long.
    result: dict[str, Any] = from_json(index)
    for artifact in result["artifacts"]:
        artifact["storage_url"] = link_to(artifact["key"]).url
    return Response(to_json(result), content_type="application/json")


def _named_video(fields: dict[str, Any]) -> Video | VideoToImport:
    """Raises ``ApiError`` 404 or 422."""
    if fields.get(source_url.NAME) not in (None, ""):
        if "video_id" in fields:
            raise invalid_field(source_url.NAME, expects="sent without `video_id`: the video that it becomes is new")
        return source_url.video_at(fields[source_url.NAME])
    match fields.get("video_id"):
        case None | "":
            raise missing_field("video_id", expects="the id of an uploaded video; or `source_url`, where it is fetched")
        case str(video_id):
            return find_video(video_id)
    raise invalid_field("video_id", expects="the id of an uploaded video, as a string")


def _etag_of(job: Job, link: Link | None) -> str:
    # The revision is not enough: the durable record of a finished job has that of the Redis record before it.
    expired = "-expired" if job.expired else ""
    return f"{job.job_id}-{job.revision}-{job.status.value}{expired}{_period(link)}"


def _period(link: Link | None) -> str:
    return "" if link is None else period_of(link, life_seconds=services().settings.s3_presign_expires_seconds)


def result_index_of(job_id: str) -> ResultIndex:
    """The index of the job's result. Raises ``ApiError`` 409 if it is not completed, 410 or 404 if it is deleted."""
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


def _links(query: request_schemas.JobsQuery, page: schemas.JobPage) -> dict[str, str]:
    """To the pages around this one, in the way that it was asked for."""
    targets: dict[str, dict[str, Any]] = {}
    if page.page is None:
        targets |= {"next": {"cursor": page.next_cursor}} if page.next_cursor else {}
    else:
        last = max(1, -(-page.total // page.page_size))
        targets |= {"next": {"page": page.page + 1}} if page.page < last else {}
        targets |= {"prev": {"page": min(page.page - 1, last)}} if page.page > 1 else {}
    here = absolute(url_for("jobs.list_jobs"))
    links = [f'<{here}?{_with(query, target)}>; rel="{rel}"' for rel, target in targets.items()]
    return {"Link": ", ".join(links)} if links else {}


def _with(query: request_schemas.JobsQuery, target: dict[str, Any]) -> str:
    return urlencode(query.model_copy(update=target).model_dump(mode="json", exclude_none=True))
