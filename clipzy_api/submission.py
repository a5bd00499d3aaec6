"""How a job is made of a video: durable, then known, then announced; under an ``Idempotency-Key`` at most once."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, url_for

from clipzy_api.idempotency import REPLAYED
from clipzy_api.links import absolute
from clipzy_api.lookup import POLL_AFTER, find_job, result_link
from clipzy_api.services import owner, services
from clipzy_api.undo import Undo
from clipzy_storage import keys
from clipzy_storage.contract import Job, Video
from clipzy_storage.crash_points import crash_point
from clipzy_storage.durable import write_open_job
from clipzy_storage.errors import AnsweredBefore, QueueUnavailable
from clipzy_storage.jobs import IdempotencyKey

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What a job is to be made of, and the key under which it was asked for."""

    video: Video
    key: IdempotencyKey | None
    config: dict[str, Any]
    has_own_video: bool = False  # it came with the same request


def accept(place_order: Callable[[Undo], Order]) -> tuple[Response, int, dict[str, str]]:
    """Make the job and answer with it; where its key came before, with the job that was made then.

    ``place_order`` may write files, of which it tells ``Undo``: a repeated upload is taken back.

    Raises:
        JobNotFound: the job that was made then has been deleted.
        IdempotencyMismatch, VideoGone: nothing was made.
        QueueUnavailable, StorageError: as ``_start`` says.
    """
    repeated = {}
    try:
        with Undo(services().storage) as undo:
            job = _start(place_order(undo), undo)
    except AnsweredBefore as before:
        job, repeated = find_job(before.made_id), REPLAYED
    location = absolute(url_for("jobs.show_job", job_id=job.job_id))
    return jsonify(job.public(result_link(job))), 202, {"Location": location, **poll_after(job), **repeated}


def poll_after(job: Job) -> dict[str, str]:
    """The header that says when to ask again, as long as there is reason to."""
    return {} if job.status.is_final else POLL_AFTER


def _start(order: Order, undo: Undo) -> Job:
    """Make the job durable, then known, then announced; from the record on it will run.

    Raises:
        QueueUnavailable: no record was made for certain, or nobody can tell; what was written then stays.
        StorageFull, StorageUnavailable: no record was made.
        AnsweredBefore, IdempotencyMismatch, VideoGone: no record was made, and none will be.
    """
    job = _new_job(order)
    undo.remember(keys.open_job(job.job_id))
    write_open_job(services().storage, job)
    crash_point("job-opened")
    with undo.kept_where_redis_may_have_heard():  # the job may run after all, and needs its files then
        job = services().jobs.submit(job, key=order.key)
    undo.keep()
    crash_point("job-submitted")
    try:
        services().queue.publish(job.job_id)
    except QueueUnavailable as error:
        log.warning("job.hint_lost: %s; the reaper will send it: %s", job.job_id, error)
    crash_point("hint-sent")
    return job


def _new_job(order: Order) -> Job:
    video = order.video
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
        config=order.config,
        created_at=datetime.now(UTC),
        idempotency_key=order.key.text if order.key else None,
        idempotency_fingerprint=order.key.fingerprint if order.key else None,
        owns_video=order.has_own_video,
    )
