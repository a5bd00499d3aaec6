"""One object of a bucket that several requests write, one after the other: a multipart upload that is continued.

What fills a part is sent as one. The rest is kept as an object of its own, ``tail-{start}``: parts have a least size.
The parts count from the first one on as far as none is missing, since several are sent at a time.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore
from typing import Any

from pydantic import BaseModel

from clipzy_storage import keys
from clipzy_storage.backends.base import HEAD_BYTES, BlobInfo, KeyOf, check_kept
from clipzy_storage.backends.content_types import content_type_of
from clipzy_storage.backends.s3.client import S3Client
from clipzy_storage.backends.s3.multipart import MultipartUpload, Part, part_of
from clipzy_storage.backends.s3.part_buffer import PartBuffer
from clipzy_storage.backends.s3.write_once import TOKEN, WriteOnce
from clipzy_storage.errors import NotFound

STATE = "multipart.json"


class MultipartState(BaseModel):
    """The multipart upload that an upload in progress has begun."""

    key: str
    upload_id: str
    part_bytes: int


class S3GrowingFile:
    """The ``GrowingFile`` of one upload in progress."""

    def __init__(
        self,
        client: S3Client,
        upload_id: str,
        *,
        key_of: KeyOf,
        part_bytes: int,
        part_slots: BoundedSemaphore,
        conditional: bool,
    ) -> None:
        """``part_slots`` bounds the parts in memory of all files; ``conditional``: conditional writes are supported."""
        self._client = client
        self._id = upload_id
        self._key_of = key_of
        self._part_bytes = part_bytes
        self._part_slots = part_slots
        self._conditional = conditional
        self._multipart: MultipartUpload | None = None
        self._key = ""
        self._earlier_parts: list[Part] = []
        self._sent_count = 0
        self._continue()
        self._buffer = PartBuffer(self._part_bytes)
        self._buffer.append(read_tail(client, upload_id, start=self._start))
        self._kept_bytes = self.size_bytes

    @property
    def size_bytes(self) -> int:
        return self._start + self._buffer.size_bytes

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = self._buffer.append(rest)
            if not self._buffer.space_bytes:
                self._send_part()

    def keep(self) -> None:
        if self._multipart is not None:
            self._multipart.sent()
        if self._buffer.size_bytes and self.size_bytes != self._kept_bytes:
            tail = self._buffer.first(self._part_bytes)
            _put(self._client, keys.upload_state(self._id, _tail(self._start)), tail)
        self._kept_bytes = self.size_bytes

    def publish(self) -> BlobInfo:
        size_bytes = self.size_bytes
        if self._multipart is None:
            self._key = self._key_of(self._buffer.first(HEAD_BYTES))
            self._once().publish(self._put_all)
        else:
            self._complete(self._multipart, size_bytes)
        return BlobInfo(self._key, size_bytes)

    def close(self) -> None:
        if self._multipart is not None:
            self._multipart.stop()
        self._buffer.close()

    @property
    def _start(self) -> int:
        """Where in the file the buffer begins."""
        return (len(self._earlier_parts) + self._sent_count) * self._part_bytes

    def _continue(self) -> None:
        """Continue the multipart upload, if one was begun and still exists."""
        state = read_state(self._client, self._id)
        if state is None:
            return
        try:
            self._earlier_parts = list(kept_parts(self._client, state))
        except NotFound:  # the service has aborted it, by a rule of the bucket say
            self._client.call("delete_object", Key=keys.upload_state(self._id, STATE))
            return
        self._key, self._part_bytes = state.key, state.part_bytes
        self._multipart = self._multipart_of(state.upload_id)

    def _create(self) -> MultipartUpload:
        self._key = self._key_of(self._buffer.first(HEAD_BYTES))
        about = {**self._about(), **self._client.part_checksum}
        upload_id = self._client.call("create_multipart_upload", Key=self._key, **about)["UploadId"]
        state = MultipartState(key=self._key, upload_id=upload_id, part_bytes=self._part_bytes)
        write_state(self._client, self._id, state)
        return self._multipart_of(upload_id)

    def _multipart_of(self, upload_id: str) -> MultipartUpload:
        return MultipartUpload(self._client, self._key, upload_id, part_slots=self._part_slots)

    def _send_part(self) -> None:
        if self._multipart is None:
            self._multipart = self._create()
        body, self._buffer = self._buffer, PartBuffer(self._part_bytes)
        self._sent_count += 1
        self._multipart.send(len(self._earlier_parts) + self._sent_count, body)

    def _complete(self, multipart: MultipartUpload, size_bytes: int) -> None:
        if self._buffer.size_bytes:
            self._send_part()
        parts = self._earlier_parts + multipart.sent()
        stored = list(self._client.list_parts(self._key, multipart.upload_id))
        check_kept(sum(int(part["Size"]) for part in stored[: len(parts)]), size_bytes)
        self._once().publish(partial(multipart.complete, parts))

    def _once(self) -> WriteOnce:
        return WriteOnce(self._client, self._key, token=self._id, conditional=self._conditional)

    def _put_all(self, condition: Mapping[str, str]) -> None:
        self._buffer.seek(0)
        self._client.call("put_object", Key=self._key, Body=self._buffer, **self._about(), **condition)

    def _about(self) -> dict[str, Any]:
        return {"ContentType": content_type_of(self._key), "Metadata": {TOKEN: self._id}}


def kept_bytes(client: S3Client, upload_id: str) -> int:
    """How many bytes of an upload in progress the service has. Raises ``StorageUnavailable``."""
    start = 0
    with suppress(NotFound):
        if state := read_state(client, upload_id):
            start = state.part_bytes * sum(1 for _ in kept_parts(client, state))
    with suppress(NotFound):
        start += client.call("head_object", Key=keys.upload_state(upload_id, _tail(start)))["ContentLength"]
    return start


def write_state(client: S3Client, upload_id: str, state: MultipartState) -> None:
    """Note the multipart upload that was begun."""
    _put(client, keys.upload_state(upload_id, STATE), state.model_dump_json().encode())


def read_state(client: S3Client, upload_id: str) -> MultipartState | None:
    """None if no multipart upload was begun."""
    try:
        return MultipartState.model_validate_json(client.read(keys.upload_state(upload_id, STATE)))
    except NotFound:
        return None


def kept_parts(client: S3Client, state: MultipartState) -> Iterator[Part]:
    """The parts up to the first one that is missing. Raises ``NotFound`` if the multipart upload is gone."""
    for number, part in enumerate(client.list_parts(state.key, state.upload_id), start=1):
        if part["PartNumber"] != number or part["Size"] != state.part_bytes:
            return
        yield part_of(number, part)


def read_tail(client: S3Client, upload_id: str, *, start: int) -> bytes:
    """What is kept of the file from there on, apart from parts."""
    try:
        return client.read(keys.upload_state(upload_id, _tail(start)))
    except NotFound:
        return b""


def _tail(start: int) -> str:
    return f"tail-{start}"


def _put(client: S3Client, key: str, data: bytes) -> None:
    client.call("put_object", Key=key, Body=io.BytesIO(data), ContentType="application/octet-stream")
