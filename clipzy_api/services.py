"""What the views work with, and how they reach it."""

from dataclasses import dataclass, field

from flask import current_app

from clipzy_api.cache_hits import CachedResults
from clipzy_api.concurrency_limits import BODIES_AT_ONCE, DOWNLOADS_AT_ONCE, EVENTS_AT_ONCE, ConcurrencyLimit
from clipzy_api.membership import Membership
from clipzy_api.result_manifests import ResultIndexes
from clipzy_api.task_queue import Queue
from clipzy_storage.backends.base import Storage
from clipzy_storage.config.settings import Settings
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.events import JobEvents
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import EVERYONE

EXTENSION = "clipzy"


@dataclass(frozen=True, kw_only=True)
class Services:
    settings: Settings
    storage: Storage
    jobs: JobStore
    upkeep: JobAdmin
    events: JobEvents
    queue: Queue
    at_once: CachedResults
    membership: Membership
    manifests: ResultIndexes
    bodies: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(BODIES_AT_ONCE))
    downloads: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(DOWNLOADS_AT_ONCE))
    streams: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(EVENTS_AT_ONCE))


def services() -> Services:
    """The services of the application that answers this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def owner() -> str:
    """On whose behalf this request is made. The one place that knows."""
    return EVERYONE
