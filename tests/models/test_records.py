"""A record names an upload, and no other file: a worker reads what it names."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import put_json
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import Damaged, StorageError
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import Video
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import STORAGE_ID, new_job, submitted

OTHERS = [
    "results/job_x/attempts/1-a/poster.jpg",
    "jobs/done/job_x.json",
    ".clipzy/storage-id",
    "uploads/../results/job_x/output.json",
    "uploads/./x",
    "uploads//x",
    "uploads",
    "uploads/",
    "/etc/passwd",
    "../../etc/passwd",
    "",
]


def new_video(**changes: Any) -> Video:
    values: dict[str, Any] = {
        "video_id": keys.new_id("vid"),
        "filename": "holiday.mp4",
        "key": "uploads/vid_x/source.mp4",
        "container": "mp4",
        "size_bytes": 10,
        "sha256": "0" * 64,
        "uploaded_at": datetime.now(UTC),
    }
    return Video(**values | changes)


@pytest.mark.parametrize("key", OTHERS)
def test_the_source_of_a_record_is_an_upload(key: str) -> None:
    assert new_job(source_key="uploads/vid_x/source.mp4").source_key == new_video().key
    with pytest.raises(ValidationError, match="not the key of an upload"):
        new_job(source_key=key)
    with pytest.raises(ValidationError, match="not the key of an upload"):
        new_video(key=key)


def test_a_forged_record_is_not_worked_on(storage: LocalStorage, redis_url: str, redis_client: Any) -> None:
    # Given a waiting job whose records were changed to name the result of another one
    store = JobStore(RedisDatabase(redis_url), lease_seconds=60)
    job = submitted(store)
    forged, record = {"source_key": OTHERS[0]}, f"{keys.REDIS_PREFIX}job:{job.job_id}"
    redis_client.hset(record, "record", json.dumps(json.loads(redis_client.hget(record, "record")) | forged))
    put_json(storage, keys.open_job(job.job_id), job.model_dump(mode="json") | forged)
    # When a worker claims it, or it is restored from storage, then that fails
    with pytest.raises(Damaged):
        store.claim(job.job_id, nonce="n", storage_id=STORAGE_ID)
    with pytest.raises(StorageError, match="damaged"):
        durable_records.read_open(storage, job.job_id)
