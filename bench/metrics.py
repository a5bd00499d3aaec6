"""`GET /metrics` with 100,000 finished jobs."""

import statistics
import time
from pathlib import Path

import requests

from bench.protocol import alone
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.redis_client import RedisDatabase
from tests.support.many_jobs import finished_jobs
from tests.support.servers import running_front_end

MAX_MILLISECONDS = 50.0
JOBS, OWNERS, REQUESTS = 100_000, 100, 50


def measure(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aim was reached."""
    alone(redis_url, LocalStorage(directory / "storage", shared=False))
    with running_front_end(directory, redis_url, storage_path=directory / "storage") as front_end:
        admin = JobAdmin(RedisDatabase(redis_url))
        storage_id = front_end.storage.prepare()
        for number, job in enumerate(finished_jobs(JOBS, storage_id=storage_id)):
            admin.restore(job.model_copy(update={"owner": f"owner-{number % OWNERS}"}))
        times = []
        with requests.Session() as session:
            for _ in range(REQUESTS):
                begun_at = time.perf_counter()
                answer = session.get(f"{front_end.url}/metrics", timeout=30)
                times.append(1000 * (time.perf_counter() - begun_at))
                assert f'clipzy_jobs{{state="completed"}} {float(JOBS)}' in answer.text
    median, longest = statistics.median(times), max(times)
    print(f"\n/metrics with {JOBS} finished jobs of {OWNERS} owners: {median:.1f} ms, at most {longest:.1f} ms")
    print(f"  (aim: under {MAX_MILLISECONDS:g} ms)")
    return median < MAX_MILLISECONDS
