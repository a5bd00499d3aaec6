"""The Celery application of a worker and its one task."""

import logging
from functools import partial
from typing import Any

from celery import Celery, signals
from kombu import Queue
from kombu.exceptions import OperationalError

from clipzy_storage import celery_config
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.config import logs
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import QueueUnavailable, StorageError
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.log_events import JOB_NOTIFICATION_LOST
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.errors import JobFailed
from clipzy_worker.processing import attempt
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.runtime import transport

log = logging.getLogger(__name__)


def create_app(
    settings: Settings, redis: RedisDatabase, storage: StorageBackend, *, storage_id: str
) -> tuple[Celery, WorkerContext]:
    """The application, ready to run as a worker in this process, and the context of its task."""
    transport.install()
    app = Celery("clipzy", set_as_current=False)
    app.conf.update(celery_config.celery_settings(settings), **_worker_settings(settings))
    store = JobStore(redis, lease_seconds=settings.job_lease_seconds)
    ctx = WorkerContext(
        settings=settings,
        storage=storage,
        storage_id=storage_id,
        store=store,
        admin=JobAdmin(redis),
        leases=LeaseRenewer(store),
        notify_workers=partial(_notify_workers, app),
    )

    @app.task(name=celery_config.PROCESS_JOB, throws=(JobFailed, QueueUnavailable, StorageError))
    def process_job(job_id: str) -> str:
        """Process one job, if it is queued. Fails if the job fails, so that Flower shows that."""
        return attempt.run(ctx, job_id)

    # Otherwise Celery would replace our log handlers.
    signals.setup_logging.connect(lambda **_: logs.configure(settings), weak=False)
    logging.getLogger("celery.app.trace").addFilter(_omit_traceback_of_failed_job)
    return app, ctx


def _omit_traceback_of_failed_job(record: logging.LogRecord) -> bool:
    """A failed job is logged in one line: a traceback does not show what is wrong with a file."""
    if record.levelno <= logging.INFO:
        record.exc_info = None
    return True


def _notify_workers(app: Celery, job_id: str) -> None:
    try:
        app.send_task(celery_config.PROCESS_JOB, args=[job_id], queue=celery_config.QUEUE)
    except (OperationalError, OSError) as error:
        log.warning("%s: %s (%s); the reaper sends it again", JOB_NOTIFICATION_LOST, job_id, type(error).__name__)


def _worker_settings(settings: Settings) -> dict[str, Any]:
    return {
        "task_queues": [Queue(celery_config.QUEUE)],
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
