"""The Celery worker that Clipzy is compared with: default settings and two small tasks."""

import sys
import time
from pathlib import Path

import redis
from celery import Celery

from tests.support.processes import Process, environment


def start_bare_celery(directory: Path, redis_url: str, *, slots: int = 1) -> Process:
    """Start this worker, with its log in ``directory``."""
    command = [sys.executable, "-m", __name__, redis_url, str(slots)]
    root = Path(__file__).parents[1]
    return Process(command, cwd=root, env=environment(), log=directory / "bare-celery.log")


def main(redis_url: str, slots: int = 1) -> None:
    app = Celery("bare", broker=redis_url)
    app.conf.update(task_ignore_result=True, broker_transport_options={"global_keyprefix": "bare:mq:"})
    client = redis.Redis.from_url(redis_url)

    @app.task(name="bare.note_the_time")
    def note_the_time() -> None:
        client.rpush("bare:started", repr(time.time()))

    @app.task(name="bare.do_nothing")
    def do_nothing(is_first_or_last: bool) -> None:
        if is_first_or_last:
            client.rpush("bare:moments", repr(time.time()))

    app.Worker(concurrency=slots, pool_cls="prefork", loglevel="ERROR", quiet=True).start()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
