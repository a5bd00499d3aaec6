"""The Celery application of a worker and its one task."""

import logging
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import kombu
import structlog
from celery import Celery
from celery.app.log import Logging
from celery.exceptions import CDeprecationWarning, CPendingDeprecationWarning, SecurityWarning
from kombu.exceptions import OperationalError

from clipzy_storage import celery_config
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import QueueUnavailable, StorageError
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.owner_limits import OwnerLimits
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.log_events import JOB_NOTIFICATION_LOST
from clipzy_storage.models.records import Queue
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.errors import JobFailed
from clipzy_worker.processing import attempt
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.runtime import transport

log = structlog.stdlib.get_logger(__name__)


def create_app(
    settings: Settings,
    redis: RedisDatabase,
    storage: StorageBackend,
    *,
    storage_id: str,
    name: str,
    flush_metrics: Callable[[], None],
) -> tuple[Celery, WorkerContext]:
    """The application, ready to run as the worker ``name`` in this process, and the context of its task."""
    transport.install()
    app = Celery("clipzy", set_as_current=False, log=_OurLogs)
    app.conf.update(celery_config.celery_settings(settings, storage_id=storage_id), **_worker_settings(settings))
    store = JobStore(redis, lease_seconds=settings.job_lease_seconds, limits=OwnerLimits.of(settings), worker=name)
    ctx = WorkerContext(
        settings=settings,
        storage=storage,
        storage_id=storage_id,
        store=store,
        admin=JobAdmin(redis),
        leases=LeaseRenewer(store),
        notify_workers=partial(_notify_workers, app),
        flush_metrics=flush_metrics,
    )

    @app.task(name=celery_config.PROCESS_JOB, throws=(JobFailed, QueueUnavailable, StorageError))
    def process_job(job_id: str) -> str:
        """Process one job, if it is queued. Fails if the job fails, so that Flower shows that."""
        return attempt.run(ctx, job_id)

    _quieten_celery()
    return app, ctx


class _OurLogs(Logging):
    """Leaves the log handlers of this process, and the filters of its warnings, as they are."""

    def setup(self, *_: Any, **__: Any) -> bool:  # type: ignore[override] # whatever it is called with
        return True


def _quieten_celery() -> None:
    """Have it log neither what our events say with more detail, nor advice about settings of its own."""
    for name in ("celery.app.trace", "celery.worker.strategy"):  # one line each about a task's receipt and its end
        logging.getLogger(name).setLevel(logging.WARNING)
    for category in (CPendingDeprecationWarning, CDeprecationWarning, SecurityWarning):
        warnings.filterwarnings("ignore", category=category)


def _notify_workers(app: Celery, job_id: str, queue: Queue) -> None:
    try:
        app.send_task(celery_config.PROCESS_JOB, args=[job_id], queue=queue.value)
    except (OperationalError, OSError) as error:
        log.warning(JOB_NOTIFICATION_LOST, job_id=job_id, reason=str(error))


def _worker_settings(settings: Settings) -> dict[str, Any]:
    return {
        "task_queues": [kombu.Queue(queue.value) for queue in Queue],  # it may return a job to either
        # Early acknowledgement: with acks_late a reset connection starts a second copy immediately, and a short outage
        # of Redis ends the worker. The jobs of a lost worker are found by their leases instead.
        "task_acks_late": False,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,  # waiting messages stay in Redis for workers with a free slot
        "worker_concurrency": settings.max_concurrent_jobs,
        "task_time_limit": settings.processing_timeout_seconds + 600,  # a backstop; the attempt has its own deadline
        "broker_channel_error_retry": True,  # a demoted master answers READONLY, which would end the worker
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_send_task_events": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }
