"""The records that outlive Redis: a video next to its file, and a job from before it is accepted.

They decide which files of the storage are garbage. All functions may raise ``StorageUnavailable``; those that write may
also raise ``StorageFull``.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage, list_own, put_bytes, put_json, read_bytes
from clipzy_storage.errors import AlreadyExists, Damaged, NotFound, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import day_index
from clipzy_storage.models.records import SCHEMA_VERSION, Job, Upload, Video

_OPEN_JOBS, _DONE_JOBS = "jobs/open/", "jobs/done/"

_Record = TypeVar("_Record", Video, Job, Upload)

UPLOAD_RECORD = "upload.json"


class _Versioned(BaseModel):
    schema_version: int


class _Digest(_Versioned):
    schema_version: int = SCHEMA_VERSION
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


def write_video(storage: Storage, video: Video) -> None:
    """Raises ``AlreadyExists``."""
    _write(storage, keys.video_record(video.video_id), video)


def read_video(storage: Storage, video_id: str) -> Video:
    """Raises ``NotFound``, or ``StorageError`` if the record is damaged."""
    video = _read(storage, keys.video_record(video_id), Video)
    if video.sha256 is None:
        with suppress(NotFound):
            return video.model_copy(update={"sha256": _read_digest(storage, video_id)})
    return video


def find_source(storage: Storage, video_id: str) -> BlobInfo | None:
    """The whole file of a video, whether or not it has a record."""
    files = list_own(storage, keys.upload_prefix(video_id))
    return next((blob for blob in files if keys.is_source(blob.key)), None)


def write_digest(storage: Storage, video_id: str, sha256: str) -> None:
    """Add the digest to the record of a video that lacks it. Raises ``Damaged`` if it is known to be another."""
    text = _Digest(sha256=sha256).model_dump_json().encode()
    try:
        put_bytes(storage, keys.video_digest(video_id), text, content_type="application/json")
    except AlreadyExists:
        if (known := _read_digest(storage, video_id)) != sha256:
            raise Damaged(f"the sha256 of {video_id} is {sha256}, and was {known} before") from None


def _read_digest(storage: Storage, video_id: str) -> str:
    """Raises ``NotFound``."""
    key = keys.video_digest(video_id)
    try:
        return _Digest.model_validate_json(read_bytes(storage, key)).sha256
    except ValidationError as error:
        raise Damaged(f"{key} is damaged: it has no sha256") from error


def write_upload(storage: Storage, upload: Upload) -> None:
    """Raises ``AlreadyExists``."""
    _write(storage, keys.upload_state(upload.upload_id, UPLOAD_RECORD), upload)


def read_upload(storage: Storage, upload_id: str) -> Upload:
    """Raises ``NotFound``, or ``StorageError`` if the record is damaged."""
    return _read(storage, keys.upload_state(upload_id, UPLOAD_RECORD), Upload)


def uploads_in_progress(storage: Storage) -> dict[str, float]:
    """The ids of all uploads of which anything is kept, and the age in seconds of what was written last."""
    found: dict[str, float] = {}
    for blob in storage.list(keys.UPLOADS_IN_PROGRESS):
        if upload_id := keys.upload_id_in(blob.key):
            found[upload_id] = min(blob.age_seconds, found.get(upload_id, blob.age_seconds))
    return found


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


def _write(storage: Storage, key: str, record: Video | Job | Upload) -> None:
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
