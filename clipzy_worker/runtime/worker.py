"""Runs one Celery worker: joins the deployment, works until it is signalled to stop, leaves."""

import os
from collections.abc import Sequence
from typing import Any

import structlog
from celery import Celery, signals

from clipzy_storage.config import logs
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.guard import startup
from clipzy_storage.guard.members import new_member_name
from clipzy_storage.log_events import WORKER_READY
from clipzy_storage.models.records import Queue
from clipzy_storage.redis_client import RedisDatabase, broker_of
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_worker.processing import scratch
from clipzy_worker.runtime.app import create_app
from clipzy_worker.runtime.consumer import BatchingConsumer
from clipzy_worker.runtime.janitor import Janitor
from clipzy_worker.runtime.liveness import LivenessFile
from clipzy_worker.runtime.metrics import WorkerMetrics
from clipzy_worker.runtime.notification_queue import NotificationQueues
from clipzy_worker.runtime.periodic import PeriodicThread
from clipzy_worker.runtime.reaper import Reaper
from clipzy_worker.runtime.shutdown import ReturnUnstarted, Shutdown
from clipzy_worker.runtime.watchdog import EXIT_NOT_CONSUMING, Intake, Watchdog
from clipzy_worker.runtime.webhooks import dispatcher_of
from clipzy_worker.sandbox import readiness

log = structlog.stdlib.get_logger("clipzy.worker")


def run(config: Settings) -> int:
    """Join the deployment, work, leave. Raises ``ConfigurationError``, also if the guard refuses this worker later."""
    name = new_member_name()
    logs.configure(config, worker=name)
    logs.log_prints()
    shutdown = Shutdown(config.drain)
    shutdown.exit_on_sigterm()  # until Celery runs
    scratch.check(config.work_dir)
    readiness.check(config)
    if os.geteuid() == 0:
        log.warning("worker.runs_as_root")
    with LivenessFile(config.data_dir) as liveness:
        watchdog = Watchdog(liveness, lease_seconds=config.job_lease_seconds)
        watchdog.start()
        try:
            return _join_and_work(config, shutdown, watchdog, name=name)
        finally:
            watchdog.stop()


def _join_and_work(config: Settings, shutdown: Shutdown, watchdog: Watchdog, *, name: str) -> int:
    refusals: list[str] = []

    def on_refused(message: str) -> None:
        refusals.append(message)
        shutdown.request_stop(status=ConfigurationError.EXIT_STATUS, immediately=True)

    redis = RedisDatabase(config.redis_url)
    registration = startup.join_deployment(config, redis, role="worker", name=name, on_refused=on_refused, wait=True)
    metrics = WorkerMetrics(redis)
    app, ctx = create_app(
        config,
        redis,
        registration.storage,
        storage_id=registration.heartbeats.joined().storage_id,
        name=name,
        flush_metrics=metrics.flush,
    )
    scratch.sweep(config.work_dir)
    queues = NotificationQueues(broker_of(config, redis), storage_id=ctx.storage_id)
    threads: list[PeriodicThread] = [Reaper(ctx, queues=queues), Janitor(ctx, UploadLocks(redis))]
    if config.webhook_secrets:
        threads.append(dispatcher_of(ctx, redis))
    taken = [Queue(name) for name in config.worker_queues]
    intake = Intake(slots=config.max_concurrent_jobs, queues=queues, taken=taken)

    def on_ready(**_: Any) -> None:
        for thread in threads:  # not earlier: the pool is forked while few threads run that could hold a lock
            thread.start()
        metrics.start()
        watchdog.watch(
            intake.is_stalled, give_up=lambda: shutdown.request_stop(status=EXIT_NOT_CONSUMING, immediately=True)
        )
        log.info(WORKER_READY)

    signals.worker_ready.connect(on_ready, weak=False)
    try:
        _work(app, shutdown, name=name, queues=taken, log_level=config.log_level)
    finally:
        for thread in threads:
            thread.stop()
        metrics.stop()
        registration.heartbeats.stop()
        if refusals:
            raise ConfigurationError(refusals)
    return shutdown.status


def _work(app: Celery, shutdown: Shutdown, *, name: str, queues: Sequence[Queue], log_level: str) -> None:
    celery_worker: Any = app.Worker

    class Worker(celery_worker):  # type: ignore[misc] # celery is not typed here
        def install_platform_tweaks(self, worker: Any) -> None:
            """Called before its components start, so signals are handled whatever those wait for."""
            super().install_platform_tweaks(worker)
            shutdown.stop_on_signals(worker)

    app.steps["worker"].add(ReturnUnstarted)
    worker = Worker(
        hostname=f"clipzy@{name}",
        pool_cls="prefork",
        consumer_cls=BatchingConsumer,
        queues=[queue.value for queue in queues],
        loglevel=log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
