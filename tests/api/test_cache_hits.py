"""Giving a job an earlier result in the request that makes it.

In one process, so that what goes wrong goes wrong at a certain step.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from clipzy_api import cache_hits
from clipzy_api.cache_hits import CachedResults
from clipzy_api.concurrency_limits import CACHE_HITS
from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, Storage
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import QueueUnavailable, StorageUnavailable
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import EVERYONE, Job, Status
from clipzy_storage.redis_client import RedisDatabase
from tests.storage.backends import Backend
from tests.support.finished_jobs import ARTIFACTS, accepted, completed, files_of, result_of
from tests.support.s3_servers import S3Server
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


class Hints:
    """Keeps what would be sent to the broker, so that it is seen before any worker takes it."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def publish(self, job_id: str) -> None:
        self.sent.append(job_id)


@pytest.fixture
def jobs(own_redis: RedisServer) -> JobStore:
    return JobStore(RedisDatabase(own_redis.url), lease_seconds=60)


@pytest.fixture
def hints() -> Hints:
    return Hints()


@pytest.fixture
def answering(jobs: JobStore, storage: LocalStorage, hints: Hints) -> CachedResults:
    return CachedResults(jobs, storage, hints)  # type: ignore[arg-type]


def now(jobs: JobStore, job: Job) -> Job:
    return jobs.get(job.job_id, owner=EVERYONE)


@pytest.mark.parametrize("server", [pytest.param("moto_server", marks=pytest.mark.long), "rclone_server"])
def test_a_bucket_copies_within_itself(
    jobs: JobStore, hints: Hints, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setattr(cache_hits, "PATIENCE_SECONDS", 60)  # what it takes is the test server's affair
    # Given a result in a bucket, with a file that was uploaded in parts
    s3: S3Server = request.getfixturevalue(server)
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    storage = Backend(kind="s3", place=s3.new_bucket(), env=s3.env).open()
    storage.prepare()
    pictures = ARTIFACTS | {"sprites.jpg": os.urandom(6 << 20)}
    first = completed(jobs, storage, pictures=pictures)
    # When the same is asked for
    job = accepted(jobs, storage)
    ended = CachedResults(jobs, storage, hints).end(job)  # type: ignore[arg-type]
    # Then it is there at once, whole, and stays when the first is gone
    assert ended
    assert ended.status is Status.COMPLETED
    for key in files_of(storage, first.job_id):
        storage.delete(key)
    assert len(result_of(storage, job.job_id)["artifacts"]) == len(pictures)
    assert storage.unfinished() == 0


class Interfering:
    """A storage in which something happens when the first file is copied."""

    def __init__(self, storage: Storage, event: Callable[[], object]) -> None:
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
    jobs: JobStore, storage: LocalStorage, hints: Hints, event: Callable[[Job], object]
) -> tuple[Job, Job | None]:
    """A job that could have an earlier result, and what is answered where ``event`` happens over it."""
    completed(jobs, storage)
    job = accepted(jobs, storage)
    interfering: Any = Interfering(storage, lambda: event(job))
    return job, CachedResults(jobs, interfering, hints).end(job)  # type: ignore[arg-type]


def test_a_slow_storage_keeps_nobody_waiting(
    jobs: JobStore, storage: LocalStorage, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a storage that takes longer over a copy than a caller waits
    monkeypatch.setattr(cache_hits, "PATIENCE_SECONDS", 0.3)
    goes_on = threading.Event()
    began = time.monotonic()
    # When the same is asked for
    job, ended = interfered(jobs, storage, hints, lambda _: goes_on.wait(20))
    # Then the caller is told in time that the job is not ended
    assert ended is None
    assert time.monotonic() - began < 3
    # And once the storage goes on, the job is given back for the workers, who are told of it, and nothing is left of it
    goes_on.set()
    assert eventually(lambda: now(jobs, job).status is Status.QUEUED)
    assert eventually(lambda: hints.sent == [job.job_id])
    assert eventually(lambda: files_of(storage, job.job_id) == [keys.open_job(job.job_id)])


def test_a_job_that_is_cancelled_meanwhile_ends_as_cancelled(
    jobs: JobStore, storage: LocalStorage, hints: Hints
) -> None:
    job, ended = interfered(jobs, storage, hints, lambda job: jobs.request_cancel(job.job_id, nonce="c"))
    assert ended
    assert ended.status is now(jobs, job).status is Status.CANCELLED
    assert files_of(storage, job.job_id) == [keys.done_job(job.job_id)]


def test_a_job_that_was_taken_away_is_anothers(jobs: JobStore, storage: LocalStorage, hints: Hints) -> None:
    """Without the token at the commit, a front end that was frozen would end a job that another works on."""

    # Given a front end that is frozen for so long that the job is given to another
    def take_away(job: Job) -> None:
        jobs.reap(list(jobs.leases()), nonce="r")
        assert jobs.claim(job.job_id, nonce="w", storage_id=job.storage_id)

    job, ended = interfered(jobs, storage, hints, take_away)
    # Then it leaves the job alone
    assert ended is None
    assert (now(jobs, job).status, now(jobs, job).attempt) == (Status.PROCESSING, 2)
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]


def test_trouble_with_storage_leaves_the_job_to_the_workers(
    jobs: JobStore, storage: LocalStorage, hints: Hints
) -> None:
    def fail(_: Job) -> None:
        raise StorageUnavailable("no copies today")

    job, ended = interfered(jobs, storage, hints, fail)
    assert ended is None
    assert now(jobs, job).status is Status.QUEUED
    assert hints.sent == [job.job_id]
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]


def test_a_commit_whose_answer_was_lost_is_asked_again(
    jobs: JobStore, storage: LocalStorage, answering: CachedResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a Redis whose answer to the commit is lost
    commit = jobs.commit
    lost: list[Any] = []

    def lose_once(*args: Any, **more: Any) -> Any:
        answer = commit(*args, **more)
        if not lost:
            lost.append(answer)
            raise QueueUnavailable("away", certain=False)
        return answer

    completed(jobs, storage)
    job = accepted(jobs, storage)
    monkeypatch.setattr(jobs, "commit", lose_once)
    # Then the job is ended all the same
    ended = answering.end(job)
    assert ended
    assert ended.status is Status.COMPLETED
    result_of(storage, job.job_id)


def test_a_job_that_a_worker_has_taken_is_left_to_it(
    jobs: JobStore, storage: LocalStorage, answering: CachedResults
) -> None:
    completed(jobs, storage)
    job = accepted(jobs, storage)
    assert jobs.claim(job.job_id, nonce="w", storage_id=job.storage_id)
    assert answering.end(job) is None
    assert now(jobs, job).status is Status.PROCESSING


def test_a_result_of_very_many_files_is_left_to_a_worker(
    jobs: JobStore, storage: LocalStorage, answering: CachedResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_hits, "MOST_ARTIFACTS", len(ARTIFACTS) - 1)
    completed(jobs, storage)
    job = accepted(jobs, storage)
    assert answering.end(job) is None
    assert (now(jobs, job).status, now(jobs, job).attempt) == (Status.QUEUED, 0)


def test_not_too_many_are_ended_at_once(jobs: JobStore, storage: LocalStorage, answering: CachedResults) -> None:
    completed(jobs, storage)
    for _ in range(CACHE_HITS):
        assert answering.places.take()
    job = accepted(jobs, storage)
    assert answering.end(job) is None
    answering.places.give_back()
    assert answering.end(job)
    assert eventually(answering.places.take)


def test_where_redis_is_away_nothing_is_lost(storage: LocalStorage, answering: CachedResults, jobs: JobStore) -> None:
    completed(jobs, storage)
    job = accepted(jobs, storage)
    away = JobStore(RedisDatabase("redis://127.0.0.1:1/0"), lease_seconds=60)
    assert CachedResults(away, storage, answering.queue).end(job) is None
    assert now(jobs, job).status is Status.QUEUED


def test_a_forgotten_record_is_no_reason_to_fail(
    jobs: JobStore, storage: LocalStorage, answering: CachedResults, own_redis: RedisServer
) -> None:
    """Redis is set back to before the job, right after it was submitted."""
    first = completed(jobs, storage)
    job = accepted(jobs, storage)
    own_redis.forget_everything()
    JobAdmin(RedisDatabase(own_redis.url)).restore(first)
    assert answering.end(job) is None
    assert files_of(storage, job.job_id) == [keys.open_job(job.job_id)]
