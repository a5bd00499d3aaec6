"""`clipzy worker`: checks settings, storage and guard, then runs one Celery worker until it is told to stop."""

import logging
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

# Celery reads this when it is imported: SIGTERM then puts running jobs back into the queue instead of waiting for them.
os.environ["REMAP_SIGTERM"] = "SIGQUIT"

from celery import Celery, signals
from celery.exceptions import WorkerTerminate

from clipzy_storage import entrance, logs, settings
from clipzy_storage.broker import WaitingHints
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.settings import Settings
from clipzy_worker import scratch
from clipzy_worker.app import create_workplace
from clipzy_worker.reaper import Reaper

STOP_SECONDS = 8  # more than stopping takes while Redis answers, less than Docker waits before it kills

log = logging.getLogger("clipzy.worker")


def main() -> int:
    """Run one worker; returns the exit status."""
    try:
        settings.load_dotenv()
        return run(Settings.from_env())
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"clipzy: {problem}", file=sys.stderr)
        return ConfigurationError.EXIT_STATUS
    except KeyboardInterrupt:
        return 130


def run(config: Settings) -> int:
    """Join, work, leave. Raises ``ConfigurationError``, also later, when the guard refuses."""
    logs.configure(config)
    # Until Celery takes the signals over, a worker that still waits for Redis ends at once when it is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    scratch.check(config.work_dir)
    refusals: list[str] = []

    def stop_refused(message: str) -> None:
        refusals.append(message)
        os.kill(os.getpid(), signal.SIGTERM)

    admission = entrance.enter(config, role="worker", on_refused=stop_refused, wait=True)
    app, place = create_workplace(config, admission.storage, storage_id=admission.keeper.storage_id)
    scratch.sweep(config.work_dir)
    reaper = Reaper(place, waiting_hints=WaitingHints(config))
    signals.worker_ready.connect(lambda **_: _on_ready(reaper, refusals), weak=False)
    try:
        _work(app, name=admission.name, log_level=config.log_level)
    finally:
        reaper.stop()
        admission.keeper.stop()
        if refusals:
            raise ConfigurationError(refusals)
    return 0


def _work(app: Celery, *, name: str, log_level: str) -> None:
    worker: Any = app.Worker(
        hostname=f"clipzy@{name}",
        pool_cls="prefork",
        loglevel=log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()


def _on_ready(reaper: Reaper, refusals: list[str]) -> None:
    reaper.start()  # not before: the pool is forked while there are few threads that could hold a lock
    celery_stops: Any = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        log.info("worker.stopping: a running job is put back into the queue; a second signal stops at once")
        _end_for_certain(refusals)
        celery_stops(number, frame)
        # The pool is gone by now, and Celery's loop would stumble over that before it sees that it is to end.
        raise WorkerTerminate(0)

    signal.signal(signal.SIGTERM, stop)
    # Ctrl-C means what SIGTERM means: put the job back and stop. Celery's own would wait for it.
    signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    log.info("worker.ready")


def _end_for_certain(refusals: list[str]) -> None:
    """Without Redis Celery waits for ever to say good-bye to it. Pool and media processes end with this one."""

    def end() -> None:
        os._exit(ConfigurationError.EXIT_STATUS if refusals else 0)

    last_resort = threading.Timer(STOP_SECONDS, end)
    last_resort.daemon = True
    last_resort.start()


if __name__ == "__main__":
    sys.exit(main())
