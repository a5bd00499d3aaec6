"""`clipzy flower`: Flower, to watch workers and jobs by. It asks for a password and changes nothing."""

import argparse
import logging
import os
import signal
import sys
from typing import Any

from celery import Celery
from kombu import Queue

from clipzy_storage import celery_config
from clipzy_storage.config import logs
from clipzy_storage.config.environment import load_dotenv, settings_from_env
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError

# Flower's own name for it. Its other variables are not read: for a service that is called "flower" orchestrators set
# FLOWER_PORT to what is no port, and nothing may switch reading only off.
LOGIN = "FLOWER_BASIC_AUTH"

TASKS_IN_MEMORY = 10_000
FORGET_WORKERS_SECONDS = 24 * 3600  # each start of a worker has a name of its own, so the list would only grow

log = logging.getLogger("clipzy.flower")


def main() -> int:
    """Run Flower until it is told to stop; returns the exit status."""
    parser = argparse.ArgumentParser(prog="clipzy flower")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    where = parser.parse_args()
    try:
        load_dotenv()
        return run(settings_from_env(), where.host, where.port, logins=logins(os.environ.get(LOGIN, "")))
    except ConfigurationError as error:
        for problem in error.problems:
            sys.stderr.write(f"clipzy: {problem}\n")
        return ConfigurationError.EXIT_STATUS


def logins(text: str) -> list[str]:
    """The pairs of user and password that ``text`` gives.

    Raises:
        ConfigurationError: there is none, or one that Flower could never match. What was given is not repeated.
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
    """Serve on ``host`` and ``port``. Whether Redis answers is of no importance: Flower looks for it again and again.

    Raises:
        ConfigurationError: Flower is not installed.
    """
    logs.configure(config)
    try:
        from flower.app import Flower
        from flower.options import options
        from flower.urls import settings as web_settings
    except ImportError as error:
        raise ConfigurationError(["Flower is not installed. Install it with: pip install 'clipzy[flower]'"]) from error
    for name, value in _options(host, port, logins).items():
        setattr(options, name, value)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)  # it would be a line for each look at the page
    flower = Flower(capp=_celery(config), options=options, **web_settings)
    try:
        port = flower.start_http_server()
    except OSError as error:
        log.error("flower.cannot_listen: %s port %d: %s", host, port, error.strerror)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        # It has nothing to write down, and its threads may be waiting for a Redis that is away.
        signal.signal(number, lambda *_: os._exit(0))
    log.info("flower.ready: http://%s:%d", host, port)
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
        "tasks_columns": "name,args,state,received,started,runtime,worker,exception,uuid",  # args hold the job's id
    }


def _celery(config: Settings) -> Celery:
    """The broker as front end and workers see it."""
    app = Celery("clipzy", set_as_current=False)
    app.conf.update(celery_config.celery_settings(config), task_queues=[Queue(celery_config.QUEUE)])
    return app


if __name__ == "__main__":
    sys.exit(main())
