"""Jobs: submitting, following, listing them, and what they have made."""

import logging
from datetime import UTC, datetime
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request, url_for

from clipzy_api import openapi_models as models
from clipzy_api.door import JSON, MULTIPART, json_body, refuse_parameters, require_media_type
from clipzy_api.files import FILE_NOT_FOUND, send_published
from clipzy_api.links import absolute, link_to, period_of
from clipzy_api.manifests import Manifest
from clipzy_api.openapi_parts import (
    CACHE_CONTROL,
    ETAG,
    FILE_ANSWERS,
    FILE_REQUEST_HEADERS,
    IF_NONE_MATCH,
    LOCATION,
    NOT_MODIFIED,
    POLL_AGAIN,
    POLL_WHILE_UNFINISHED,
    Answer,
    Call,
    Header,
    described,
)
from clipzy_api.paging import Page, requested_page
from clipzy_api.problems import ApiError, invalid_field, missing_field, unserved_field
from clipzy_api.services import owner, services
from clipzy_api.undo import Undo
from clipzy_api.videos import REFUSED_UPLOADS, find_video, take_video
from clipzy_storage import keys
from clipzy_storage.base import Link
from clipzy_storage.contract import ErrorCode, Job, Status, Video
from clipzy_storage.durable import write_open_job
from clipzy_storage.errors import JobNotFound, NotFound, QueueUnavailable

POLL_AFTER = {"Retry-After": "1"}
UNAVAILABLE = ("QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE")
NO_RESULT = (
    "NOT_FOUND",
    "JOB_NOT_FOUND",
    "FILE_NOT_FOUND",
    "JOB_NOT_FINISHED",
    "JOB_CANCELLED",
    *(code.value for code in ErrorCode),
)
LINKS = Header("Link", "The pages before and after this one, as `rel=prev` and `rel=next`.", always=False)

log = logging.getLogger(__name__)
jobs = Blueprint("jobs", __name__)


@jobs.post("/jobs")
@described(
    Call(
        summary="Submit a job",
        takes={MULTIPART: models.Upload, JSON: models.JobRequest},
        answers=[Answer(202, "The job, queued.", models.Job, (LOCATION, POLL_AGAIN))],
        problems=[*REFUSED_UPLOADS, "LENGTH_REQUIRED", "VIDEO_NOT_FOUND"],
    )
)
def submit_job() -> tuple[Response, int, dict[str, str]]:
    """Upload a file as a form, or name an earlier upload in JSON. Once answered with 202, the job comes to an end."""
    media_type = require_media_type(MULTIPART, JSON)
    refuse_parameters()
    with Undo(services().storage) as undo:
        video = take_video(undo) if media_type == MULTIPART else _named_video()
        job = _start(video, undo)
    location = absolute(url_for("jobs.show_job", job_id=job.job_id))
    return jsonify(job.public(None)), 202, {"Location": location, **POLL_AFTER}


@jobs.get("/jobs/<job_id>")
@described(
    Call(
        summary="Follow a job",
        answers=[
            Answer(200, "The job.", models.Job, (ETAG, CACHE_CONTROL, POLL_WHILE_UNFINISHED)),
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
    job = _find_job(job_id)
    link = _result_link(job)
    answer = jsonify(job.public(link))
    answer.set_etag(f"{job.job_id}-{job.revision}{_period(link)}", weak=True)
    answer.headers["Cache-Control"] = "no-cache"
    if not job.status.is_final:
        answer.headers.update(POLL_AFTER)
    answer.make_conditional(request.environ)
    return answer


@jobs.get("/jobs")
@described(
    Call(
        summary="List jobs",
        query=models.JobsQuery,
        answers=[Answer(200, "One page of jobs.", models.JobPage, (LINKS,))],
        problems=["INVALID_FIELD", *UNAVAILABLE],
    )
)
def list_jobs() -> tuple[Response, int, dict[str, str]]:
    """Newest first, by pages."""
    page = requested_page(request.args)
    found, total = services().jobs.page(owner=owner(), status=page.status, number=page.number, page_size=page.page_size)
    shown = [job.public(_result_link(job)) for job in found]
    body = {"jobs": shown, "total": total, "page": page.number, "page_size": page.page_size}
    return jsonify(body), 200, _links(page, total)


@jobs.get("/jobs/<job_id>/result")
@described(
    Call(
        summary="Read the result",
        answers=[Answer(200, "The job's `output.json`.", models.Result)],
        problems=[*NO_RESULT, *UNAVAILABLE],
    )
)
def show_result(job_id: str) -> Response:
    """The index of what the job found, with a fresh `storage_url` in each of its artifacts."""
    result = _result_of(job_id).document()
    for artifact in result["artifacts"]:
        artifact["storage_url"] = link_to(artifact["key"]).url
    return jsonify(result)


@jobs.get("/jobs/<job_id>/files/<path:name>")
@described(
    Call(
        summary="Fetch a file of the result",
        answers=[*FILE_ANSWERS, Answer(302, "On S3: to a freshly signed URL.", headers=(LOCATION, CACHE_CONTROL))],
        problems=[*NO_RESULT, "RANGE_NOT_SATISFIABLE", *UNAVAILABLE, "TOO_MANY_DOWNLOADS"],
        headers=FILE_REQUEST_HEADERS,
    )
)
def show_file(job_id: str, name: str) -> Response:
    """An address that does not change: the file itself on local storage, a redirect to the store on S3."""
    file = _result_of(job_id).files.get(name)
    if file is None:
        raise ApiError(404, FILE_NOT_FOUND, detail="The job's result lists no such file.")
    if services().storage.kind == "local":
        return send_published(file)
    return Response(status=302, headers={"Location": link_to(file.key).url, "Cache-Control": "no-store"})


def _named_video() -> Video:
    """The video that a JSON body asks for. Raises ``ApiError`` 404 or 422."""
    fields = json_body()
    for name in fields.keys() - {"video_id"}:
        raise unserved_field(name, known="video_id")
    match fields.get("video_id"):
        case None | "":
            raise missing_field("video_id", expects="the id of an uploaded video")
        case str(video_id):
            return find_video(video_id)
    raise invalid_field("video_id", expects="the id of an uploaded video, as a string")


def _start(video: Video, undo: Undo) -> Job:
    """Make the job durable, then known, then announced; from the record on it will run.

    Raises:
        QueueUnavailable: no record was made for certain, or nobody can tell; what was written then stays.
        StorageFull, StorageUnavailable: no record was made.
    """
    job = _new_job(video)
    undo.remember(keys.open_job(job.job_id))
    write_open_job(services().storage, job)
    try:
        job = services().jobs.submit(job)
    except QueueUnavailable as error:
        if not error.certain:
            undo.keep()  # the job may run after all, and needs its files then
        raise
    undo.keep()
    try:
        services().queue.publish(job.job_id)
    except QueueUnavailable as error:
        log.warning("job.hint_lost: %s; the reaper will send it: %s", job.job_id, error)
    return job


def _new_job(video: Video) -> Job:
    return Job(
        owner=owner(),
        job_id=keys.new_id("job"),
        video_id=video.video_id,
        filename=video.filename,
        source_key=video.key,
        source_size_bytes=video.size_bytes,
        source_sha256=video.sha256,
        source_container=video.container,
        storage_id=services().membership.guard().storage_id,
        config={},
        created_at=datetime.now(UTC),
    )


def _find_job(job_id: str) -> Job:
    """The one way to a job. Raises ``JobNotFound`` also where it belongs to another owner."""
    if not keys.is_job_id(job_id):
        raise JobNotFound(job_id)
    return services().jobs.get(job_id, owner=owner())


def _result_link(job: Job) -> Link | None:
    return link_to(keys.result_index(job.job_id)) if job.status is Status.COMPLETED else None


def _period(link: Link | None) -> str:
    return "" if link is None else period_of(link, life_seconds=services().settings.s3_presign_expires_seconds)


def _result_of(job_id: str) -> Manifest:
    """What the job has published. Raises ``ApiError`` 409 where it has not completed, 404 where it is gone."""
    job = _find_job(job_id)
    if job.status is Status.CANCELLED:
        raise ApiError(409, "JOB_CANCELLED", detail="The job was cancelled and has no result.")
    if job.error is not None:
        raise ApiError(409, job.error.code.value, detail=f"The job failed: {job.error.message}")
    if job.status is not Status.COMPLETED:
        detail = f"The job is {job.status.value}; its result comes when it is completed."
        raise ApiError(409, "JOB_NOT_FINISHED", detail=detail, headers=POLL_AFTER)
    try:
        return services().manifests.of(job_id)
    except NotFound:
        raise ApiError(404, FILE_NOT_FOUND, detail="The job's result is no longer in storage.") from None


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
