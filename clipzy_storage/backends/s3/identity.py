"""The verification of a bucket, and its identity: written once, removed again if unused."""

import re
import secrets
import time
from contextlib import suppress

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.s3.client import S3Client
from clipzy_storage.backends.s3.errors import Conflict, NotSupported, error_status
from clipzy_storage.errors import AlreadyExists, ConfigurationError, NotFound, StorageError, StorageUnavailable

ADOPTED = f"{keys.INCOMING}/adopted"
"""Exists once a process other than its writer uses the identity."""
SETTLE_SECONDS = 1.0
"""How long processes that start together wait for each other's identity, without conditional writes."""

_FORM = re.compile(rb"[0-9a-f]{32}\n")
_RACE_ATTEMPTS = 20

log = structlog.stdlib.get_logger(__name__)


class S3Identity:
    """The identity of one bucket as one process knows it."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._known: bytes | None = None
        self._is_ours = False
        self._conditional = False

    def verify(self) -> bool:
        """Try every operation on a test object; returns whether the service supports conditional writes.

        Raises what ``S3Client.call`` raises.
        """
        key, token = f"{keys.PROBE}/{secrets.token_hex(16)}", secrets.token_bytes(32)
        self._client.call("put_object", Key=key, Body=token)
        try:
            self._use(key, token)
            conditional = self._has_conditional_writes(key, token)
        except StorageError:
            with suppress(StorageError):  # the first error is the one to report
                self._client.call("delete_object", Key=key)
            raise
        self._client.call("delete_object", Key=key)
        if self._client.has(key):
            raise StorageUnavailable("the S3 service still returns a deleted test object")
        log.info("storage.conditional_writes", supported=conditional)
        return conditional

    def _use(self, key: str, token: bytes) -> None:
        if self._client.read(key) != token:
            raise StorageUnavailable("the S3 service returns a test object with other content")
        if key not in [found["Key"] for found in self._client.list_objects(key)]:
            raise StorageUnavailable("the S3 service does not list a test object")
        self._client.call("create_multipart_upload", Key=key)
        if not self._client.abort_all(key):
            raise StorageUnavailable("the S3 service does not list a multipart upload")

    def agree(self, *, conditional: bool) -> str:
        """The identity that the first process wrote; ``conditional``: the service supports conditional writes.

        Raises:
            ConfigurationError: the stored identity is damaged.
            StorageUnavailable.
        """
        self._conditional = conditional
        for _ in range(_RACE_ATTEMPTS):
            if self._read() is None:
                self._is_ours = self._write(f"{secrets.token_hex(16)}\n".encode())
            if not self._is_ours:
                self._client.call("put_object", Key=ADOPTED, Body=b"")
            self._known = self._read()
            if self._known is not None:
                return self._known.decode().strip()
        raise StorageUnavailable(f"other processes write and remove {keys.STORAGE_ID} all the time; try again")

    def check(self) -> None:
        """Raise ``StorageUnavailable`` unless the bucket still has the identity that was agreed on."""
        if self._known is None or self._read() != self._known:
            raise StorageUnavailable("the bucket is not the one seen at start")

    def withdraw(self) -> None:
        """Remove the identity, if this process wrote it and no other process uses it."""
        if not self._is_ours:
            return
        self._is_ours = False
        if self._is_in_use():
            return
        self._client.call("delete_object", Key=keys.STORAGE_ID)
        if self._client.has(ADOPTED):  # meanwhile; a process that adopts it writes that first and then reads it again
            self._write(self._known or b"")

    def _has_conditional_writes(self, key: str, token: bytes) -> bool:
        try:
            self._client.call("put_object", Key=key, Body=token, IfNoneMatch="*")
        except (AlreadyExists, Conflict):
            return True
        except StorageUnavailable as error:
            # The same request was accepted without the condition, so the condition is what the service refuses.
            if isinstance(error, NotSupported) or error_status(error.__cause__) == 400:
                return False
            raise
        return False

    def _write(self, identity: bytes) -> bool:
        """Whether this process' identity is the one that is stored."""
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
        return any(next(self._client.list_objects(prefix), None) for prefix in ("uploads/", "jobs/", "results/"))
