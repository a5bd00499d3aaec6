"""One object of a bucket that is being written."""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from threading import BoundedSemaphore
from typing import Any

from pydantic import BaseModel

from clipzy_storage import keys
from clipzy_storage.backends.background import BackgroundHash
from clipzy_storage.backends.base import BlobInfo, check_kept
from clipzy_storage.backends.s3.client import S3Client
from clipzy_storage.backends.s3.multipart import MultipartUpload
from clipzy_storage.backends.s3.part_buffer import PartBuffer
from clipzy_storage.backends.s3.write_once import TOKEN, WriteOnce, upload_is_gone
from clipzy_storage.errors import NotFound, StorageError

MARKER_INTERVAL_SECONDS = 3600.0
"""How often a long upload writes its marker again, to show that it is in progress."""
DIGEST = "clipzy-sha256"
"""The object metadata with the sha256, of objects whose digest is known before they are sent."""


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
        self._once = WriteOnce(client, key, token=self._token, conditional=conditional)
        self._hash = BackgroundHash()
        self._size_bytes = 0
        self._buffer = PartBuffer(part_bytes)
        self._upload: MultipartUpload | None = None
        self._is_completed = False
        self._may_have_more_uploads = False
        self._part_count = 0
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
                rest = self._buffer.append(rest)
                if not self._buffer.space_bytes:
                    self._send_part()

    def publish(self) -> BlobInfo:
        with self._discarded_on_failure():
            if self._upload is None:
                self._once.publish(self._put)
            else:
                self._complete(self._upload)
            self._hash.finish()
        self.discard()
        return BlobInfo(self._key, self._size_bytes)

    def discard(self) -> None:
        if self._is_finished:
            return
        self._is_finished = True
        self._hash.stop()
        self._buffer.close()
        if self._upload is not None:
            self._upload.stop()
        with suppress(StorageError):  # what is left counts for nothing, and the sweep will remove it
            self._abort()

    def _send_part(self) -> None:
        """Upload the full buffer while the next one is filled. Raises the error of an earlier part."""
        if self._upload is None:
            self._upload = self._create_upload()
        if self._marked_at is not None and time.monotonic() - self._marked_at > self._marker_interval_seconds:
            self._write_marker()
        body, self._buffer = self._buffer, PartBuffer(self._part_bytes)
        self._part_count += 1
        self._upload.send(self._part_count, body)

    def _create_upload(self) -> MultipartUpload:
        self._write_marker()
        self._may_have_more_uploads = True  # until a response names the upload
        about = {**self._about(), **self._client.part_checksum}
        response = self._client.call("create_multipart_upload", Key=self._key, **about)
        upload_id = response["UploadId"]
        # A request that botocore had to repeat may have created one more, whose id is not known.
        self._may_have_more_uploads = response["ResponseMetadata"].get("RetryAttempts", 0) > 0
        return MultipartUpload(self._client, self._key, upload_id, part_slots=self._part_slots)

    def _write_marker(self) -> None:
        self._marked_at = time.monotonic()
        marker = UploadMarker(key=self._key).model_dump_json().encode()
        self._client.call("put_object", Key=self._marker, Body=marker, ContentType="application/json")

    def _put(self, condition: Mapping[str, str]) -> None:
        # As a file, which botocore sends block by block; bytes would have to be sent within one timeout.
        self._buffer.seek(0)
        about = self._about(**{DIGEST: self.sha256})
        self._client.call("put_object", Key=self._key, Body=self._buffer, **about, **condition)

    def _about(self, **metadata: str) -> dict[str, Any]:
        return {"ContentType": self._content_type, "Metadata": {TOKEN: self._token, **metadata}}

    def _complete(self, upload: MultipartUpload) -> None:
        if self._buffer.size_bytes:
            self._send_part()
        parts = upload.sent()
        self._check_parts(upload.upload_id)
        self._once.publish(partial(upload.complete, parts))
        self._is_completed = True

    def _check_parts(self, upload_id: str) -> None:
        # The parts are listed, since some services would read all of the completed object to respond to a HEAD request.
        try:
            stored_bytes = sum(int(part["Size"]) for part in self._client.list_parts(self._key, upload_id))
        except NotFound as error:
            raise upload_is_gone(self._key) from error
        check_kept(stored_bytes, self._size_bytes)

    def _abort(self) -> None:
        if self._marked_at is None:
            return
        if self._may_have_more_uploads:
            self._client.abort_all(self._key)
        elif self._upload is not None and not self._is_completed:
            self._client.abort(self._key, self._upload.upload_id)
        self._client.call("delete_object", Key=self._marker)

    @contextmanager
    def _discarded_on_failure(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            self.discard()
            raise
