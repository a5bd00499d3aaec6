"""100,000 finished jobs: what is read and kept stays small. ``-s`` prints the figures of docs/performance.md."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.jobs import day_index
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.lookup import JobLookup
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.consistency_check import StorageCheck, compare_with_redis
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.models.records import EVERYONE, Status
from tests.support.counted_storage import CountedStorage
from tests.support.many_jobs import write_finished_jobs

JOBS = 100_000
MAX_BYTES_PER_JOB = 2000

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began_at = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began_at:.2f} s")  # noqa: T201 - read with -s


def _used_bytes(redis_client: Any) -> int:
    return int(redis_client.info("memory")["used_memory"])


def test_what_100_000_finished_jobs_cost(tmp_path: Path, store: JobStore, admin: JobAdmin, redis_client: Any) -> None:
    # Given so many jobs in storage, and an empty Redis
    real = LocalStorage(tmp_path / "storage", shared=False, free_reserve_bytes=0)
    counted = CountedStorage(real)
    jobs = write_finished_jobs(tmp_path / "storage", JOBS, storage_id=real.prepare())
    day_index.set_complete(real)
    empty_bytes = _used_bytes(redis_client)

    # When it is rebuilt, then each record is read once
    recovery = Recovery(store, admin, counted.storage)
    with _timed("rebuild of an emptied Redis"):
        assert len(recovery.rebuild().finished) == JOBS
    assert len(counted.read()) == JOBS
    bytes_per_job = (_used_bytes(redis_client) - empty_bytes) / JOBS
    print(f"Redis: {bytes_per_job:.0f} bytes per finished job")  # noqa: T201
    assert bytes_per_job < MAX_BYTES_PER_JOB

    # And a restart that lost nothing reads none
    counted.calls.clear()
    with _timed("comparison after a restart that lost nothing"):
        assert str(recovery.rebuild()) == "all in step"
    assert counted.read() == []

    # And pages and look-ups read nothing
    counted.calls.clear()
    for name, number in (("first", 1), ("last", JOBS // 100)):
        with _timed(f"the {name} page of 100 jobs"):
            page, total, _ = store.listing.page(owner=EVERYONE, status=Status.COMPLETED, number=number, page_size=100)
        assert (len(page), total) == (100, JOBS)
    lookup = JobLookup(store, admin, counted.storage)
    with _timed("1,000 look-ups"):
        found = [lookup.find(job.job_id, owner=EVERYONE) for job in jobs[::100]]
    assert [job.config for job in found] == [job.config for job in jobs[::100]]
    assert counted.calls == []

    # And the hourly pass lists the days on which results may have expired, and reads nothing of those that have not
    collector = GarbageCollector(counted.storage, admin, settings_from_env({"RESULT_TTL_HOURS": "1"}))
    with _timed("first hourly pass, over all days"):
        assert collector.sweep_recent() == {}
    with _timed("hourly pass"):
        assert collector.sweep_recent() == {}
    assert counted.read() == []

    # And the passes over everything come to an end
    with _timed("weekly pass over everything"):
        assert collector.sweep() == {}
    with _timed("storage check"):
        check = StorageCheck(counted.storage)
        assert list(check.findings()) == []
        assert list(compare_with_redis(counted.storage, admin)) == []
    assert check.jobs == JOBS
