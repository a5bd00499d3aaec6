"""Storage in one bucket of an S3 service, for any number of processes on any number of machines."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256 as new_sha256
from pathlib import Path
from threading import BoundedSemaphore
from typing import BinaryIO, Literal

from pydantic import ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import (
    READ_BLOCK_BYTES,
    BlobInfo,
    KeyOf,
    StorageWriter,
    check_kept,
    check_range,
    copy_through,
)
from clipzy_storage.backends.content_types import content_disposition_of, content_type_of
from clipzy_storage.backends.error_counts import not_what_was_stored
from clipzy_storage.backends.s3.client import S3Client, metadata_of
from clipzy_storage.backends.s3.direct import S3DirectParts
from clipzy_storage.backends.s3.errors import NotSupported, explained
from clipzy_storage.backends.s3.growing import S3GrowingFile, kept_bytes, read_state
from clipzy_storage.backends.s3.identity import S3Identity
from clipzy_storage.backends.s3.reader import RangeReader
from clipzy_storage.backends.s3.session import Timeouts
from clipzy_storage.backends.s3.writer import DIGEST, MARKER_INTERVAL_SECONDS, S3Writer, UploadMarker
from clipzy_storage.errors import (
    AlreadyExists,
    BadKey,
    NotFound,
    StorageError,
    StorageFull,
)
from clipzy_storage.free_space import FreeSpace, free_space
from clipzy_storage.keys import prefix_segments_of, segments_of
from clipzy_storage.models.records import Link

SMALLEST_PART_BYTES = 5 << 20
MOST_PARTS = 9000
"""Services accept 10,000 parts, all but the last of one size."""
PARTS_IN_MEMORY_BYTES = 20 << 20
"""The parts that are being sent, of all files of this process together; two parts in any case."""
LARGEST_COPY_BYTES = 5 << 30
"""Of an object that S3 services copy in one request."""
SCRATCH_RESERVE_BYTES = 256 << 20
"""The space that stays free next to a copy in scratch, for what is made from it."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class S3Storage:
    """The ``StorageBackend`` on a bucket. Call ``prepare`` first: it verifies the bucket and what the service supports.

    If the service ignores conditional writes (``If-None-Match``), a key is only checked before it is written.
    """

    kind: Literal["local", "s3"] = "s3"
    may_show_files_late = False

    def __init__(
        self,
        bucket: str,
        *,
        public_endpoint_url: str | None = None,
        addressing_style: str = "auto",
        presign_expires_seconds: int = 3600,
        largest_file_bytes: int = 0,
        writer: str = "",
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - it is frozen
        scratch_reserve_bytes: int = SCRATCH_RESERVE_BYTES,
        largest_copy_bytes: int = LARGEST_COPY_BYTES,
        marker_interval_seconds: float = MARKER_INTERVAL_SECONDS,
        on_aws: bool | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Connects at the first call. ``largest_file_bytes`` decides how large the parts of an upload are.

        ``on_aws``: whether the service is AWS; None to decide by its address. ``clock`` is that of this machine.
        """
        self._client = S3Client(
            bucket,
            public_endpoint_url=public_endpoint_url,
            addressing_style=addressing_style,
            presign_expires_seconds=presign_expires_seconds,
            timeouts=timeouts,
            on_aws=on_aws,
        )
        self._part_bytes = max(SMALLEST_PART_BYTES, -(-largest_file_bytes // MOST_PARTS))
        self._part_slots = BoundedSemaphore(max(2, PARTS_IN_MEMORY_BYTES // self._part_bytes))
        self._writer = writer
        self._scratch_reserve_bytes = scratch_reserve_bytes
        self._largest_copy_bytes = largest_copy_bytes
        self._marker_interval_seconds = marker_interval_seconds
        self._clock = clock
        self._identity = S3Identity(self._client)
        self.has_conditional_writes = False

    @property
    def location(self) -> str:
        return f"s3://{self._client.bucket} on {self._client.host}"

    def prepare(self) -> str:
        host = self._client.host
        try:
            self.has_conditional_writes = self._identity.verify()
            return self._identity.agree(conditional=self.has_conditional_writes)
        except StorageError as error:
            self.retract()
            raise explained(error, bucket=self._client.bucket, host=host, now=self._clock()) from error

    def retract(self) -> None:
        with suppress(StorageError):  # unreachable: another process will use or remove it
            self._identity.withdraw()

    def check(self) -> None:
        self._identity.check()

    @contextmanager
    def open_writer(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        may_use_reserve: bool = False,  # noqa: ARG002 - the free space of a bucket is unknown
    ) -> Iterator[StorageWriter]:
        segments_of(key)
        writer = S3Writer(
            self._client,
            key,
            content_type=content_type,
            writer=self._writer,
            part_bytes=self._part_bytes,
            part_slots=self._part_slots,
            conditional=self.has_conditional_writes,
            marker_interval_seconds=self._marker_interval_seconds,
        )
        try:
            yield writer
        finally:
            writer.discard()

    def replace(self, key: str, data: bytes, *, content_type: str) -> None:
        segments_of(key)
        self._client.call("put_object", Key=key, Body=data, ContentType=content_type)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        segments_of(key)
        check_range(start, length)
        return io.BufferedReader(RangeReader(self._client, key, start, length))

    def local_copy(
        self, key: str, scratch: Path, *, sha256: str | None, on_progress: Callable[[], object] = lambda: None
    ) -> Path:
        needed_bytes = self.info(key).size_bytes + self._scratch_reserve_bytes
        free = free_space(scratch)
        if free.lacks(size_bytes=needed_bytes, inodes=1):
            raise StorageFull(f"WORK_DIR has {free} free, a copy needs {needed_bytes >> 20} MiB")
        copy, digest = scratch / "source", new_sha256()
        with self.open(key) as stream, _scratch_errors(), copy.open("wb") as file:
            while block := stream.read(READ_BLOCK_BYTES):
                digest.update(block)
                file.write(block)
                on_progress()
        if sha256 not in (None, digest.hexdigest()):
            raise not_what_was_stored(key, digest.hexdigest())
        return copy

    def copy(self, key: str, to: str, *, sha256: str) -> BlobInfo:
        """Inside the S3 service, unless it does not support that or the object is too large for one request.

        The digest is in the object's metadata if it was written in a single request.
        """
        segments_of(key)
        if self.exists(to):
            raise AlreadyExists(f"{to} is stored already")
        found = self._client.call("head_object", Key=key)
        digest = metadata_of(found).get(DIGEST, sha256)
        if digest != sha256:
            raise not_what_was_stored(key, digest)
        if found["ContentLength"] <= self._largest_copy_bytes:
            with suppress(NotSupported):
                return self._copy_within(key, to, size_bytes=found["ContentLength"])
        return copy_through(self, key, to, sha256=sha256, content_type=found["ContentType"])

    def info(self, key: str) -> BlobInfo:
        segments_of(key)
        return BlobInfo(key, self._client.call("head_object", Key=key)["ContentLength"])

    def exists(self, key: str) -> bool:
        segments_of(key)
        return self._client.has(key)

    def delete(self, key: str) -> bool:
        if not self.exists(key):
            return False
        self._client.call("delete_object", Key=key)
        return True

    def list(self, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
        prefix_segments_of(prefix)
        for found in self._client.list_objects(prefix, after=after):
            with suppress(BadKey):  # unfinished, or not our key
                yield BlobInfo("/".join(segments_of(found["Key"])), found["Size"], found["AgeSeconds"])

    def sweep_incomplete(self, older_than_seconds: float, *, of_writer: str = "") -> int:
        """Abort multipart uploads, and remove old test objects."""
        swept = 0
        for marker in self._client.list_objects(f"{keys.INCOMING}/{of_writer}", older_than_seconds=older_than_seconds):
            if keys.is_temporary(marker["Key"]):
                swept += self._abort_marked(marker["Key"])
        if not of_writer:
            swept += self._abort_unmarked(older_than_seconds)
            for probe in self._client.list_objects(f"{keys.PROBE}/", older_than_seconds=older_than_seconds):
                if keys.is_temporary(probe["Key"]):
                    self._client.call("delete_object", Key=probe["Key"])
                    swept += 1
        return swept

    def count_incomplete(self, older_than_seconds: float = 0) -> int:
        uploads = self._client.list_uploads(older_than_seconds=older_than_seconds)
        old = [key for key, _ in uploads if _is_ours(key)]
        if not old or not older_than_seconds:
            return len(old)
        markers = list(self._client.list_objects(f"{keys.INCOMING}/"))  # written again and again while the upload grows
        growing = {self._marked_key(mark["Key"]) for mark in markers if mark["AgeSeconds"] < older_than_seconds}
        continued = self._ids_of_continued()
        return sum(key not in growing and keys.id_in(key) not in continued for key in old)

    @contextmanager
    def open_growing(self, upload_id: str, *, key_of: KeyOf) -> Iterator[S3GrowingFile]:
        file = S3GrowingFile(
            self._client,
            upload_id,
            key_of=key_of,
            part_bytes=self._part_bytes,
            part_slots=self._part_slots,
            conditional=self.has_conditional_writes,
        )
        try:
            yield file
        finally:
            file.close()

    @property
    def direct(self) -> S3DirectParts:
        return S3DirectParts(self._client, conditional=self.has_conditional_writes)

    def growing_bytes(self, upload_id: str) -> int:
        return kept_bytes(self._client, upload_id)

    def growing_idle_seconds(self, upload_id: str) -> float:
        ages = [blob.age_seconds for blob in self.list(keys.upload_state(upload_id, ""))]
        with suppress(NotFound):
            if state := read_state(self._client, upload_id):
                ages += [part["AgeSeconds"] for part in self._client.list_parts(state.key, state.upload_id)]
        return min(ages, default=0.0)

    def remove_growing(self, upload_id: str) -> None:
        if state := read_state(self._client, upload_id):
            self._client.abort_all(state.key)
        for blob in list(self.list(keys.upload_state(upload_id, ""))):
            if keys.upload_id_in(blob.key):
                self._client.call("delete_object", Key=blob.key)

    def free_space(self) -> FreeSpace:
        return FreeSpace()

    def link(self, key: str) -> Link:
        segments_of(key)
        url, expires_at = self._client.signed_url(
            key, content_type=content_type_of(key), content_disposition=content_disposition_of(key)
        )
        return Link(url, expires_at)

    def _copy_within(self, key: str, to: str, *, size_bytes: int) -> BlobInfo:
        """Have the S3 service copy the object with its metadata. Raises ``NotSupported``."""
        source = {"Bucket": self._client.bucket, "Key": key}
        self._client.call("copy_object", Key=to, CopySource=source).require("CopyObjectResult")
        copied = self.info(to)
        check_kept(copied.size_bytes, size_bytes)
        return copied

    def _abort_marked(self, marker: str) -> int:
        """Abort the multipart uploads of the key that the marker names; returns their number."""
        key = self._marked_key(marker)
        if key is None:
            return 0
        aborted = self._client.abort_all(key)
        self._client.call("delete_object", Key=marker)
        return aborted

    def _abort_unmarked(self, older_than_seconds: float) -> int:
        """Abort old multipart uploads of our keys that have no marker any more; returns their number."""
        uploads = [
            found for found in self._client.list_uploads(older_than_seconds=older_than_seconds) if _is_ours(found[0])
        ]
        if not uploads:
            return 0
        marked = {self._marked_key(marker["Key"]) for marker in self._client.list_objects(f"{keys.INCOMING}/")}
        continued = self._ids_of_continued()
        strays = [found for found in uploads if found[0] not in marked and keys.id_in(found[0]) not in continued]
        for key, upload_id in strays:
            self._client.abort(key, upload_id)
        return len(strays)

    def _ids_of_continued(self) -> set[str]:
        """The uploads in progress, whose multipart uploads end when they do."""
        return {upload_id for blob in self.list(keys.UPLOADS_IN_PROGRESS) if (upload_id := keys.upload_id_in(blob.key))}

    def _marked_key(self, marker: str) -> str | None:
        """The key that a marker names; None if its writer has just removed it, or if it is damaged or foreign."""
        if not keys.is_temporary(marker):
            return None
        with suppress(NotFound, ValidationError):
            return UploadMarker.model_validate_json(self._client.read(marker)).key
        return None


def _is_ours(key: str) -> bool:
    return keys.id_in(key) is not None or keys.is_temporary(key)


@contextmanager
def _scratch_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull(f"WORK_DIR cannot take a copy: {error.strerror}") from error
