"""How a job is made of a video: durable, then known, then ended at once or announced; at most one under a key."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from flask import Response, jsonify, url_for

from clipzy_api.inputs.idempotency import REPLAYED
from clipzy_api.links import absolute
from clipzy_api.lookup import POLL_AFTER, find_job, result_link
from clipzy_api.rollback import Rollback
from clipzy_api.services import owner, services
from clipzy_storage import keys
from clipzy_storage.errors import (
    AlreadyExists,
    AnsweredBefore,
    IdempotencyMismatch,
    JobNotFound,
    NotFound,
    QueueUnavailable,
    StorageError,
)
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.store import IdempotencyKey
from clipzy_storage.models.records import Job, Video
from clipzy_storage.process import ProcessIdentity

KEEP_ANSWERS = timedelta(hours=24)
PATIENCE_SECONDS = 2.0
UNDER_WAY = timedelta(minutes=1)  # a request that has written its record has told Redis by then, or takes it back

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What a job is to be made of, and the key under which it was asked for."""

    video: Video
    key: IdempotencyKey | None
    config: dict[str, Any]


def accept(place_order: Callable[[Rollback], Order]) -> tuple[Response, int, dict[str, str]]:
    """Make the job and answer with it; where its key came before, with the job that was made then.

    ``place_order`` may write files, of which it tells ``Rollback``: a repeated upload is taken back.

    Raises:
        JobNotFound: the job that was made then has been deleted.
        IdempotencyMismatch, VideoGone: nothing was made.
        QueueUnavailable, StorageError: as ``_start`` says.
    """
    repeated = {}
    try:
        with Rollback(services().storage) as undo:
            job = _start(place_order(undo), undo)
    except AnsweredBefore as before:
        job, repeated = find_job(before.made_id), REPLAYED
    location = absolute(url_for("jobs.show_job", job_id=job.job_id))
    return jsonify(job.public(result_link(job))), 202, {"Location": location, **poll_after(job), **repeated}


def poll_after(job: Job) -> dict[str, str]:
    """The header that says when to ask again, as long as there is reason to."""
    return {} if job.status.is_final else POLL_AFTER


def _start(order: Order, undo: Rollback) -> Job:
    """Make the job durable, then known, then ended or announced; from the record on it will come to its end.

    Raises:
        QueueUnavailable: no record was made for certain, or nobody can tell; what was written then stays.
        StorageFull, StorageUnavailable: no record was made.
        AnsweredBefore, IdempotencyMismatch, VideoGone: no record was made, and none will be.
    """
    job = _new_job(order)
    if order.key is not None:
        job = _under_its_key(job)
    _open(job, undo)
    failpoint("job-opened")
    with undo.kept_if_redis_may_know():  # the job may run after all, and needs its files then
        job = services().jobs.submit(job, key=order.key)
    undo.keep()
    failpoint("job-submitted")
    if ended := services().at_once.end(job):
        return ended
    try:
        services().queue.publish(job.job_id)
    except QueueUnavailable as error:
        log.warning("job.hint_lost: %s; the reaper will send it: %s", job.job_id, error)
    failpoint("hint-sent")
    return job


def _under_its_key(job: Job) -> Job:
    """The job under the one id that belongs to its Idempotency-Key, so that no second one can be written under it.

    Where that id was used more than a day ago, the key may be used anew, for a job of any id. Raises as
    ``_refuse_repeated`` does where it was used since.
    """
    job_id = keys.job_id_under(job.owner, str(job.idempotency_key), storage_id=job.storage_id)
    first = _recorded(job_id)
    if first is None:
        return job.model_copy(update={"job_id": job_id})
    if datetime.now(UTC) - first.created_at < KEEP_ANSWERS:
        _refuse_repeated(job, first)
    return job


def _recorded(job_id: str) -> Job | None:
    for read in (durable_records.read_done, durable_records.read_open):
        with suppress(NotFound):
            return read(services().storage, job_id)
    return None


def _open(job: Job, undo: Rollback) -> None:
    """Write the durable record. Raises ``StorageError``, and as ``_refuse_repeated`` does."""
    storage, key = services().storage, keys.open_job(job.job_id)
    try:
        durable_records.write_open_job(storage, job)
    except AlreadyExists:
        _refuse_repeated(job, _recorded(job.job_id))
    except StorageError:
        with suppress(StorageError):  # a failed write may have written it after all, and so may another request
            if durable_records.read_open(storage, job.job_id) == job:
                undo.remember(key)
        raise
    undo.remember(key)


def _refuse_repeated(job: Job, first: Job | None) -> NoReturn:
    """Answer a request whose key has a record already, or had one a moment ago.

    Raises:
        IdempotencyMismatch: it was another request.
        AnsweredBefore: the first has become a job.
        QueueUnavailable: nobody knows yet what becomes of the first, which may be under way at another front end.
    """
    if first and first.idempotency_fingerprint != job.idempotency_fingerprint:
        raise IdempotencyMismatch
    if first and (first.status.is_final or _is_known(first.job_id)):
        raise AnsweredBefore(first.job_id)
    if first and _is_left_behind(first):
        services().jobs.submit(first, key=_key_of(first))
        raise AnsweredBefore(first.job_id)
    raise QueueUnavailable("the first request with this key is still under way", certain=True)


def _is_known(job_id: str) -> bool:
    """Whether Redis has it, or gets it within moments."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(JobNotFound):
            services().jobs.look_up(job_id, owner=owner())
            return True
        if time.monotonic() > give_up_at:
            return False
        time.sleep(PATIENCE_SECONDS / 20)


def _is_left_behind(job: Job) -> bool:
    """Whether the front end that wrote this open record is dead, and so will neither go on nor take it back."""
    is_gone = job.front_end is not None and ProcessIdentity.from_dict(job.front_end).is_gone()
    return is_gone or datetime.now(UTC) - job.created_at > UNDER_WAY


def _key_of(job: Job) -> IdempotencyKey:
    return IdempotencyKey(str(job.idempotency_key), str(job.idempotency_fingerprint))


def _new_job(order: Order) -> Job:
    return Job.over(
        order.video,
        owner=owner(),
        storage_id=services().membership.guard().storage_id,
        config=order.config,
        created_at=datetime.now(UTC),
        idempotency_key=order.key.text if order.key else None,
        idempotency_fingerprint=order.key.fingerprint if order.key else None,
        front_end=ProcessIdentity.own().as_dict(),
    )
