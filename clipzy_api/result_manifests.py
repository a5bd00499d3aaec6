"""What each completed job has published: the files that its ``output.json`` lists, and that index itself."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, read_bytes
from clipzy_storage.errors import Damaged

REMEMBERED_JOBS = 256
INDEX_NAME = "output.json"


@dataclass(frozen=True)
class PublishedFile:
    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class ResultIndex:
    """One job's published files by name, and the text of their index."""

    index: bytes
    files: Mapping[str, PublishedFile]

    def document(self) -> dict[str, Any]:
        """The index as it lies in storage, a new value for every caller."""
        document: dict[str, Any] = json.loads(self.index)
        return document

    def by_key(self, key: str) -> PublishedFile | None:
        return next((file for file in self.files.values() if file.key == key), None)


class ResultIndexes:
    """Manifests of one storage. An index is written once and last, so what was read of it stays true."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._remembered = lru_cache(maxsize=REMEMBERED_JOBS)(self._read)

    def of(self, job_id: str) -> ResultIndex:
        """Raises ``NotFound`` as long as the job has published nothing, and ``StorageError``.

        What was read once is remembered: whether the result is still kept has to be asked elsewhere, and before.
        """
        return self._remembered(job_id)

    def _read(self, job_id: str) -> ResultIndex:
        key = keys.result_index(job_id)
        index = read_bytes(self._storage, key)
        own = PublishedFile(key, len(index), hashlib.sha256(index).hexdigest())
        try:
            listed = {
                artifact["name"]: PublishedFile(artifact["key"], artifact["size_bytes"], artifact["sha256"])
                for artifact in json.loads(index)["artifacts"]
                if artifact["key"].startswith(keys.result_prefix(job_id))
            }
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Damaged(f"{key} is damaged: it is no index of a result") from error
        return ResultIndex(index, {**listed, INDEX_NAME: own})
