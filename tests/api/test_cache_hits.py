"""Completing a job with a cached result in the request that submits it.

In one process, so that faults happen at a certain step.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from clipzy_api.cache_hits import TIMEOUT_SECONDS, CachedResults
from clipzy_api.concurrency_limits import CACHE_HITS
from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, StorageBackend
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import QueueUnavailable, StorageUnavailable
from clipzy_storage.jobs import day_index
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import PendingCompletion
from clipzy_storage.models.records import Job, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.storage.backends import Backend
from tests.support.finished_jobs import ARTIFACTS, accepted, completed, files_of, result_of
from tests.support.jobs import current, noting
from tests.support.s3_servers import S3Server
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

Notified = list[str]


@pytest.fixture
def store(own_redis: RedisServer) -> JobStore:
    return JobStore(RedisDatabase(own_redis.url), lease_seconds=60)


@pytest.fixture
def notified() -> Notified:
    """Ids of the jobs of which workers were notified."""
    return []


@pytest.fixture
def cached_results(store: JobStore, storage: LocalStorage, notified: Notified) -> CachedResults:
    return CachedResults(store=store, storage=storage, notify_workers=noting(notified))


def now(store: JobStore, job: Job) -> Job:
    return current(store, job.job_id)


@pytest.mark.parametrize("server", [pytest.param("moto_server", marks=pytest.mark.long), "rclone_server"])
def test_a_bucket_copies_within_itself(
    store: JobStore, notified: Notified, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    # Given a result in a bucket, with a file that was uploaded in parts
    s3: S3Server = request.getfixturevalue(server)
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    storage = Backend(kind="s3", location=s3.new_bucket(), env=s3.env).open()
    storage.prepare()
    pictures = ARTIFACTS | {"sprites.jpg": os.urandom(6 << 20)}
    first = completed(store, storage, pictures=pictures)
    # When the same is asked for
    job = accepted(store, storage)
    patient = CachedResults(store=store, storage=storage, notify_workers=noting(notified), timeout_seconds=60)
    ended = patient.try_complete(job)
    # Then it is there, whole, and stays when the first is gone
    assert ended
    assert ended.status is Status.COMPLETED
    for key in files_of(storage, first.job_id):
        storage.delete(key)
    assert len(result_of(storage, job.job_id)["artifacts"]) == len(pictures)
    assert storage.count_incomplete() == 0


class Interfering:
    """A storage in which something happens when the first file is copied."""

    def __init__(self, storage: StorageBackend, event: Callable[[], object]) -> None:
        self._storage, self._event, self._lock = storage, event, threading.Lock()
        self._has_happened = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def copy(self, key: str, to: str, *, sha256: str) -> BlobInfo:
        with self._lock:
            if not self._has_happened:
                self._has_happened = True
                self._event()
        return self._storage.copy(key, to, sha256=sha256)


def interfered(
    store: JobStore,
    storage: LocalStorage,
    notified: Notified,
    event: Callable[[Job], object],
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> tuple[Job, Job | None]:
    """A job that could have a cached result, and what is answered if ``event`` happens during the copy."""
    completed(store, storage)
    job = accepted(store, storage)
    interfering: Any = Interfering(storage, lambda: event(job))
    cached_results = CachedResults(
        store=store, storage=interfering, notify_workers=noting(notified), timeout_seconds=timeout_seconds
    )
    return job, cached_results.try_complete(job)


def test_a_slow_storage_keeps_nobody_waiting(store: JobStore, storage: LocalStorage, notified: Notified) -> None:
    # Given a storage that takes longer over a copy than a client waits
    goes_on = threading.Event()
    began = time.monotonic()
    # When the same is asked for
    job, ended = interfered(store, storage, notified, lambda _: goes_on.wait(20), timeout_seconds=0.3)
    # Then the caller is told in time that the job is not ended
    assert ended is None
    assert time.monotonic() - began < 3
    # And once the storage goes on, the job is given back for the workers, who are told of it, and nothing is left of it
    goes_on.set()
    assert eventually(lambda: now(store, job).status is Status.QUEUED)
    assert eventually(lambda: notified == [job.job_id])
    assert eventually(lambda: files_of(storage, job.job_id) == [keys.open_job(job.job_id)])


def test_a_job_that_is_cancelled_meanwhile_ends_as_cancelled(
    store: JobStore, storage: LocalStorage, notified: Notified
) -> None:
    job, ended = interfered(store, storage, notified, lambda job: store.request_cancellation(job.job_id, nonce="c"))
    assert ended
    assert ended.status is now(store, job).status is Status.CANCELLED
    assert files_of(storage, job.job_id) == [day_index.entry_of(ended), keys.done_job(job.job_id)]


def test_a_job_that_was_taken_away_is_anothers(store: JobStore, storage: LocalStorage, notified: Notified) -> None:
    """Without the token at the commit, a front end that was frozen would end a job that another works on."""

    # Given a front end that is frozen for so long that the job is given to another
    def take_away(job: Job) -> None:
        store.reap(list(store.leases()), nonce="r")
        assert store.claim(job.job_id, nonce="w", storage_id=job.storage_id)

    job, ended = interfered(store, storage, notified, take_away)
    # Then it leaves the job alone
    assert ended is None
    assert (now(store, job).status, now(store, job).attempt) == (Status.PROCESSING, 2)
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]


def test_trouble_with_storage_leaves_the_job_to_the_workers(
    store: JobStore, storage: LocalStorage, notified: Notified
) -> None:
    def fail(_: Job) -> None:
        raise StorageUnavailable("no copies today")

    job, ended = interfered(store, storage, notified, fail)
    assert ended is None
    assert now(store, job).status is Status.QUEUED
    assert notified == [job.job_id]
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]


class LosesOneAnswer(JobStore):
    """A job store that does not hear the first answer to a commit."""

    has_lost_one = False

    def commit(self, *args: Any, **more: Any) -> PendingCompletion:
        pending = super().commit(*args, **more)
        if not self.has_lost_one:
            self.has_lost_one = True
            raise QueueUnavailable("the answer was lost", certain=False)
        return pending


def test_a_commit_whose_answer_was_lost_is_repeated(
    store: JobStore, storage: LocalStorage, notified: Notified, own_redis: RedisServer
) -> None:
    # Given a Redis whose answer to the commit is lost
    completed(store, storage)
    job = accepted(store, storage)
    deaf = LosesOneAnswer(RedisDatabase(own_redis.url), lease_seconds=60)
    # When the same is asked for, then the job is completed all the same
    ended = CachedResults(store=deaf, storage=storage, notify_workers=noting(notified)).try_complete(job)
    assert deaf.has_lost_one
    assert ended
    assert ended.status is Status.COMPLETED
    result_of(storage, job.job_id)


def test_a_job_that_a_worker_has_taken_is_left_to_it(
    store: JobStore, storage: LocalStorage, cached_results: CachedResults
) -> None:
    completed(store, storage)
    job = accepted(store, storage)
    assert store.claim(job.job_id, nonce="w", storage_id=job.storage_id)
    assert cached_results.try_complete(job) is None
    assert now(store, job).status is Status.PROCESSING


def test_a_result_of_very_many_files_is_left_to_a_worker(
    store: JobStore, storage: LocalStorage, notified: Notified
) -> None:
    completed(store, storage)
    job = accepted(store, storage)
    narrow = CachedResults(
        store=store, storage=storage, notify_workers=noting(notified), max_artifacts=len(ARTIFACTS) - 1
    )
    assert narrow.try_complete(job) is None
    assert (now(store, job).status, now(store, job).attempt) == (Status.QUEUED, 0)


def test_concurrent_cache_hits_are_limited(
    store: JobStore, storage: LocalStorage, cached_results: CachedResults
) -> None:
    completed(store, storage)
    for _ in range(CACHE_HITS):
        assert cached_results.limit.acquire()
    job = accepted(store, storage)
    assert cached_results.try_complete(job) is None
    cached_results.limit.release()
    assert cached_results.try_complete(job)
    assert eventually(cached_results.limit.acquire)


def test_if_redis_is_unavailable_nothing_is_lost(storage: LocalStorage, notified: Notified, store: JobStore) -> None:
    completed(store, storage)
    job = accepted(store, storage)
    away = JobStore(RedisDatabase("redis://127.0.0.1:1/0"), lease_seconds=60)
    assert CachedResults(store=away, storage=storage, notify_workers=noting(notified)).try_complete(job) is None
    assert now(store, job).status is Status.QUEUED


def test_a_forgotten_record_is_no_reason_to_fail(
    store: JobStore, storage: LocalStorage, cached_results: CachedResults, own_redis: RedisServer
) -> None:
    """Redis is set back to before the job, right after it was submitted."""
    first = completed(store, storage)
    job = accepted(store, storage)
    own_redis.forget_everything()
    JobAdmin(RedisDatabase(own_redis.url)).restore(first)
    assert cached_results.try_complete(job) is None
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]
