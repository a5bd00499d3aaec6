"""Shuts a worker down: returns its jobs to the queue, or waits for them, then stops Celery, and exits in any case.

Signal handlers only record the request, since Celery's loop may be in the middle of something that must not be torn,
such as reading a message. A thread does the rest, because the main thread may hang.
"""

import os
import signal
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Literal

import structlog
from celery import bootsteps, signals
from celery.worker import state
from kombu.common import ignore_errors

from clipzy_storage.log_events import WORKER_EXIT_FORCED, WORKER_INTERRUPTED, WORKER_STOPPING
from clipzy_storage.standard_streams import stop_signals
from clipzy_worker.processing.interruption import SIGNAL as INTERRUPTION

GRACE_SECONDS = 1.0  # for jobs that are about to finish; honcho kills after 5 s, Docker after 10 s
EXIT_TIMEOUT_SECONDS = 6.0  # more than Celery takes to stop while Redis answers
STOP_SECONDS = GRACE_SECONDS + EXIT_TIMEOUT_SECONDS
POLL_SECONDS = 0.1

log = structlog.stdlib.get_logger("clipzy.worker")


class Shutdown:
    """Handles the signals of one worker process, and ends it with ``status``."""

    def __init__(self, drain: Literal["requeue", "wait"]) -> None:
        self.status = 0
        self._drain = drain
        self._is_requested = False
        self._main_pid = os.getpid()
        self._signals = stop_signals()  # before anything has changed how they are handled
        # Whether to stop immediately, one item per request. Unlike a lock, it is safe to use in a signal handler.
        self._requests: SimpleQueue[bool] = SimpleQueue()

    def exit_on_sigterm(self) -> None:
        """Let SIGTERM end this process wherever it is, such as waiting for Redis, until ``stop_on_signals``.

        A closed terminal's SIGHUP does the same.
        """
        for number in self._signals:
            if number is not signal.SIGINT:  # which Python handles
                signal.signal(number, self._exit)

    def stop_on_signals(self, worker: Any) -> None:
        """From now on signals stop ``worker``, an instance of Celery's. Must be called in the main thread."""
        threading.Thread(target=self._run, args=(worker,), name="shutdown", daemon=True).start()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Celery would restart the worker
        for number in (*self._signals, signal.SIGQUIT):
            signal.signal(number, self._on_signal)
        # A closed terminal sends it to the pool too, which returns its jobs when the main process asks for that.
        signals.worker_process_init.connect(_ignore_hangup, weak=False)

    def request_stop(self, *, status: int = 0, immediately: bool = False) -> None:
        """Stop; ``immediately`` without waiting for jobs, whatever CLIPZY_DRAIN says. The first status counts."""
        if not self._is_requested:
            self.status = status
        self._is_requested = True
        self._requests.put(immediately)

    def _exit(self, _number: int, _frame: FrameType | None) -> None:
        self.request_stop()  # in case the exception gets lost, as it does in a destructor
        raise SystemExit(0)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if os.getpid() == self._main_pid:  # a pool process has this handler for a moment after its fork
            self.request_stop()

    def _run(self, worker: Any) -> None:
        immediately = self._requests.get()
        log.info(WORKER_STOPPING, drain=self._drain)
        celery_state: Any = state
        celery_state.should_stop = os.EX_OK
        if (hub := worker.hub) is not None:
            hub.call_soon(_wake)  # the loop then sees that it must stop
        if not immediately:
            self._wait_for_jobs(worker)
        _return_jobs(worker)
        time.sleep(EXIT_TIMEOUT_SECONDS)
        log.warning(WORKER_EXIT_FORCED, after_seconds=EXIT_TIMEOUT_SECONDS)
        os._exit(self.status)

    def _wait_for_jobs(self, worker: Any) -> None:
        """Until the pool has exited, the grace period is over, or another request to stop arrives."""
        give_up_at = time.monotonic() + GRACE_SECONDS if self._drain == "requeue" else None
        while _pool_pids(worker) and (give_up_at is None or time.monotonic() < give_up_at):
            with suppress(Empty):
                self._requests.get(timeout=POLL_SECONDS)
                return


def _return_jobs(worker: Any) -> None:
    """Interrupt the pool processes: each returns its job, if any, to the queue."""
    for request in list(state.active_requests):
        request._already_cancelled = True  # otherwise Celery logs it as failed, with a traceback
    for pid in _pool_pids(worker):
        worker.pool.terminate_job(pid, INTERRUPTION)
        log.info(WORKER_INTERRUPTED, pool_process=pid)


def _pool_pids(worker: Any) -> list[int]:
    pool = getattr(worker.pool, "_pool", None)  # None again once all have been joined
    return [child.pid for child in list(pool._pool) if _is_running(child.pid)] if pool is not None else []


def _is_running(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _wake() -> None: ...


def _ignore_hangup(**_: object) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


class ReturnUnstarted(bootsteps.StartStopStep):
    """Closes the connection to the broker before Celery waits for the pool.

    Otherwise a message that was received but not started would stay with this worker until its last job is done.
    """

    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> None:
        """Creates nothing."""

    def stop(self, worker: Any) -> None:
        consumer = worker.consumer
        connection = consumer.connection
        if connection is None:  # the consumer is reconnecting
            return
        channel = consumer.task_consumer and consumer.task_consumer.channel
        ignore_errors(consumer, lambda: _read_pending_reply(channel))
        consumer.connection = None
        ignore_errors(consumer, connection.close)  # kombu then restores what was received and not started


def _read_pending_reply(channel: Any) -> None:
    """A message may be on its way: the consumer is cancelled by now, so kombu returns it to the queue."""
    if channel is not None and channel._in_poll:
        with suppress(Empty):
            channel._brpop_read()
