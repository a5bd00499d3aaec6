"""`clipzy flower`: runs Flower to monitor workers and jobs, with a password and read-only."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from typing import Any

import kombu
import structlog
from celery import Celery

from clipzy_storage import celery_config, redis_check
from clipzy_storage.config import logs
from clipzy_storage.config.complaints import complain
from clipzy_storage.config.environment import load_dotenv, settings_from_env
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError, QueueUnavailable
from clipzy_storage.guard import members
from clipzy_storage.installation import install_command
from clipzy_storage.models.records import Queue
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.standard_streams import drop_unwritable_output, stop_signals

# Flower's name for it. Its other variables are ignored: for a service named "flower" orchestrators set FLOWER_PORT to
# something else than a port number, and no variable may turn read-only off.
LOGIN = "FLOWER_BASIC_AUTH"

TASKS_IN_MEMORY = 10_000
# Every start of a worker has another name, so the list would only grow.
FORGET_WORKERS_SECONDS = 24 * 3600

POLL_SECONDS = 2.0
UNKNOWN = "unknown"
"""Stands for the storage of a deployment that is not known yet."""

log = structlog.stdlib.get_logger("clipzy.flower")


def main() -> int:
    """Run Flower until it is signalled to stop; returns the exit status."""
    drop_unwritable_output()
    parser = argparse.ArgumentParser(prog="clipzy flower")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    address = parser.parse_args()
    try:
        load_dotenv()
        return run(settings_from_env(), address.host, address.port, logins=logins(os.environ.get(LOGIN, "")))
    except ConfigurationError as error:
        for problem in error.problems:
            complain(problem)
        return ConfigurationError.EXIT_STATUS


def logins(text: str) -> list[str]:
    """The pairs of user and password in ``text``.

    Raises:
        ConfigurationError: there is none, or one that Flower could never match. The text does not repeat it.
    """
    if not text.strip():
        raise ConfigurationError(
            [f"{LOGIN} is missing, and Flower does not start without a password. Set it to user:password."]
        )
    pairs = [pair.strip() for pair in text.split(",")]
    for pair in pairs:
        user, _, password = pair.partition(":")
        if not (user and password and pair.isascii() and pair.isprintable()):
            raise ConfigurationError(
                [f"{LOGIN} is wrong. Set it to user:password in plain ASCII; several are separated by commas."]
            )
    return pairs


def run(config: Settings, host: str, port: int, *, logins: list[str]) -> int:
    """Serve on ``host`` and ``port``. Redis may be unavailable: Flower keeps reconnecting.

    Raises:
        ConfigurationError: Flower is not installed, or the broker refuses this login.
    """
    logs.configure(config)
    logs.log_prints()
    try:
        from flower.app import Flower
        from flower.options import options
        from flower.urls import settings as web_settings
    except ImportError as error:
        problem = f"Flower is not installed. Install it with: {install_command('flower')}"
        raise ConfigurationError([problem]) from error
    try:
        redis_check.check_broker(config)
    except QueueUnavailable as error:
        log.warning("flower.redis_unavailable", reason=str(error))
    redis = RedisDatabase(config.redis_url)
    storage_id = _pinned_storage_id(redis)
    for name, value in _options(host, port, logins).items():
        setattr(options, name, value)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)  # it logs every request
    flower = Flower(capp=_celery(config, storage_id or UNKNOWN), options=options, **web_settings)
    try:
        port = flower.start_http_server()
    except OSError as error:
        log.error("flower.cannot_listen", host=host, port=port, reason=error.strerror)
        return 1
    for number in stop_signals():
        # It has nothing to save, and its threads may be waiting for Redis.
        signal.signal(number, lambda *_: os._exit(0))
    log.info("flower.ready", url=f"http://{host}:{port}")
    threading.Thread(target=_restart_on_another_storage, args=[redis, storage_id], daemon=True).start()
    flower.start()
    return 0


def _options(host: str, port: int, logins: list[str]) -> dict[str, Any]:
    return {
        "address": host,
        "port": port,
        "basic_auth": logins,
        "read_only": True,
        "max_tasks": TASKS_IN_MEMORY,
        "purge_offline_workers": FORGET_WORKERS_SECONDS,
        "tasks_columns": "name,args,state,received,started,runtime,worker,exception,uuid",  # args hold the job id
    }


def _pinned_storage_id(redis: RedisDatabase) -> str | None:
    """The identity of the deployment; None if it is unknown: Redis is unavailable, or nothing has joined yet."""
    try:
        return members.pinned_storage_id(redis)
    except QueueUnavailable:
        return None


def _restart_on_another_storage(redis: RedisDatabase, storage_id: str | None) -> None:
    """Replace this process once the deployment is known, or has another storage: then its broker has other keys."""
    while (found := _pinned_storage_id(redis)) in (None, storage_id):
        time.sleep(POLL_SECONDS)
    log.info("flower.restarting", storage_id=found)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clipzy_worker.flower", *sys.argv[1:]])


def _celery(config: Settings, storage_id: str) -> Celery:
    """The broker as front end and workers see it."""
    app = Celery("clipzy", set_as_current=False)
    app.conf.update(
        celery_config.celery_settings(config, storage_id=storage_id),
        task_queues=[kombu.Queue(queue.value) for queue in Queue],
    )
    return app


if __name__ == "__main__":
    sys.exit(main())
