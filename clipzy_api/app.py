"""Creates the Flask application of the front end."""

from contextlib import ExitStack

import structlog
from flask import Flask, g, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from clipzy_api import authentication, large_answers, problems, request_origin, security_headers
from clipzy_api.cache_hits import CachedResults
from clipzy_api.concurrency_limits import BUCKET_BODIES, REQUEST_BODIES, ConcurrencyLimit
from clipzy_api.inputs.received_file import recognised
from clipzy_api.inputs.tus import MethodOverride
from clipzy_api.key_audit import KeyUse, RefusedKeys
from clipzy_api.membership import Membership
from clipzy_api.redis_readiness import RedisReadiness
from clipzy_api.result_indexes import ResultIndexes
from clipzy_api.services import ENDPOINT_KEY, EXTENSION, REQUEST_ID_KEY, Services
from clipzy_api.storage_probe import StorageProbe
from clipzy_api.task_queue import TaskQueue
from clipzy_api.views.deliveries import deliveries as delivery_views
from clipzy_api.views.direct_uploads import direct_uploads as direct_upload_views
from clipzy_api.views.docs import description as description_views
from clipzy_api.views.events import events as event_views
from clipzy_api.views.exports import exports as export_views
from clipzy_api.views.files import files as file_views
from clipzy_api.views.fleet import fleet as fleet_views
from clipzy_api.views.health import health as health_views
from clipzy_api.views.job_actions import actions as action_views
from clipzy_api.views.jobs import jobs as job_views
from clipzy_api.views.me import me as me_views
from clipzy_api.views.metrics import metrics as metric_views
from clipzy_api.views.page import page as page_views
from clipzy_api.views.uploads import uploads as upload_views
from clipzy_api.views.video_files import video_files as video_file_views
from clipzy_api.views.videos import videos as video_views
from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.access.file_links import FileLinks
from clipzy_storage.access.key_table import KeyTable
from clipzy_storage.access.link_secrets import LinkSecretStore
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.config.settings import Settings
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.cancellation import JobCancellation
from clipzy_storage.jobs.events import JobEvents
from clipzy_storage.jobs.lookup import JobLookup
from clipzy_storage.jobs.owner_limits import OwnerLimits
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.submission import JobSubmission
from clipzy_storage.jobs.uploads_in_progress import UploadsInProgress
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.uploads.direct import DirectUploads
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_storage.uploads.resumable import ResumableUploads
from clipzy_storage.uploads.store import UploadStore
from clipzy_storage.webhooks.due_deliveries import DueDeliveries

BASE_PATH = "/api/v1"
FREE_SPACE_SECONDS = 1.0
"""How long `/metrics` waits for it."""


def create_app(
    *,
    settings: Settings,
    redis: RedisDatabase,
    broker: RedisDatabase,
    storage: StorageBackend,
    queue: TaskQueue,
    membership: Membership,
) -> Flask:
    """The application, made of ready parts; opens no connection. ``LingeringClose`` and ``RequestLog`` must wrap it."""
    app = Flask("clipzy_api", static_folder=None)
    app.json = _OrderedJson(app)
    app.extensions[EXTENSION] = _services(settings, redis, broker, storage, queue, membership)
    app.url_map.merge_slashes = False  # a key with an empty segment is a bad key, not another spelling of a good one
    app.url_map.converters["upload_id"] = _UploadId
    problems.register(app)
    _identify_requests(app)
    request_origin.register(app, settings)
    authentication.register(app, settings)
    security_headers.register(app, origins=settings.cors_origins)
    large_answers.register(app)
    _register_views(app)
    app.wsgi_app = MethodOverride(app.wsgi_app, prefix=f"{BASE_PATH}/uploads/")  # type: ignore[method-assign]
    if proxies := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]
    return app


def _services(
    settings: Settings,
    redis: RedisDatabase,
    broker: RedisDatabase,
    storage: StorageBackend,
    queue: TaskQueue,
    membership: Membership,
) -> Services:
    store = JobStore(redis, lease_seconds=settings.job_lease_seconds, limits=OwnerLimits.of(settings))
    admin = JobAdmin(redis)
    lookup = JobLookup(store, admin, storage)
    cached_results = CachedResults(store=store, storage=storage, notify_workers=queue.notify_workers, settings=settings)
    submission = JobSubmission(
        store,
        storage,
        lookup,
        max_unfinished_jobs=settings.max_unfinished_jobs,
        complete_from_cache=cached_results.try_complete,
        notify_workers=queue.notify_workers,
    )
    locks, link_secrets = UploadLocks(redis), LinkSecretStore(storage)
    upload_store = UploadStore(storage, store.accounts, expires_seconds=settings.upload_expires_hours * 3600)
    return Services(
        settings=settings,
        storage=storage,
        redis=redis,
        store=store,
        admin=admin,
        events=JobEvents(redis),
        lookup=lookup,
        submission=submission,
        cancellation=JobCancellation(store, admin, storage, lookup, notify_workers=queue.notify_workers),
        membership=membership,
        free_space=StorageProbe(storage.free_space, timeout_seconds=FREE_SPACE_SECONDS),
        redis_readiness=RedisReadiness(redis, broker),
        api_keys=KeyTable(ApiKeys(storage)),
        key_use=KeyUse(redis),
        refused_keys=RefusedKeys(),
        link_secrets=link_secrets,
        file_links=FileLinks(settings, storage, link_secrets),
        due_deliveries=DueDeliveries(redis),
        result_indexes=ResultIndexes(storage),
        request_bodies=ConcurrencyLimit(REQUEST_BODIES if storage.kind == "local" else BUCKET_BODIES),
        uploads=UploadsInProgress(redis, limit=store.limits.uploads),
        resumable=ResumableUploads(storage, upload_store, locks, container_of=recognised),
        direct=_direct_uploads(storage, upload_store, locks),
    )


def _direct_uploads(storage: StorageBackend, store: UploadStore, locks: UploadLocks) -> DirectUploads | None:
    """None on a storage that clients cannot reach themselves."""
    parts = storage.direct
    return DirectUploads(storage, parts, store, locks, container_of=recognised) if parts else None


class _UploadId(BaseConverter):
    """Any id but the name of another address at its place."""

    regex = "(?!s3$)[^/]+"


class _OrderedJson(DefaultJSONProvider):
    """Keeps the fields in the order of their models."""

    sort_keys = False


def _register_views(app: Flask) -> None:
    about_jobs = (job_views, action_views, event_views, delivery_views, export_views)
    about_videos = (video_views, video_file_views, upload_views, direct_upload_views)
    for blueprint in (*about_jobs, *about_videos, me_views, fleet_views):
        app.register_blueprint(blueprint, url_prefix=BASE_PATH)
    for blueprint in (file_views, health_views, metric_views, description_views, page_views):
        app.register_blueprint(blueprint)


def _identify_requests(app: Flask) -> None:
    """Note the request's id, endpoint and client, for log and metrics."""

    @app.before_request
    def begin() -> None:
        g.request_id = request.environ[REQUEST_ID_KEY]
        request.environ[ENDPOINT_KEY] = request.endpoint
        g.at_end = ExitStack()
        structlog.contextvars.bind_contextvars(client=problems.shown(request.remote_addr or ""))

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if at_end := g.pop("at_end", None):
            at_end.close()
