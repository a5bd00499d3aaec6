"""Who a bucket is: the proof that it works, and its identity, written once and taken back if unused."""

import logging
import re
import secrets
import time
from contextlib import suppress

from clipzy_storage import keys
from clipzy_storage.backends.s3.client import S3Client
from clipzy_storage.backends.s3.errors import Conflict, NotSupported, error_status
from clipzy_storage.errors import AlreadyExists, ConfigurationError, NotFound, StorageError, StorageUnavailable

ADOPTED = f"{keys.INCOMING}/adopted"  # there once anybody but its writer relies on the identity
SETTLE_SECONDS = 1.0  # in which all have written who start together, where the service keeps no conditions

_FORM = re.compile(rb"[0-9a-f]{32}\n")
_TRIES = 20

log = logging.getLogger(__name__)


class S3Identity:
    """The identity of one bucket as one process has come to know it."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._known: bytes | None = None
        self._is_ours = False
        self._conditional = False

    def prove(self) -> bool:
        """Do all that will be done, on a file that is removed again; whether its second writing was refused as asked.

        Raises what ``S3Client.call`` raises.
        """
        key, token = f"{keys.PROBE}/{secrets.token_hex(16)}", secrets.token_bytes(32)
        self._client.call("put_object", Key=key, Body=token)
        try:
            self._use(key, token)
            keeps_conditions = self._keeps_conditions(key, token)
        except StorageError:
            with suppress(StorageError):  # the first trouble is the one to tell of
                self._client.call("delete_object", Key=key)
            raise
        self._client.call("delete_object", Key=key)
        if self._client.has(key):
            raise StorageUnavailable("what was deleted from the store is still there")
        meaning = "yes" if keeps_conditions else "no; a key is looked for before it is written"
        log.info("storage.conditional_writes: %s", meaning)
        return keeps_conditions

    def _use(self, key: str, token: bytes) -> None:
        if self._client.read(key) != token:
            raise StorageUnavailable("what was written to the store reads back otherwise")
        if key not in [found["Key"] for found in self._client.listed(key)]:
            raise StorageUnavailable("what was written to the store is not in its listing")
        self._client.call("create_multipart_upload", Key=key)
        if not self._client.abort_all(key):
            raise StorageUnavailable("a multipart upload that was begun is not in the store's listing")

    def agree(self, *, conditional: bool) -> str:
        """The identity that whoever came first has written; ``conditional``: the service keeps conditions.

        Raises:
            ConfigurationError: what is there is none.
            StorageUnavailable.
        """
        self._conditional = conditional
        for _ in range(_TRIES):
            if self._read() is None:
                self._is_ours = self._write(f"{secrets.token_hex(16)}\n".encode())
            if not self._is_ours:
                self._client.call("put_object", Key=ADOPTED, Body=b"")
            self._known = self._read()
            if self._known is not None:
                return self._known.decode().strip()
        raise StorageUnavailable(f"{keys.STORAGE_ID} comes and goes; other processes are starting or stopping")

    def check(self) -> None:
        """Raise ``StorageUnavailable`` where the bucket is not, or no longer, the one that was agreed on."""
        if self._known is None or self._read() != self._known:
            raise StorageUnavailable("the bucket is not the one seen at start")

    def take_back(self) -> None:
        """Remove the identity, if this process wrote it and nobody relies on it."""
        if not self._is_ours:
            return
        self._is_ours = False
        if self._is_in_use():
            return
        self._client.call("delete_object", Key=keys.STORAGE_ID)
        if self._client.has(ADOPTED):  # meanwhile; who adopts it reads it once more after saying so
            self._write(self._known or b"")

    def _keeps_conditions(self, key: str, token: bytes) -> bool:
        try:
            self._client.call("put_object", Key=key, Body=token, IfNoneMatch="*")
        except (AlreadyExists, Conflict):
            return True
        except StorageUnavailable as error:
            # The same request was taken without the condition, so it is the condition that is refused.
            if isinstance(error, NotSupported) or error_status(error.__cause__) == 400:
                return False
            raise
        return False

    def _write(self, identity: bytes) -> bool:
        """Whether it is ours that stands."""
        if not self._conditional:
            self._client.call("put_object", Key=keys.STORAGE_ID, Body=identity)
            time.sleep(SETTLE_SECONDS)
            return self._read() == identity
        try:
            self._client.call("put_object", Key=keys.STORAGE_ID, Body=identity, IfNoneMatch="*")
        except AlreadyExists:
            return False
        return True

    def _read(self) -> bytes | None:
        try:
            identity = self._client.read(keys.STORAGE_ID)
        except NotFound:
            return None
        if _FORM.fullmatch(identity) is None:
            found = f"S3_BUCKET_NAME={self._client.bucket} holds a damaged {keys.STORAGE_ID}."
            remedy = "Restore that file from a backup; remove it only if nothing in the bucket is worth keeping."
            raise ConfigurationError([f"{found} {remedy}"])
        return identity

    def _is_in_use(self) -> bool:
        if self._client.has(ADOPTED) or self._read() != self._known:
            return True
        return any(next(self._client.listed(folder), None) for folder in ("uploads/", "jobs/", "results/"))
