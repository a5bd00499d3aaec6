"""Writes an object under a key that is free, and makes sure that it is there, whatever the responses were."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from clipzy_storage.backends.s3.client import S3Client, metadata_of
from clipzy_storage.backends.s3.errors import Conflict, NotSupported
from clipzy_storage.errors import AlreadyExists, NotFound, StorageError, StorageUnavailable

IF_FREE = {"IfNoneMatch": "*"}
"""The condition that there is no object under the key."""
TOKEN = "clipzy-writer"
"""The object metadata by which a writer recognises its own object."""

_CONFLICT_ATTEMPTS = 5

Write = Callable[[Mapping[str, str]], object]
"""Writes the object under these further conditions."""


class WriteOnce:
    """One object, whose metadata has ``token`` as ``TOKEN``."""

    def __init__(self, client: S3Client, key: str, *, token: str, conditional: bool) -> None:
        """``conditional``: conditional writes are supported."""
        self._client = client
        self._key = key
        self._token = token
        self._conditional = conditional

    def publish(self, write: Write) -> None:
        """Write the object and confirm that it is ours.

        A response can get lost although the object was written; a repeated request then finds it in its way.

        | raised by the write            | our object is there | otherwise                                         |
        |--------------------------------|---------------------|---------------------------------------------------|
        | ``NotFound`` (of the upload)   | published           | ``StorageUnavailable``                            |
        | ``AlreadyExists``              | published           | ``AlreadyExists``; ``StorageUnavailable`` if none |
        | ``StorageUnavailable``         | published           | ``StorageUnavailable``                            |
        """
        try:
            self._write_conditionally(write)
        except (NotFound, AlreadyExists, StorageUnavailable) as error:
            if self.is_published():
                return
            if isinstance(error, NotFound):
                raise upload_is_gone(self._key) from error
            if isinstance(error, AlreadyExists) and not self._client.has(self._key):
                raise StorageUnavailable(f"the S3 service refuses {self._key} as taken, and it is not there") from error
            raise

    def is_published(self) -> bool:
        """Whether the object under the key is known to be the one with our token."""
        try:
            found = self._client.call("head_object", Key=self._key)
        except StorageError:
            return False
        return metadata_of(found).get(TOKEN) == self._token

    def _write_conditionally(self, write: Write) -> None:
        """Write under the condition that the key is free, or after a check if the service refuses the condition."""
        if self._conditional:
            with suppress(NotSupported):
                self._retry_conflicts(partial(write, IF_FREE))
                return
        if self._client.has(self._key):
            raise AlreadyExists(f"{self._key} is stored already")
        self._retry_conflicts(partial(write, {}))

    def _retry_conflicts(self, write: Callable[[], object]) -> None:
        """Repeat the write while another request for the key is in progress."""
        for pause_seconds in (0.1 * 2**number for number in range(_CONFLICT_ATTEMPTS)):
            try:
                write()
            except Conflict:
                time.sleep(pause_seconds)
            else:
                return
        raise StorageUnavailable(f"other requests for {self._key} are in progress all the time")


def upload_is_gone(key: str) -> StorageUnavailable:
    return StorageUnavailable(f"the multipart upload of {key} is gone")
