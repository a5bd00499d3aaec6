"""The outbox: one ``DeliveryRecord`` for each finished job with a webhook, replaced after every attempt.

A finished job without one has not been attempted: its done record is all that its event is made from. Whoever writes
one holds the delivery (``DueDeliveries``). All functions may raise ``StorageError``.
"""

from pydantic import ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, read_replaceable
from clipzy_storage.errors import Damaged, NotFound
from clipzy_storage.models.deliveries import DeliveryRecord, DeliveryStatus
from clipzy_storage.models.records import SCHEMA_VERSION, Job


def read(storage: Storage, job: Job) -> DeliveryRecord:
    """That of a finished job. Raises ``Damaged``, also if a later version has written it."""
    try:
        return _read(storage, job.job_id)
    except NotFound:
        return DeliveryRecord.first_of(job)


def is_unfinished(storage: Storage, job_id: str) -> bool:
    """Whether there is a record by which something is still to be delivered; also if it is damaged."""
    try:
        return _read(storage, job_id).status is DeliveryStatus.PENDING
    except NotFound:
        return False
    except Damaged:
        return True


def write(storage: Storage, record: DeliveryRecord) -> None:
    """Raises ``StorageFull`` too."""
    text = record.model_dump_json(indent=1) + "\n"
    storage.replace(keys.deliveries(record.job_id), text.encode(), content_type="application/json")
    # A deletion of the job removes its done record first, so that one of the two sees what the other has done.
    if not storage.exists(keys.done_job(record.job_id)):
        storage.delete(keys.deliveries(record.job_id))


def _read(storage: Storage, job_id: str) -> DeliveryRecord:
    key = keys.deliveries(job_id)
    try:
        record = DeliveryRecord.model_validate_json(read_replaceable(storage, key))
    except ValidationError as error:
        raise Damaged(f"{key} is damaged: it is no record of deliveries") from error
    if record.schema_version > SCHEMA_VERSION:
        raise Damaged(f"{key} has schema version {record.schema_version}: upgrade this Clipzy")
    return record
