"""The records that outlive Redis: a video next to its file, and a job from before it is accepted.

They decide which files of the storage are garbage. All functions may raise ``StorageUnavailable``; those that write may
also raise ``StorageFull``.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, list_own, put_bytes, put_json, read_bytes
from clipzy_storage.errors import AlreadyExists, NotFound, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import day_index
from clipzy_storage.models.records import SCHEMA_VERSION, Job, Video

_OPEN_JOBS, _DONE_JOBS = "jobs/open/", "jobs/done/"

_Record = TypeVar("_Record", Video, Job)


class _Versioned(BaseModel):
    schema_version: int


def write_video(storage: Storage, video: Video) -> None:
    """Raises ``AlreadyExists``."""
    _write(storage, keys.video_record(video.video_id), video)


def read_video(storage: Storage, video_id: str) -> Video:
    """Raises ``NotFound``, or ``StorageError`` if the record is damaged."""
    return _read(storage, keys.video_record(video_id), Video)


def write_open_job(storage: Storage, job: Job) -> None:
    """Raises ``AlreadyExists``."""
    _write(storage, keys.open_job(job.job_id), job)


def write_done_job(storage: Storage, job: Job) -> Job:
    """Write the finished job, and return the record that counts: the first one that was written."""
    day_index.add(storage, job)
    failpoint("end-indexed")
    try:
        _write(storage, keys.done_job(job.job_id), job)
    except AlreadyExists:
        return read_done(storage, job.job_id)
    return job


def write_cancellation_request(storage: Storage, job_id: str) -> None:
    """Record that the job must be cancelled, until it has finished. Safe to repeat."""
    with suppress(AlreadyExists):
        put_json(storage, keys.cancellation_request(job_id), {"schema_version": SCHEMA_VERSION, "job_id": job_id})


def is_cancellation_requested(storage: Storage, job_id: str) -> bool:
    return storage.exists(keys.cancellation_request(job_id))


def remove_cancellation_request(storage: Storage, job_id: str) -> None:
    storage.delete(keys.cancellation_request(job_id))


def remove_open_job(storage: Storage, job_id: str) -> bool:
    """False if there was none."""
    return storage.delete(keys.open_job(job_id))


def read_open(storage: Storage, job_id: str) -> Job:
    """Raises ``NotFound``, or ``StorageError`` if the record is damaged."""
    return _read(storage, keys.open_job(job_id), Job)


def read_done(storage: Storage, job_id: str) -> Job:
    """Raises ``NotFound``, or ``StorageError`` if the record is damaged."""
    return _read(storage, keys.done_job(job_id), Job)


def open_job_ids(storage: Storage, *, older_than_seconds: float = 0) -> Iterator[str]:
    """Ids of all jobs with an open record, oldest first; for callers that must get past a damaged one."""
    return _ids(storage, _OPEN_JOBS, older_than_seconds)


def done_job_ids(storage: Storage) -> Iterator[str]:
    """Ids of all finished jobs, oldest first."""
    return _ids(storage, _DONE_JOBS, 0)


def open_jobs(storage: Storage) -> Iterator[Job]:
    """All open jobs, oldest first. Raises ``StorageError`` at a damaged record."""
    for job_id in open_job_ids(storage):
        with suppress(NotFound):  # it has finished since it was listed
            yield read_open(storage, job_id)


def _ids(storage: Storage, prefix: str, older_than_seconds: float) -> Iterator[str]:
    for blob in list_own(storage, prefix):
        if blob.age_seconds >= older_than_seconds:
            yield str(keys.id_in(blob.key))


def _write(storage: Storage, key: str, record: Video | Job) -> None:
    put_bytes(storage, key, (record.model_dump_json(indent=1) + "\n").encode(), content_type="application/json")


def _read(storage: Storage, key: str, kind: type[_Record]) -> _Record:
    text = read_bytes(storage, key)
    try:
        version = _Versioned.model_validate_json(text).schema_version
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"{key} has schema version {version}, and this Clipzy reads up to {SCHEMA_VERSION}: upgrade it"
            )
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise StorageError(f"{key} is damaged: it is no record of a {kind.__name__.lower()}") from error
