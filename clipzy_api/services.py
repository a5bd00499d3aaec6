"""The parts that the views work with, and how they reach them."""

import threading
from dataclasses import dataclass, field

from flask import current_app, g

from clipzy_api.callers import Caller
from clipzy_api.concurrency_limits import DOWNLOADS, EVENT_STREAMS, LARGE_ANSWERS, ConcurrencyLimit
from clipzy_api.key_audit import KeyUse, RefusedKeys
from clipzy_api.membership import Membership
from clipzy_api.problems import key_needed
from clipzy_api.redis_readiness import RedisReadiness
from clipzy_api.result_indexes import ResultIndexes
from clipzy_api.static_content import StaticContents
from clipzy_api.storage_probe import StorageProbe
from clipzy_storage.access.file_links import FileLinks
from clipzy_storage.access.key_table import KeyTable
from clipzy_storage.access.link_secrets import LinkSecretStore
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.config.settings import Settings
from clipzy_storage.free_space import FreeSpace
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.cancellation import JobCancellation
from clipzy_storage.jobs.events import JobEvents
from clipzy_storage.jobs.lookup import JobLookup
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.submission import JobSubmission
from clipzy_storage.jobs.uploads_in_progress import UploadsInProgress
from clipzy_storage.models.records import Job
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.uploads.direct import DirectUploads
from clipzy_storage.uploads.resumable import ResumableUploads
from clipzy_storage.webhooks.due_deliveries import DueDeliveries

EXTENSION = "clipzy"
# In the WSGI environment of every request.
REQUEST_ID_KEY = "clipzy.request_id"
OWNER_KEY = "clipzy.owner"
ENDPOINT_KEY = "clipzy.endpoint"


@dataclass(frozen=True, kw_only=True)
class Services:
    settings: Settings
    storage: StorageBackend
    redis: RedisDatabase
    store: JobStore
    admin: JobAdmin
    events: JobEvents
    lookup: JobLookup
    submission: JobSubmission
    cancellation: JobCancellation
    membership: Membership
    free_space: StorageProbe[FreeSpace]
    redis_readiness: RedisReadiness
    api_keys: KeyTable
    key_use: KeyUse
    refused_keys: RefusedKeys
    link_secrets: LinkSecretStore
    file_links: FileLinks
    due_deliveries: DueDeliveries
    result_indexes: ResultIndexes
    uploads: UploadsInProgress
    resumable: ResumableUploads
    direct: DirectUploads | None
    request_bodies: ConcurrencyLimit
    downloads: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(DOWNLOADS))
    large_answers: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(LARGE_ANSWERS))
    large_answer_work: threading.Lock = field(default_factory=threading.Lock)
    event_streams: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(EVENT_STREAMS))
    static_contents: StaticContents = field(default_factory=StaticContents)


def services() -> Services:
    """The services of the application that answers this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def caller() -> Caller:
    """Who sent this request."""
    found: Caller = g.caller
    return found


def owner() -> str:
    """The owner on whose behalf this request is made. Raises ``ApiError`` 401 if it came without a key."""
    found = caller().owner
    if found is None:
        raise key_needed()
    return found


def find_job(job_id: str) -> Job:
    """The job as it is now. Raises ``JobNotFound``, ``QueueUnavailable``, ``StorageError``."""
    return services().lookup.find(job_id, owner=owner())
