"""Tells the workers that there is a job to look at."""

from celery import Celery
from kombu import Queue as KombuQueue
from kombu.exceptions import OperationalError

from clipzy_storage import broker
from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.settings import Settings


class Queue:
    """Sends Celery tasks by name; the worker's code is never imported."""

    def __init__(self, settings: Settings) -> None:
        self._celery = Celery("clipzy", set_as_current=False)
        self._celery.conf.update(broker.celery_settings(settings), task_queues=[KombuQueue(broker.QUEUE)])

    def publish(self, job_id: str) -> None:
        """Send the hint.

        Raises:
            QueueUnavailable: it was probably not sent; the job's record stands, and the reaper sends it later.
        """
        try:
            self._celery.send_task(broker.PROCESS_JOB, args=[job_id], queue=broker.QUEUE)
        except (OperationalError, OSError) as error:
            raise QueueUnavailable(f"the broker cannot be reached ({type(error).__name__})", certain=False) from error
