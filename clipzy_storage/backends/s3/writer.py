"""One object of a bucket that is being written."""

import io
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from threading import BoundedSemaphore
from typing import Any

from pydantic import BaseModel

from clipzy_storage import keys
from clipzy_storage.backends.background import BackgroundHash
from clipzy_storage.backends.base import BlobInfo, check_kept
from clipzy_storage.backends.s3.client import S3Client, metadata_of
from clipzy_storage.backends.s3.errors import Conflict, NotSupported
from clipzy_storage.errors import AlreadyExists, NotFound, StorageError, StorageUnavailable

PARALLEL_PARTS = 4
"""How many parts of one file are sent at a time."""
MARKER_INTERVAL_SECONDS = 3600.0
"""How often a long upload writes its marker again, to show that it is in progress."""
DIGEST = "clipzy-sha256"
"""The object metadata with the sha256, of objects whose digest is known before they are sent."""
IF_FREE = {"IfNoneMatch": "*"}
"""The condition that there is no object under the key."""

_CONFLICT_ATTEMPTS = 5
_TOKEN = "clipzy-writer"  # object metadata by which a writer recognises its own object

_Write = Callable[[Mapping[str, str]], object]


class UploadMarker(BaseModel):
    """Names the key of a multipart upload that is in progress, or was left by a killed writer."""

    key: str


class S3Writer:
    """The ``StorageWriter`` of one object: a single request, or a multipart upload from ``part_bytes`` on.

    An ``UploadMarker`` under ``.clipzy/incoming`` exists from before a multipart upload is created until after it is
    completed or aborted, so that what a killed writer left can be found and aborted.
    """

    def __init__(
        self,
        client: S3Client,
        key: str,
        *,
        content_type: str,
        writer: str,
        part_bytes: int,
        part_slots: BoundedSemaphore,
        conditional: bool,
        marker_interval_seconds: float = MARKER_INTERVAL_SECONDS,
    ) -> None:
        """``part_slots`` bounds the parts in memory of all files; ``conditional``: conditional writes are supported."""
        self._client = client
        self._key = key
        self._token = secrets.token_hex(16)
        self._content_type = content_type
        self._marker = f"{keys.INCOMING}/{writer}{self._token}.json"
        self._marked_at: float | None = None
        self._part_bytes = part_bytes
        self._part_slots = part_slots
        self._marker_interval_seconds = marker_interval_seconds
        self._conditional = conditional
        self._hash = BackgroundHash()
        self._size_bytes = 0
        self._buffer = io.BytesIO()
        self._upload_id: str | None = None
        self._may_have_more_uploads = False
        self._parts: list[Future[dict[str, Any]]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._is_finished = False

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        block = data if isinstance(data, bytes) else bytes(data)
        self._hash.update(block)
        self._size_bytes += len(block)
        rest = memoryview(block)
        with self._discarded_on_failure():
            while rest:
                space = self._part_bytes - self._buffer.tell()
                self._buffer.write(rest[:space])
                rest = rest[space:]
                if self._buffer.tell() == self._part_bytes:
                    self._send_part()

    def publish(self) -> BlobInfo:
        with self._discarded_on_failure():
            if self._upload_id is None:
                self._publish_once(self._put)
            else:
                self._complete_upload()
            self._hash.finish()
        self.discard()
        return BlobInfo(self._key, self._size_bytes)

    def discard(self) -> None:
        if self._is_finished:
            return
        self._is_finished = True
        self._hash.stop()
        self._buffer = io.BytesIO()
        for part in self._parts:
            part.cancel()
        wait(self._parts)
        if self._pool is not None:
            self._pool.shutdown()
        with suppress(StorageError):  # what is left counts for nothing, and the sweep will remove it
            self._abort()

    def _send_part(self) -> None:
        """Upload the full buffer while the next one is filled. Raises the error of an earlier part."""
        if self._pool is None:
            self._create_upload()
            self._pool = ThreadPoolExecutor(PARALLEL_PARTS, thread_name_prefix="s3-part")
        for part in self._parts:
            if part.done():
                part.result()
        if self._marked_at is not None and time.monotonic() - self._marked_at > self._marker_interval_seconds:
            self._write_marker()
        body, self._buffer = self._buffer, io.BytesIO()
        self._part_slots.acquire()
        part = self._pool.submit(self._upload_part, len(self._parts) + 1, body)
        part.add_done_callback(lambda _: self._part_slots.release())
        self._parts.append(part)

    def _create_upload(self) -> None:
        self._write_marker()
        self._may_have_more_uploads = True  # until a response names the upload
        about = {**self._about(), **self._client.part_checksum}
        response = self._client.call("create_multipart_upload", Key=self._key, **about)
        self._upload_id = response["UploadId"]
        # A request that botocore had to repeat may have created one more, whose id is not known.
        self._may_have_more_uploads = response["ResponseMetadata"].get("RetryAttempts", 0) > 0

    def _write_marker(self) -> None:
        self._marked_at = time.monotonic()
        marker = UploadMarker(key=self._key).model_dump_json().encode()
        self._client.call("put_object", Key=self._marker, Body=marker, ContentType="application/json")

    def _upload_part(self, number: int, body: io.BytesIO) -> dict[str, Any]:
        body.seek(0)
        part: dict[str, Any] = {"Key": self._key, "UploadId": self._upload_id, "PartNumber": number}
        response = self._client.call("upload_part", **part, Body=body)
        # AWS requires the checksums that botocore added to the parts again when the upload is completed.
        checksums = {name: value for name, value in response.items() if name.startswith("Checksum")}
        return {"PartNumber": number, "ETag": response["ETag"], **checksums}

    def _put(self, condition: Mapping[str, str]) -> None:
        # A file, since botocore sends one block by block; bytes would have to be sent within one timeout.
        self._buffer.seek(0)
        about = self._about(**{DIGEST: self.sha256})
        self._client.call("put_object", Key=self._key, Body=self._buffer, **about, **condition)

    def _about(self, **metadata: str) -> dict[str, Any]:
        return {"ContentType": self._content_type, "Metadata": {_TOKEN: self._token, **metadata}}

    def _complete_upload(self) -> None:
        if self._buffer.tell():
            self._send_part()
        parts = {"Parts": [part.result() for part in self._parts]}
        self._check_parts()
        self._publish_once(partial(self._complete, parts))
        self._upload_id = None

    def _complete(self, parts: Mapping[str, Any], condition: Mapping[str, str]) -> None:
        upload: dict[str, Any] = {"Key": self._key, "UploadId": self._upload_id, "MultipartUpload": parts}
        self._client.call("complete_multipart_upload", **upload, **condition).require("ETag")

    def _check_parts(self) -> None:
        # The parts are listed, since some services would read all of the completed object to respond to a HEAD request.
        try:
            stored_bytes = self._client.part_bytes(self._key, str(self._upload_id))
        except NotFound as error:
            raise self._upload_is_gone() from error
        check_kept(stored_bytes, self._size_bytes)

    def _publish_once(self, write: _Write) -> None:
        """Write the object and confirm that it is ours, whatever the responses were.

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
            if self._is_ours():
                return
            if isinstance(error, NotFound):
                raise self._upload_is_gone() from error
            if isinstance(error, AlreadyExists) and not self._client.has(self._key):
                raise StorageUnavailable(f"the S3 service refuses {self._key} as taken, and it is not there") from error
            raise

    def _write_conditionally(self, write: _Write) -> None:
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

    def _upload_is_gone(self) -> StorageUnavailable:
        return StorageUnavailable(f"the multipart upload of {self._key} is gone")

    def _is_ours(self) -> bool:
        """Whether the object under the key is known to be the one that this writer writes."""
        try:
            found = self._client.call("head_object", Key=self._key)
        except StorageError:
            return False
        return metadata_of(found).get(_TOKEN) == self._token

    def _abort(self) -> None:
        if self._marked_at is None:
            return
        if self._may_have_more_uploads:
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
