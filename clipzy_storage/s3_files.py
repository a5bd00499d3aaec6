"""One object of a bucket on its way in, and one on its way out."""

import hashlib
import io
import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from clipzy_storage import keys
from clipzy_storage.base import BlobInfo
from clipzy_storage.errors import AlreadyExists, NotFound, StorageError, StorageUnavailable
from clipzy_storage.s3_client import S3Client
from clipzy_storage.s3_errors import Conflict, NotSupported, translated

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PARTS_AT_ONCE = 4  # of one file
REOPENINGS = 3  # of a stream that breaks, before it is given up
_CONFLICT_TRIES = 5
_TOKEN = "clipzy-writer"  # object metadata: tells a writer its own object from another's


class S3Incoming:
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
        self._about: dict[str, Any] = {"ContentType": content_type, "Metadata": {_TOKEN: self._token}}
        self._marker = f"{keys.INCOMING}/{writer}{self._token}.json"
        self._part_bytes = part_bytes
        self._places = places
        self._conditional = conditional
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._buffer = bytearray()
        self._upload_id: str | None = None
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
                room = self._part_bytes - len(self._buffer)
                self._buffer += rest[:room]
                rest = rest[room:]
                if len(self._buffer) == self._part_bytes:
                    self._send_part()

    def publish(self) -> BlobInfo:
        with self._discarded_on_failure():
            if not self._conditional and self._client.has(self._key):
                raise AlreadyExists(f"{self._key} is stored already")
            if self._upload_id is None:
                self._once(lambda condition: self._put(condition))
            else:
                self._finish()
        self.discard()
        return BlobInfo(self._key, self._size_bytes)

    def discard(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._buffer = bytearray()
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
        body, self._buffer = self._buffer, bytearray()
        self._places.acquire()
        part = self._pool.submit(self._upload_part, len(self._parts) + 1, body)
        part.add_done_callback(lambda _: self._places.release())
        self._parts.append(part)

    def _begin(self) -> None:
        marker = json.dumps({"key": self._key}).encode()
        self._client.call("put_object", Key=self._marker, Body=marker, ContentType="application/json")
        self._upload_id = self._client.call("create_multipart_upload", Key=self._key, **self._about)["UploadId"]

    def _upload_part(self, number: int, body: bytearray) -> dict[str, Any]:
        answer = self._client.call("upload_part", Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _put(self, condition: dict[str, str]) -> None:
        self._client.call("put_object", Key=self._key, Body=self._buffer, **self._about, **condition)

    def _finish(self) -> None:
        if self._buffer:
            self._send_part()
        parts = {"Parts": [part.result() for part in self._parts]}
        self._once(
            lambda condition: self._client.call(
                "complete_multipart_upload",
                Key=self._key,
                UploadId=self._upload_id,
                MultipartUpload=parts,
                **condition,
            )
        )
        self._upload_id = None
        stored_bytes = self._client.call("head_object", Key=self._key)["ContentLength"]
        if stored_bytes != self._size_bytes:
            self._client.call("delete_object", Key=self._key)
            raise StorageUnavailable("the store kept fewer or more bytes than it was given")

    def _once(self, write: Callable[[dict[str, str]], object]) -> None:
        """Write under the condition that the key is free, where the service keeps conditions.

        botocore repeats a request whose answer was lost; then it is our own object that is in the way.
        """
        condition = {"IfNoneMatch": "*"} if self._conditional else {}
        for pause_seconds in (0.1 * 2**number for number in range(_CONFLICT_TRIES)):
            try:
                return write(condition)  # type: ignore[return-value]
            except Conflict:
                time.sleep(pause_seconds)
            except NotSupported:
                if not condition:
                    raise
                condition = {}
                if self._client.has(self._key):
                    raise AlreadyExists(f"{self._key} is stored already") from None
            except (AlreadyExists, NotFound):
                if self._is_ours():
                    return None
                raise
        raise StorageUnavailable(f"{self._key} is being written by another all the time")

    def _is_ours(self) -> bool:
        try:
            found = self._client.call("head_object", Key=self._key)
        except NotFound:
            return False
        return bool(found.get("Metadata", {}).get(_TOKEN) == self._token)

    def _abort(self) -> None:
        if self._pool is None:
            return
        if self._upload_id is not None:
            self._client.abort(self._key, self._upload_id)
        self._client.call("delete_object", Key=self._marker)

    @contextmanager
    def _discarded_on_failure(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            self.discard()
            raise


class S3Window(io.RawIOBase):
    """A range of an object as a seekable file. A stream that breaks is opened again where it broke."""

    def __init__(self, client: S3Client, key: str, start: int, length: int | None) -> None:
        """Raises ``NotFound``, ``StorageUnavailable``."""
        self._client, self._key, self._start = client, key, start
        self._position = 0
        self._stream: Any = None
        self._reopenings = 0
        whole = client.call("head_object", Key=key)
        self._etag = whole["ETag"]
        rest = max(0, whole["ContentLength"] - start)
        self._size = rest if length is None else min(rest, length)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = max(0, offset + (0, self._position, self._size)[whence])
        if position != self._position:
            self._drop_stream()
        self._position = position
        return position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")[: max(0, self._size - self._position)]
        if not room:
            return 0
        while True:
            try:
                data = self._read(len(room))
                break
            except StorageUnavailable:
                self._drop_stream()
                self._reopenings += 1
                if self._reopenings > REOPENINGS:
                    raise
        room[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._drop_stream()
        super().close()

    def _read(self, size: int) -> bytes:
        if self._stream is None:
            first, last = self._start + self._position, self._start + self._size - 1
            answer = self._client.call("get_object", Key=self._key, Range=f"bytes={first}-{last}", IfMatch=self._etag)
            self._stream = answer["Body"]
        with translated(self._key):
            data: bytes = self._stream.read(size)
        if not data:
            raise StorageUnavailable("the store ended an answer too early")
        return data

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
