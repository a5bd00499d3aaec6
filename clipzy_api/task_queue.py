"""Notifies workers that a job waits, through its Celery queue."""

from collections.abc import Callable
from functools import cached_property

import kombu
import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from clipzy_api.concurrency_limits import THREADS
from clipzy_storage import celery_config
from clipzy_storage.config.settings import Settings
from clipzy_storage.log_events import JOB_NOTIFICATION_LOST
from clipzy_storage.models.records import Queue

# How long Redis may keep a request waiting, each time it is asked. A request asks for up to three things in a row, and
# must be answered within 5 s of its last byte.
ANSWER_SECONDS = 1.5

log = structlog.stdlib.get_logger(__name__)


class TaskQueue:
    """Sends Celery tasks by name; the worker's code is never imported.

    ``storage_id`` is called when the first notification is sent: by then a front end knows its storage.
    """

    def __init__(self, settings: Settings, *, storage_id: Callable[[], str]) -> None:
        self._settings = settings
        self._storage_id = storage_id

    def notify_workers(self, job_id: str, queue: Queue) -> bool:
        """Send the notification; false if it was lost: the job's record stands, and the reaper sends it again."""
        try:
            self._celery.send_task(celery_config.PROCESS_JOB, args=[job_id], queue=queue.value)
        except (OperationalError, OSError) as error:
            log.warning(JOB_NOTIFICATION_LOST, job_id=job_id, reason=str(error))
            return False
        return True

    @cached_property
    def _celery(self) -> Celery:
        app = Celery("clipzy", set_as_current=False)
        app.conf.update(
            celery_config.celery_settings(self._settings, storage_id=self._storage_id(), answer_seconds=ANSWER_SECONDS),
            task_queues=[kombu.Queue(queue.value) for queue in Queue],
            # One try: with more of them kombu also reconnects in between, and waits as long again for that. A
            # connection that broke while it was idle is detected and reopened all the same.
            task_publish_retry_policy={"max_retries": 0},
            # With fewer connections than threads some requests would wait for a connection, without any limit.
            broker_pool_limit=THREADS,
        )
        return app
