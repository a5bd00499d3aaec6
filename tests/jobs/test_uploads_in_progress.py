"""Uploads that are being received, as Redis counts them."""

from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.errors import QuotaExceeded
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.uploads_in_progress import UploadsInProgress
from clipzy_storage.redis_client import RedisDatabase
from tests.support.waiting import eventually

KEY = f"{keys.REDIS_PREFIX}owner:a:uploads"


def test_a_slow_upload_counts_for_as_long_as_it_takes(store: JobStore, redis_url: str, redis_client: Any) -> None:
    uploads = UploadsInProgress(RedisDatabase(redis_url), limit=1, ttl_seconds=0.3)
    with uploads.held("a"):
        (first,) = redis_client.zrange(KEY, 0, -1, withscores=True)
        # It is held on again and again, well after it would have expired
        eventually(lambda: redis_client.zscore(KEY, first[0]) > first[1] + 1000, "an upload that counts on")
        with pytest.raises(QuotaExceeded, match="OWNER_MAX_UPLOADS allows 1 "), uploads.held("a"):
            pass
        with uploads.held("b"):
            assert store.accounts.usage("b").uploads == 1
    assert store.accounts.usage("a").uploads == 0
    assert not redis_client.exists(KEY)


def test_uploads_of_a_front_end_that_is_gone_expire(store: JobStore, redis_url: str, redis_client: Any) -> None:
    # Given an upload that nobody refreshes
    uploads = UploadsInProgress(RedisDatabase(redis_url), limit=1)
    with uploads.held("a"):
        assert store.accounts.usage("a").uploads == 1
        (upload_id,) = redis_client.zrange(KEY, 0, -1)
        # When its time is over, then another one may come
        redis_client.zadd(KEY, {upload_id: 1})
        assert store.accounts.usage("a").uploads == 0
        with uploads.held("a"):
            assert store.accounts.usage("a").uploads == 1


def test_without_a_limit_any_number_is_counted(store: JobStore, redis_url: str) -> None:
    uploads = UploadsInProgress(RedisDatabase(redis_url), limit=None)
    with uploads.held("a"), uploads.held("a"):
        assert store.accounts.usage("a").uploads == 2
    assert store.accounts.usage("a").uploads == 0
