"""Jobs a second through the whole protocol with a pipeline that does nothing, against a bare Celery task."""

import hashlib
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from celery import Celery

from bench.bare_celery import start_bare_celery
from clipzy_api.task_queue import TaskQueue
from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.guard import members
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import EVERYONE, Job, Queue, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support.deployment import Deployment
from tests.support.waiting import eventually

JOBS = 500
REPETITIONS = 3
SLOTS = 2  # pool processes of each worker, one for each core of a small machine
AIM = 0.4
MOMENTS = "bare:moments"
NOOP_WORKER = (sys.executable, str(Path(__file__).with_name("noop_worker.py")))


class NoopDeployment(Deployment):
    command = NOOP_WORKER


def compare(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aim was reached in memory."""
    directory.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="clipzy-bench-", dir="/dev/shm") as memory:
        runs = [
            (
                _bare_per_second(directory, redis_url),
                _clipzy_per_second(Path(memory) / str(number), redis_url=redis_url),
                _clipzy_per_second(directory / str(number), redis_url=redis_url),
            )
            for number in range(REPETITIONS)
        ]
    bare, in_memory, on_disk = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"\n{JOBS} jobs that do nothing, {SLOTS} at a time, median of {REPETITIONS}:")
    print(f"  bare Celery task                        {bare:6.0f} a second")
    print(f"  Clipzy, records and results in memory   {in_memory:6.0f} a second, {1000 / in_memory:.1f} ms each")
    print(f"  Clipzy, on this disk, with its fsyncs   {on_disk:6.0f} a second, {1000 / on_disk:.1f} ms each")
    print(f"  ratio in memory {in_memory / bare:.2f} (aim: {AIM}), on disk {on_disk / bare:.2f}")
    return bool(in_memory / bare >= AIM)


def _clipzy_per_second(directory: Path, *, redis_url: str) -> float:
    """All jobs wait before the worker starts; from the first claim to the last completion, by the clock of Redis."""
    storage = LocalStorage(directory / "storage", shared=False)
    store = JobStore(RedisDatabase(redis_url), lease_seconds=60)
    storage_id = alone(redis_url, storage)
    queue = TaskQueue(settings_from_env({"REDIS_URL": redis_url}), storage_id=lambda: storage_id)
    source = put_bytes(storage, keys.upload(keys.new_id("vid"), "mp4"), b"x", content_type="video/mp4")
    made = []
    for _ in range(JOBS):
        job = _new_job(source.key, storage_id)
        durable_records.write_open_job(storage, job)
        made.append(store.submit(job).first_id)
    for job_id in made:
        queue.notify_workers(job_id, Queue.INTERACTIVE)
    with NoopDeployment(directory, redis_url=redis_url, MAX_CONCURRENT_JOBS=str(SLOTS)) as deployment:
        deployment.run("worker")
        eventually(lambda: _completed(store) == JOBS, "all jobs", seconds=120)
        finished = [store.look_up(job_id, owner=EVERYONE)[0] for job_id in made]
    first = min(job.started_at for job in finished if job.started_at)
    last = max(job.finished_at for job in finished if job.finished_at)
    return float(JOBS / (last - first).total_seconds())


def _bare_per_second(directory: Path, redis_url: str) -> float:
    app: Any = Celery("bare", broker=redis_url, set_as_current=False)
    app.conf.update(task_ignore_result=True, broker_transport_options={"global_keyprefix": "bare:mq:"})
    for number in range(JOBS):
        app.send_task("bare.do_nothing", args=[number in (0, JOBS - 1)])
    with redis.Redis.from_url(redis_url) as client:
        worker = start_bare_celery(directory, redis_url, slots=SLOTS)
        try:
            eventually(lambda: client.llen(MOMENTS) == 2, "all bare tasks", seconds=120)
            first, last = (float(moment) for moment in client.lrange(MOMENTS, 0, -1))
            client.delete(MOMENTS)
        finally:
            worker.stop()
    return JOBS / (last - first)


def alone(redis_url: str, storage: LocalStorage) -> str:
    """Begin with an empty Redis as a running deployment has it: no member to wait for, and reconciled with storage."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    database = RedisDatabase(redis_url)
    members.open_fresh(database)
    admin = JobAdmin(database)
    admin.set_reconciled(admin.run_id())
    return storage.prepare()


def _completed(store: JobStore) -> int:
    return store.listing.page(owner=EVERYONE, status=Status.COMPLETED, number=1, page_size=1)[1]


def _new_job(source_key: str, storage_id: str) -> Job:
    return Job(
        job_id=keys.new_id("job"),
        video_id=source_key.split("/")[1],
        filename="nothing.mp4",
        source_key=source_key,
        source_size_bytes=1,
        source_sha256=hashlib.sha256(b"x").hexdigest(),
        source_container="mp4",
        storage_id=storage_id,
        config={"reuse": False},
        created_at=datetime.now(UTC),
    )
