"""One object of a bucket on its way in."""

import hashlib
import io
import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from typing import Any

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo
from clipzy_storage.backends.s3.client import S3Client, metadata_of
from clipzy_storage.backends.s3.errors import Conflict, NotSupported
from clipzy_storage.errors import AlreadyExists, NotFound, StorageError, StorageUnavailable

PARTS_AT_ONCE = 4  # of one file
MARK_AGAIN_SECONDS = 3600.0  # how often a long upload shows that it goes on
DIGEST = "clipzy-sha256"  # object metadata, where the digest is known before the object is sent

_CONFLICT_TRIES = 5
_TOKEN = "clipzy-writer"  # object metadata: tells a writer its own object from another's


class S3Writer:
    """One unfinished object: a single request where it stays small, a multipart upload from ``part_bytes`` on.

    A marker under ``.clipzy/incoming`` stands for a multipart upload from before it is begun until after its end, so
    that what a killed writer left can be found and aborted.
    """

    def __init__(
        self,
        client: S3Client,
        key: str,
        *,
        content_type: str,
        writer: str,
        part_bytes: int,
        places: BoundedSemaphore,
        conditional: bool,
    ) -> None:
        """``places`` bounds the parts in memory of all files; ``conditional``: the service keeps conditions."""
        self._client = client
        self._key = key
        self._token = secrets.token_hex(16)
        self._content_type = content_type
        self._marker = f"{keys.INCOMING}/{writer}{self._token}.json"
        self._marked_at: float | None = None
        self._part_bytes = part_bytes
        self._places = places
        self._conditional = conditional
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._buffer = io.BytesIO()
        self._upload_id: str | None = None
        self._has_strays = False
        self._parts: list[Future[dict[str, Any]]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._is_over = False

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data).cast("B")
        self._hash.update(rest)
        self._size_bytes += len(rest)
        with self._discarded_on_failure():
            while rest:
                room = self._part_bytes - self._buffer.tell()
                self._buffer.write(rest[:room])
                rest = rest[room:]
                if self._buffer.tell() == self._part_bytes:
                    self._send_part()

    def publish(self) -> BlobInfo:
        with self._discarded_on_failure():
            if not self._conditional and self._client.has(self._key):
                raise AlreadyExists(f"{self._key} is stored already")
            if self._upload_id is None:
                self._once(self._put)
            else:
                self._finish()
        self.discard()
        return BlobInfo(self._key, self._size_bytes)

    def discard(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._buffer = io.BytesIO()
        for part in self._parts:
            part.cancel()
        wait(self._parts)
        if self._pool is not None:
            self._pool.shutdown()
        with suppress(StorageError):  # what cannot be removed counts for nothing here, and the sweep comes
            self._abort()

    def _send_part(self) -> None:
        """Upload the full buffer beside the next one being filled. Raises what an earlier part has met."""
        if self._pool is None:
            self._begin()
            self._pool = ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="s3-part")
        for part in self._parts:
            if part.done():
                part.result()
        if self._marked_at is not None and time.monotonic() - self._marked_at > MARK_AGAIN_SECONDS:
            self._mark()
        body, self._buffer = self._buffer, io.BytesIO()
        self._places.acquire()
        part = self._pool.submit(self._upload_part, len(self._parts) + 1, body)
        part.add_done_callback(lambda _: self._places.release())
        self._parts.append(part)

    def _begin(self) -> None:
        self._mark()
        self._has_strays = True  # as long as no answer tells which upload was begun
        about = {**self._about(), **self._client.part_checksum}
        answer = self._client.call("create_multipart_upload", Key=self._key, **about)
        self._upload_id = answer["UploadId"]
        # A request that botocore had to repeat may have begun one more, of which nobody knows.
        self._has_strays = answer["ResponseMetadata"].get("RetryAttempts", 0) > 0

    def _mark(self) -> None:
        self._marked_at = time.monotonic()
        marker = json.dumps({"key": self._key}).encode()
        self._client.call("put_object", Key=self._marker, Body=marker, ContentType="application/json")

    def _upload_part(self, number: int, body: io.BytesIO) -> dict[str, Any]:
        body.seek(0)
        answer = self._client.call("upload_part", Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=body)
        # AWS wants the checksums that botocore added to the parts once more at the end.
        checksums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        return {"PartNumber": number, "ETag": answer["ETag"], **checksums}

    def _put(self, condition: dict[str, str]) -> None:
        # A file, since botocore sends one block by block; bytes would all have to go within one timeout.
        self._buffer.seek(0)
        about = self._about(**{DIGEST: self.sha256})
        self._client.call("put_object", Key=self._key, Body=self._buffer, **about, **condition)

    def _about(self, **metadata: str) -> dict[str, Any]:
        return {"ContentType": self._content_type, "Metadata": {_TOKEN: self._token, **metadata}}

    def _finish(self) -> None:
        if self._buffer.tell():
            self._send_part()
        parts = {"Parts": [part.result() for part in self._parts]}
        self._check_parts()
        self._once(
            lambda condition: self._client.call(
                "complete_multipart_upload",
                Key=self._key,
                UploadId=self._upload_id,
                MultipartUpload=parts,
                **condition,
            )["ETag"]
        )
        self._upload_id = None

    def _check_parts(self) -> None:
        # Asked of the parts, since some services would read all of the finished object to answer for it.
        try:
            stored_bytes = self._client.part_bytes(self._key, str(self._upload_id))
        except NotFound as error:
            raise StorageUnavailable(f"the multipart upload of {self._key} is gone") from error
        if stored_bytes != self._size_bytes:
            raise StorageUnavailable("the store kept fewer or more bytes than it was given")

    def _once(self, write: Callable[[dict[str, str]], object]) -> None:
        """Write under the condition that the key is free, where the service keeps conditions.

        Where an answer was lost it is our own object that stands there, or is in the way of a second try.
        """
        condition = {"IfNoneMatch": "*"} if self._conditional else {}
        for pause_seconds in (0.1 * 2**number for number in range(_CONFLICT_TRIES)):
            try:
                write(condition)
            except Conflict:
                time.sleep(pause_seconds)
                continue
            except NotSupported:
                if not condition:
                    raise
                condition = {}
                if self._client.has(self._key):
                    raise AlreadyExists(f"{self._key} is stored already") from None
                continue
            except NotFound as error:
                if not self._is_ours():
                    raise StorageUnavailable(f"the multipart upload of {self._key} is gone") from error
            except (AlreadyExists, StorageUnavailable) as error:
                self._settle(error)
            return
        raise StorageUnavailable(f"{self._key} is being written by another all the time")

    def _settle(self, error: AlreadyExists | StorageUnavailable) -> None:
        """Raise ``error``, unless it is our own object that stands there, or nothing does where there should be one."""
        if self._is_ours():
            return
        if isinstance(error, AlreadyExists) and not self._client.has(self._key):
            raise StorageUnavailable(f"the store says that {self._key} is there, and it is not") from error
        raise error

    def _is_ours(self) -> bool:
        """Whether the object that stands under the key is the one that is written here, as far as can be told."""
        try:
            found = self._client.call("head_object", Key=self._key)
        except StorageError:
            return False
        return metadata_of(found).get(_TOKEN) == self._token

    def _abort(self) -> None:
        if self._marked_at is None:
            return
        if self._has_strays:
            self._client.abort_all(self._key)
        elif self._upload_id is not None:
            self._client.abort(self._key, self._upload_id)
        self._client.call("delete_object", Key=self._marker)

    @contextmanager
    def _discarded_on_failure(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            self.discard()
            raise
