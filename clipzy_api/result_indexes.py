"""What each completed job has published: the files that its ``output.json`` lists, and that index itself."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from pydantic import BaseModel, ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, read_bytes
from clipzy_storage.errors import Damaged

CACHED_INDEXES = 256
CACHED_BYTES = 32 << 20
"""Of the indexes in the cache. One that is larger alone is read again each time."""
INDEX_NAME = "output.json"


class _ListedFile(BaseModel):
    name: str
    key: str
    size_bytes: int
    sha256: str


class _Listing(BaseModel):
    artifacts: list[_ListedFile]


@dataclass(frozen=True)
class PublishedFile:
    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class ResultIndex:
    """The bytes of one job's ``output.json``, and its published files by name."""

    index: bytes
    files: Mapping[str, PublishedFile]

    def by_key(self, key: str) -> PublishedFile | None:
        return next((file for file in self.files.values() if file.key == key), None)


class ResultIndexes:
    """The result indexes of one storage. An index is written once and last, so a cached one stays true."""

    def __init__(self, storage: Storage, *, cached_bytes: int = CACHED_BYTES) -> None:
        self._storage = storage
        self._lock = Lock()
        self._cached: OrderedDict[str, ResultIndex] = OrderedDict()
        """Those used last come last."""
        self._max_bytes = self._free_bytes = cached_bytes

    def of(self, job_id: str) -> ResultIndex:
        """Raises ``NotFound`` as long as the job has published nothing, and ``StorageError``.

        Does not say whether the result has expired: check the job first.
        """
        with self._lock:
            if job_id in self._cached:
                self._cached.move_to_end(job_id)
                return self._cached[job_id]
        found = self._read(job_id)
        with self._lock:
            self._keep(job_id, found)
        return found

    def _keep(self, job_id: str, found: ResultIndex) -> None:
        if job_id in self._cached or len(found.index) > self._max_bytes:  # another thread has read it as well
            return
        self._cached[job_id] = found
        self._free_bytes -= len(found.index)
        while self._free_bytes < 0 or len(self._cached) > CACHED_INDEXES:
            _, oldest = self._cached.popitem(last=False)
            self._free_bytes += len(oldest.index)

    def _read(self, job_id: str) -> ResultIndex:
        key = keys.result_index(job_id)
        index = read_bytes(self._storage, key)
        try:
            artifacts = _Listing.model_validate_json(index).artifacts
        except ValidationError as error:
            raise Damaged(f"{key} is damaged: it is no index of a result") from error
        listed = {
            artifact.name: PublishedFile(artifact.key, artifact.size_bytes, artifact.sha256)
            for artifact in artifacts
            if artifact.key.startswith(keys.result_prefix(job_id))
        }
        own = PublishedFile(key, len(index), hashlib.sha256(index).hexdigest())
        return ResultIndex(index, {**listed, INDEX_NAME: own})
