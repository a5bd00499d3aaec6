"""The indexes that a front end keeps in memory: bounded by their bytes and by their number."""

import json
from pathlib import Path

import pytest

from clipzy_api import result_indexes
from clipzy_api.result_indexes import ResultIndexes
from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from tests.support.counted_storage import CountedStorage

INDEX_BYTES = 1000


@pytest.fixture
def counted(tmp_path: Path) -> CountedStorage:
    storage = LocalStorage(tmp_path / "storage", shared=False, free_reserve_bytes=0)
    storage.prepare()
    return CountedStorage(storage)


def _published(counted: CountedStorage, size_bytes: int = INDEX_BYTES) -> str:
    job_id = keys.new_id("job")
    index = json.dumps({"artifacts": []}).ljust(size_bytes).encode()
    put_bytes(counted.storage, keys.result_index(job_id), index, content_type="application/json")
    return job_id


def _read(counted: CountedStorage, indexes: ResultIndexes, *job_ids: str) -> list[str]:
    """Those of the indexes that are not in memory."""
    counted.calls.clear()
    for job_id in job_ids:
        assert len(indexes.of(job_id).index) >= INDEX_BYTES
    return [key.split("/")[1] for key in counted.read("results/")]


def test_the_indexes_in_memory_are_bounded_by_their_bytes(counted: CountedStorage) -> None:
    # Given room for two indexes
    indexes = ResultIndexes(counted.storage, cached_bytes=2 * INDEX_BYTES)
    first, second, third = (_published(counted) for _ in range(3))
    assert _read(counted, indexes, first, second, first, second, first) == [first, second]

    # When a third is read, then the one that was not used for longest goes
    assert _read(counted, indexes, third, first, second) == [third, second]

    # And one that is too large is answered, neither kept nor in the place of others
    large = _published(counted, 2 * INDEX_BYTES + 1)
    assert _read(counted, indexes, large, large) == [large, large]
    assert _read(counted, indexes, second, first) == []


def test_the_indexes_in_memory_are_bounded_by_their_number(
    counted: CountedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_indexes, "CACHED_INDEXES", 1)
    indexes = ResultIndexes(counted.storage)
    first, second = _published(counted), _published(counted)
    assert _read(counted, indexes, first, first, second, first) == [first, second, first]
