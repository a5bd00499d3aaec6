"""Deletes a finished job, or a video that no unfinished job uses."""

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, list_own
from clipzy_storage.errors import VideoInUse
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import day_index, durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.models.records import Job, Video


def delete_job(storage: Storage, admin: JobAdmin, job: Job) -> None:
    """Delete every trace of a finished job, in an order that leads to the same state wherever it is interrupted.

    The open record goes first: alone, without the done record, it would make the job run again after a loss of Redis.
    Once the done record is gone the job is deleted for good: its entry in the day index means nothing, files of its
    result and the record of its deliveries belong to no job, so the garbage collector deletes them, and a rebuild of
    Redis finds nothing to restore. The Redis record goes last: until then the job is known as finished, so that
    deleting it again comes by here once more.

    Raises ``StorageError``, ``QueueUnavailable``.
    """
    job_id = job.job_id
    durable_records.remove_open_job(storage, job_id)
    failpoint("open-deleted")
    storage.delete(keys.done_job(job_id))
    failpoint("done-deleted")
    storage.delete(day_index.entry_of(job))
    failpoint("entry-deleted")
    for blob in list(list_own(storage, keys.result_prefix(job_id))):
        storage.delete(blob.key)
    failpoint("results-deleted")
    storage.delete(keys.deliveries(job_id))
    admin.set_stored(job.owner, job_id, 0)
    admin.forget(job_id, while_it_is="final")


def delete_video(storage: Storage, admin: JobAdmin, video: Video) -> None:
    """Delete a video; its finished jobs keep their results.

    From the first step on Redis refuses new jobs on it: a concurrent submission is refused, or was there before. Then
    the record goes: without it the video is deleted, and the garbage collector removes a file without a record.

    Raises:
        VideoInUse: an unfinished job uses it. Nothing was deleted.
        StorageError, QueueUnavailable
    """
    if not admin.block_video(video.video_id):
        raise VideoInUse
    storage.delete(keys.video_record(video.video_id))
    admin.set_stored(video.owner, video.video_id, 0)  # before the file: without its record it is no one's
    storage.delete(keys.video_digest(video.video_id))
    storage.delete(video.key)
