"""Counts what every owner has in storage, after a loss of Redis and, to correct what crashes left wrong, once a week.

Requests and workers go on meanwhile. What they count is newer than the listing, so it stays; where it differs from the
listing, that one video or result is listed once more. What they delete stays known as 0 bytes until the end.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage, list_own
from clipzy_storage.errors import NotFound, StorageError, StorageUnavailable
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.maintenance.index_repair import for_each
from clipzy_storage.models.records import Upload

_UPLOADS, _RESULTS = "uploads/", "results/"

log = structlog.stdlib.get_logger(__name__)


def count_stored(storage: Storage, admin: JobAdmin) -> None:
    """May be interrupted and repeated. Raises ``QueueUnavailable``, ``StorageUnavailable``."""
    count = admin.begin_count()
    uploads = _uploads_in_progress(storage)
    sizes = _sizes(list_own(storage, _UPLOADS)) | _sizes(list_own(storage, _RESULTS))
    sizes |= {upload.upload_id: upload.size_bytes for upload in uploads}
    counted = admin.stored()
    known = {one: owner for owner, its_sizes in counted.items() for one in its_sizes}
    owners = {upload.upload_id: upload.owner for upload in uploads}
    unknown = {one: sizes[one] for one in sizes.keys() - known.keys()}
    for owner, its_sizes in _by_owner(storage, admin, unknown, owners).items():
        admin.add_stored(owner, its_sizes)
    for one, owner in known.items():
        if counted[owner][one] not in (0, sizes.get(one, 0)):
            admin.correct_stored(owner, one, _size_now(storage, one), instead_of=counted[owner][one])
    admin.end_count(count)


def _uploads_in_progress(storage: Storage) -> list[Upload]:
    """Each counts as if all its bytes had arrived."""
    found = []
    for upload_id in durable_records.uploads_in_progress(storage):
        with suppress(NotFound), _damage_logged():
            found.append(durable_records.read_upload(storage, upload_id))
    return found


def _by_owner(
    storage: Storage, admin: JobAdmin, sizes: dict[str, int], owners: dict[str, str]
) -> dict[str, dict[str, int]]:
    """Those of finished jobs, and of videos with a record; and those whose ``owners`` are known.

    Records are read only of those that no job in Redis names.
    """
    owners = dict(owners)
    for job_id, (owner, video_id) in admin.owners_of_finished().items():
        owners[job_id] = owners[video_id] = owner
    unfinished = admin.unfinished_ids()

    def read_owner(one: str) -> None:
        read = durable_records.read_done if keys.is_job_id(one) else durable_records.read_video
        with suppress(NotFound), _damage_logged():
            owners[one] = read(storage, one).owner

    for_each(sizes.keys() - owners.keys() - unfinished, read_owner)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for one, size in sizes.items():
        if one in owners:
            found[owners[one]][one] = size
    return found


@contextmanager
def _damage_logged() -> Iterator[None]:
    """Of a damaged record it is not known whose it is."""
    try:
        yield
    except (NotFound, StorageUnavailable):
        raise
    except StorageError as error:
        log.warning("storage.not_counted", reason=str(error))


def _size_now(storage: Storage, one: str) -> int:
    with suppress(NotFound):
        return durable_records.read_upload(storage, one).size_bytes
    prefix = keys.result_prefix(one) if keys.is_job_id(one) else f"{_UPLOADS}{one}/"
    return _sizes(list_own(storage, prefix)).get(one, 0)


def _sizes(blobs: Iterator[BlobInfo]) -> dict[str, int]:
    """By the id of video or job, without the records among them, which are no one's."""
    found: dict[str, int] = defaultdict(int)
    for blob in blobs:
        one = keys.id_in(blob.key)
        if one and blob.key not in (keys.video_record(one), keys.video_digest(one), keys.expired_result(one)):
            found[one] += blob.size_bytes
    return dict(found)
