"""Tells the workers that there is a job to look at."""

from celery import Celery
from kombu import Queue as KombuQueue
from kombu.exceptions import OperationalError

from clipzy_api.concurrency_limits import THREADS
from clipzy_storage import celery_config
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import QueueUnavailable

# How long Redis may keep a request waiting, each time it is asked. A request asks for up to three things in a row, and
# is to be answered within 5 s of its last byte.
ANSWER_SECONDS = 1.5


class Queue:
    """Sends Celery tasks by name; the worker's code is never imported."""

    def __init__(self, settings: Settings) -> None:
        self._celery = Celery("clipzy", set_as_current=False)
        self._celery.conf.update(
            celery_config.celery_settings(settings, answer_seconds=ANSWER_SECONDS),
            task_queues=[KombuQueue(celery_config.QUEUE)],
            # One try: with more of them kombu also connects anew in between, and waits for that as long again. A
            # connection that broke while it was idle is seen and made anew all the same.
            task_publish_retry_policy={"max_retries": 0},
            # With fewer connections than threads some requests wait for their turn, without any limit.
            broker_pool_limit=THREADS,
        )

    def publish(self, job_id: str) -> None:
        """Send the hint.

        Raises:
            QueueUnavailable: it was probably not sent; the job's record stands, and the reaper sends it later.
        """
        try:
            self._celery.send_task(celery_config.PROCESS_JOB, args=[job_id], queue=celery_config.QUEUE)
        except (OperationalError, OSError) as error:
            raise QueueUnavailable(f"the broker cannot be reached ({type(error).__name__})", certain=False) from error
