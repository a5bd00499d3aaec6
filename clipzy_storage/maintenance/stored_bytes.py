"""Counts what every owner has in storage, after a loss of Redis and, to correct what crashes left wrong, once a week.

Requests and workers go on meanwhile. What they count is newer than the listing, so it stays; where it differs from the
listing, that one video or result is listed once more. What they delete stays known as 0 bytes until the end.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage, list_own
from clipzy_storage.errors import Damaged, NotFound
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.maintenance.index_repair import for_each

_UPLOADS, _RESULTS = "uploads/", "results/"

log = structlog.stdlib.get_logger(__name__)


def count_stored(storage: Storage, admin: JobAdmin) -> None:
    """May be interrupted and repeated. Raises ``QueueUnavailable``, ``StorageUnavailable``."""
    count = admin.begin_count()
    sizes = _sizes(list_own(storage, _UPLOADS)) | _sizes(list_own(storage, _RESULTS))
    counted = admin.stored()
    known = {one: owner for owner, its_sizes in counted.items() for one in its_sizes}
    for owner, its_sizes in _by_owner(storage, admin, {one: sizes[one] for one in sizes.keys() - known.keys()}).items():
        admin.add_stored(owner, its_sizes)
    for one, owner in known.items():
        if counted[owner][one] not in (0, sizes.get(one, 0)):
            admin.correct_stored(owner, one, _size_now(storage, one), instead_of=counted[owner][one])
    admin.end_count(count)


def _by_owner(storage: Storage, admin: JobAdmin, sizes: dict[str, int]) -> dict[str, dict[str, int]]:
    """Those of finished jobs and of videos with a record. Records are read only of those that no job in Redis names."""
    owners = {}
    for job_id, (owner, video_id) in admin.owners_of_finished().items():
        owners[job_id] = owners[video_id] = owner
    unfinished = admin.unfinished_ids()

    def read_owner(one: str) -> None:
        read = durable_records.read_done if keys.is_job_id(one) else durable_records.read_video
        with suppress(NotFound):
            try:
                owners[one] = read(storage, one).owner
            except Damaged as error:  # and so it is not known whose this is
                log.warning("storage.not_counted", reason=str(error))

    for_each(sizes.keys() - owners.keys() - unfinished, read_owner)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for one, size in sizes.items():
        if one in owners:
            found[owners[one]][one] = size
    return found


def _size_now(storage: Storage, one: str) -> int:
    prefix = keys.result_prefix(one) if keys.is_job_id(one) else f"{_UPLOADS}{one}/"
    return _sizes(list_own(storage, prefix)).get(one, 0)


def _sizes(blobs: Iterator[BlobInfo]) -> dict[str, int]:
    """By the id of video or job, without the records among them, which are no one's."""
    found: dict[str, int] = defaultdict(int)
    for blob in blobs:
        one = keys.id_in(blob.key)
        if one and blob.key not in (keys.video_record(one), keys.expired_result(one)):
            found[one] += blob.size_bytes
    return dict(found)
