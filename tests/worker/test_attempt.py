"""A worker's attempt at one job, without the queue around it."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.log_events import JOB_FILE_NOT_VISIBLE_YET
from clipzy_storage.models.records import Status
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing import attempt
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from tests.support.finished_jobs import accepted, files_of
from tests.support.jobs import current, noting


@pytest.fixture
def ctx(make_settings: Any, storage: LocalStorage, redis_url: str) -> WorkerContext:
    redis = RedisDatabase(redis_url)
    store = JobStore(redis, lease_seconds=60)
    return WorkerContext(
        settings=make_settings(),
        storage=storage,
        storage_id=storage.prepare(),
        store=store,
        admin=JobAdmin(redis),
        leases=LeaseRenewer(store),
        notify_workers=noting([]),
    )


@pytest.mark.parametrize("missing_bytes", [1, 100_000])
def test_a_source_that_is_not_all_there_is_waited_for(
    ctx: WorkerContext, clip: Path, missing_bytes: int, logged: list[Any]
) -> None:
    # Given an upload of which the storage shows only the beginning yet, as one that caches does
    video = clip.read_bytes()
    key = keys.upload(keys.new_id("vid"), "mp4")
    put_bytes(ctx.storage, key, video[: len(video) - missing_bytes], content_type="video/mp4")
    sha256 = hashlib.sha256(video).hexdigest()
    job = accepted(
        ctx.store, ctx.storage, source_key=key, source_size_bytes=len(video), source_sha256=sha256, config={}
    )
    # When a worker takes the job
    outcome = attempt.run(ctx, job.job_id)
    # Then it counts as no fault of the file or of the worker, and the job is tried again later
    assert outcome == "released: transient"
    (reason,) = [line["reason"] for line in logged if line["event"] == JOB_FILE_NOT_VISIBLE_YET]
    assert reason == f"{key} has {len(video) - missing_bytes} of its {len(video)} bytes"
    assert current(ctx.store, job.job_id).status is Status.QUEUED
    assert files_of(ctx.storage, job.job_id) == [keys.open_job(job.job_id)]
