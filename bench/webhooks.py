"""How many ends of jobs one worker announces in a minute, also beside a receiver that never answers."""

import threading
import time
from pathlib import Path

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.redis_client import RedisDatabase
from tests.support import finished_jobs
from tests.support.deployment import Deployment
from tests.support.waiting import eventually
from tests.support.webhook_receiver import SECRET, Receiver, running_receiver, silence

MIN_PER_MINUTE = 1000
ENDS, HANGING = 1000, 100
SETTINGS = {"WEBHOOK_SECRETS": SECRET, "ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8"}


def measure(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aim was reached."""
    over = threading.Event()
    RedisDatabase(redis_url).client.flushdb()
    with (
        running_receiver("127.0.0.1") as receiver,
        running_receiver("127.0.0.2") as hanging,
        Deployment(directory, redis_url=redis_url, **SETTINGS) as deployment,
    ):
        hanging.otherwise = silence(over)
        _end_jobs(deployment, receiver, ENDS)
        alone = _per_minute(deployment, receiver, ENDS)
        _end_jobs(deployment, hanging, HANGING)
        _end_jobs(deployment, receiver, ENDS)
        beside = _per_minute(deployment, receiver, 2 * ENDS)
        over.set()
    print(f"\nOne worker announces {alone:.0f} ends of jobs in a minute (aim: at least {MIN_PER_MINUTE})")
    print(f"  and {beside:.0f} beside {HANGING} for a receiver that does not answer")
    return min(alone, beside) >= MIN_PER_MINUTE


def _end_jobs(deployment: Deployment, receiver: Receiver, count: int) -> None:
    """As workers leave them that announce nothing."""
    storage = LocalStorage(deployment.storage, shared=False)
    store = JobStore(RedisDatabase(deployment.settings["REDIS_URL"]), lease_seconds=60)
    for _ in range(count):
        finished_jobs.completed(store, storage, pictures={}, webhook_url=receiver.url())


def _per_minute(deployment: Deployment, receiver: Receiver, total: int) -> float:
    """The rate at which a new worker sends what is due, until the receiver has so many in all."""
    before = len(receiver.received)
    worker = deployment.worker()
    began_at = time.monotonic()
    eventually(lambda: len(receiver.received) >= total, f"{total} events", seconds=300)
    seconds = time.monotonic() - began_at
    worker.stop()
    return 60 * (total - before) / seconds
