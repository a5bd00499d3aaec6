"""How a worker stops: its jobs go back into the queue, or to their ends, then Celery closes, and it ends for certain.

Signals are only noted, since what Celery's loop is in the middle of, such as a message half read, must not be torn. A
thread does the rest, because it is there whatever the main thread hangs in.
"""

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Literal

from celery import bootsteps
from celery.worker import state
from kombu.common import ignore_errors

from clipzy_storage.log_events import WORKER_ENDED_HARD, WORKER_INTERRUPTED, WORKER_STOPPING
from clipzy_worker.processing.interruption import SIGNAL as INTERRUPTION

GRACE_SECONDS = 1.0  # for jobs that are about to end; honcho kills after 5 s, Docker after 10 s
END_SECONDS = 6.0  # more than the rest takes while Redis answers
STOP_SECONDS = GRACE_SECONDS + END_SECONDS
POLL_SECONDS = 0.1
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

log = logging.getLogger("clipzy.worker")


class Shutdown:
    """Takes the signals of one worker process over, and ends it with ``status``."""

    def __init__(self, drain: Literal["requeue", "wait"]) -> None:
        self.status = 0
        self.is_asked = False
        self._drain = drain
        self._worker: Any = None
        self._main_pid = os.getpid()
        self._asked: SimpleQueue[bool] = SimpleQueue()  # may be put to in a signal handler, as no lock may be taken
        self._thread = threading.Thread(target=self._run, name="stopping", daemon=True)

    def exit_on_sigterm(self) -> None:
        """Let SIGTERM end this process where it is, such as waiting for Redis, until ``take_over``."""
        signal.signal(signal.SIGTERM, self._exit)

    def take_over(self, worker: Any) -> None:
        """From here on signals stop ``worker``, an instance of Celery's. To be called from the main thread."""
        self._worker = worker
        self._thread.start()
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def ask(self, *, status: int = 0, at_once: bool = False) -> None:
        """Stop; ``at_once`` without waiting for jobs, whatever CLIPZY_DRAIN says. The first status counts."""
        if not self.is_asked:
            self.status = status
        self.is_asked = True
        self._asked.put(at_once)

    def _exit(self, _number: int, _frame: FrameType | None) -> None:
        self.ask()  # in case the exit gets lost, as it does in a destructor
        raise SystemExit(0)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if os.getpid() == self._main_pid:  # a pool process has this handler for a moment after its fork
            self.ask()

    def _run(self) -> None:
        at_once = self._asked.get()
        log.info("%s: %s", WORKER_STOPPING, _PLANS[self._drain])
        celery_state: Any = state
        celery_state.should_stop = os.EX_OK
        if (hub := self._worker.hub) is not None:
            hub.call_soon(_nothing)  # wakes the loop, which then sees that it is to end
        if not at_once:
            self._wait_for_jobs()
        self._put_back()
        time.sleep(END_SECONDS)
        log.warning("%s: something did not let go within %g s", WORKER_ENDED_HARD, END_SECONDS)
        os._exit(self.status)

    def _wait_for_jobs(self) -> None:
        """Until the pool has ended, the grace is over, or a second wish to stop comes."""
        give_up_at = time.monotonic() + GRACE_SECONDS if self._drain == "requeue" else None
        while self._children() and (give_up_at is None or time.monotonic() < give_up_at):
            try:
                self._asked.get(timeout=POLL_SECONDS)
                return
            except Empty:
                pass

    def _put_back(self) -> None:
        for request in list(state.active_requests):
            request._already_cancelled = True  # which Celery would else log as a failure, with a traceback
        for pid in self._children():
            self._worker.pool.terminate_job(pid, INTERRUPTION)
            log.info("%s: process %d, which puts back the job it may have", WORKER_INTERRUPTED, pid)

    def _children(self) -> list[int]:
        pool = getattr(self._worker.pool, "_pool", None)  # None again when all have been joined
        return [child.pid for child in list(pool._pool) if _is_running(child.pid)] if pool is not None else []


class ReturnUnstarted(bootsteps.StartStopStep):
    """Lets go of the broker before the pool is waited for, so that no message waits with us for hours."""

    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> None:
        """Nothing to be made."""

    def stop(self, worker: Any) -> None:
        consumer = worker.consumer
        connection = consumer.connection
        if connection is None:  # it was being made anew
            return
        channel = consumer.task_consumer and consumer.task_consumer.channel
        ignore_errors(consumer, lambda: _read_what_was_asked_for(channel))
        consumer.connection = None
        ignore_errors(consumer, connection.close)  # what was taken and not begun goes back


def _read_what_was_asked_for(channel: Any) -> None:
    """A message may be on its way: the consumer is cancelled by now, so kombu sends it back."""
    if channel is not None and channel._in_poll:
        with suppress(Empty):
            channel._brpop_read()


def _is_running(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _nothing() -> None: ...


_PLANS = {
    "requeue": "running jobs go back into the queue; a second signal does that at once",
    "wait": "no new jobs are begun, running ones are finished; a second signal puts them back at once",
}
