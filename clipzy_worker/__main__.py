"""`clipzy worker`: checks settings, storage and guard, then runs one Celery worker until it is told to stop."""

import logging
import os
import sys
from typing import Any

# Celery reads this when it is imported: SIGTERM to the whole group then leaves the pool's processes to ours.
os.environ["REMAP_SIGTERM"] = "SIGQUIT"

from celery import Celery, signals

from clipzy_storage.config import logs, settings
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.guard import startup
from clipzy_storage.log_events import WORKER_READY
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing import scratch
from clipzy_worker.runtime.app import create_app
from clipzy_worker.runtime.janitor import Janitor
from clipzy_worker.runtime.liveness import LivenessFile
from clipzy_worker.runtime.reaper import Reaper
from clipzy_worker.runtime.shutdown import ReturnUnstarted, Shutdown
from clipzy_worker.runtime.watchdog import STATUS_DEAF, Intake, Watchdog
from clipzy_worker.sandbox import readiness

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
    stopping = Shutdown(config.drain)
    stopping.exit_on_sigterm()  # until Celery runs
    scratch.check(config.work_dir)
    readiness.check(config)
    with LivenessFile(config.data_dir) as alive:
        watchdog = Watchdog(alive, lease_seconds=config.job_lease_seconds)
        watchdog.start()
        try:
            return _join_and_work(config, stopping, watchdog)
        finally:
            watchdog.stop()


def _join_and_work(config: Settings, stopping: Shutdown, watchdog: Watchdog) -> int:
    refusals: list[str] = []

    def stop_refused(message: str) -> None:
        refusals.append(message)
        stopping.ask(status=ConfigurationError.EXIT_STATUS, at_once=True)

    redis = RedisDatabase(config.redis_url)
    admission = startup.join_deployment(config, redis, role="worker", on_refused=stop_refused, wait=True)
    app, ctx = create_app(config, redis, admission.storage, storage_id=admission.keeper.storage_id)
    scratch.sweep(config.work_dir)
    broker = redis if config.broker_url == config.redis_url else RedisDatabase(config.broker_url)
    reaper, janitor = Reaper(ctx, broker=broker), Janitor(ctx)
    intake = Intake(slots=config.max_concurrent_jobs, broker=broker)

    def on_ready(**_: Any) -> None:
        reaper.start()  # not before: the pool is forked while there are few threads that could hold a lock
        janitor.start()
        watchdog.watch(intake.passes_over, give_up=lambda: stopping.ask(status=STATUS_DEAF, at_once=True))
        log.info(WORKER_READY)

    signals.worker_ready.connect(on_ready, weak=False)
    try:
        _work(app, stopping, name=admission.name, log_level=config.log_level)
    finally:
        reaper.stop()
        janitor.stop()
        admission.keeper.stop()
        if refusals:
            raise ConfigurationError(refusals)
    return stopping.status


def _work(app: Celery, stopping: Shutdown, *, name: str, log_level: str) -> None:
    celerys: Any = app.Worker

    class Worker(celerys):  # type: ignore[misc] # celery is not typed here
        def install_platform_tweaks(self, worker: Any) -> None:
            """Before its parts are started: whatever they wait for, a signal is heard."""
            super().install_platform_tweaks(worker)
            stopping.take_over(worker)

    app.steps["worker"].add(ReturnUnstarted)
    worker = Worker(
        hostname=f"clipzy@{name}",
        pool_cls="prefork",
        loglevel=log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()


if __name__ == "__main__":
    sys.exit(main())
