"""One object of a bucket that is being read."""

import hashlib
import io
from typing import TYPE_CHECKING, Any

from clipzy_storage.backends.error_counts import counted, not_what_was_stored
from clipzy_storage.backends.s3.client import S3Client, metadata_of
from clipzy_storage.backends.s3.errors import boto_errors_translated
from clipzy_storage.backends.s3.writer import DIGEST
from clipzy_storage.errors import AlreadyExists, Damaged, StorageUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STREAM_BLOCK_BYTES = 128 << 10
"""How much is read from a stream at a time, and lost at most if it breaks."""
MAX_REOPENINGS = 3
"""How often a stream is opened again that delivered less than a block."""


class RangeReader(io.RawIOBase):
    """A range of an object as a seekable file. A stream that breaks is opened again at the position where it broke.

    An object that is read from its first byte to its last without a seek is compared with its digest, if it has one.
    A whole object is opened with one request: it cannot be replaced before its first bytes are read.
    """

    def __init__(self, client: S3Client, key: str, start: int, length: int | None) -> None:
        """Raises ``NotFound``, ``StorageUnavailable``."""
        self._client, self._key, self._start = client, key, start
        self._position = 0
        self._failures, self._broke_at = 0, 0
        whole = client.call("head_object" if start or length is not None else "get_object", Key=key)
        self._stream: Any = whole.get("Body")
        self._etag = whole["ETag"]
        rest = max(0, whole["ContentLength"] - start)
        self._size = rest if length is None else min(rest, length)
        is_whole = self._size == whole["ContentLength"]
        self._sha256 = metadata_of(whole).get(DIGEST) if is_whole else None
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = max(0, offset + (0, self._position, self._size)[whence])
        if position != self._position:
            self._drop_stream()
            self._sha256 = None
        self._position = position
        return position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Raises ``StorageUnavailable``, and ``Damaged`` if the bytes are not those that were stored."""
        target = memoryview(buffer).cast("B")[: min(STREAM_BLOCK_BYTES, max(0, self._size - self._position))]
        if not target:
            return 0
        data = self._next(len(target))
        target[: len(data)] = data
        self._position += len(data)
        if self._sha256 is not None:
            self._compare(data)
        return len(data)

    def close(self) -> None:
        self._drop_stream()
        super().close()

    def _next(self, size: int) -> bytes:
        while True:
            try:
                return self._read(size)
            except StorageUnavailable:
                self._drop_stream()
                if abs(self._position - self._broke_at) >= STREAM_BLOCK_BYTES:
                    self._failures, self._broke_at = 0, self._position
                self._failures += 1
                if self._failures > MAX_REOPENINGS:
                    raise

    def _read(self, size: int) -> bytes:
        if self._stream is None:
            first, last = self._start + self._position, self._start + self._size - 1
            try:
                response = self._client.call(
                    "get_object", Key=self._key, Range=f"bytes={first}-{last}", IfMatch=self._etag
                )
            except AlreadyExists as error:  # the object is not the one that was opened
                raise Damaged(f"{self._key} was replaced while it was read") from error
            self._stream = response["Body"]
            if response["ContentLength"] != last - first + 1:
                raise counted(StorageUnavailable("the S3 service sends another range than was requested"))
        with boto_errors_translated(self._key):
            data: bytes = self._stream.read(size)
        if not data:
            raise counted(StorageUnavailable("the response of the S3 service is truncated"))
        return data

    def _compare(self, data: bytes) -> None:
        self._hash.update(data)
        if self._position == self._size and self._hash.hexdigest() != self._sha256:
            raise not_what_was_stored(self._key, self._hash.hexdigest())

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
