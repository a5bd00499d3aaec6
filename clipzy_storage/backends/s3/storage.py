"""Storage in one bucket of an S3 service, for any number of processes on any number of machines."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256 as new_sha256
from pathlib import Path
from threading import BoundedSemaphore
from typing import BinaryIO, Literal

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, StorageWriter, copy_through
from clipzy_storage.backends.content_types import content_disposition_of, content_type_of
from clipzy_storage.backends.s3.client import S3Client, metadata_of
from clipzy_storage.backends.s3.errors import NotSupported, explained
from clipzy_storage.backends.s3.identity import ADOPTED, S3Identity
from clipzy_storage.backends.s3.reader import S3Window
from clipzy_storage.backends.s3.session import Timeouts
from clipzy_storage.backends.s3.writer import DIGEST, S3Writer
from clipzy_storage.errors import (
    AlreadyExists,
    BadKey,
    Damaged,
    NotFound,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from clipzy_storage.keys import folder_of, segments_of
from clipzy_storage.models.records import Link

SMALLEST_PART_BYTES = 5 << 20
MOST_PARTS = 9000  # the services take 10,000, all but the last of one size
PARTS_IN_MEMORY_BYTES = 20 << 20  # on their way, of all files of this process together; two parts in any case
COPY_BLOCK_BYTES = 1 << 20
SCRATCH_RESERVE_BYTES = 256 << 20  # what stays free beside a copy, for what is made from it


class S3Storage:
    """The ``Storage`` protocol on a bucket. Call ``prepare`` first: it proves the bucket and learns what it can.

    A service that ignores conditions (``If-None-Match``) is found out there; a key is then only looked for before it
    is written.
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
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - it never changes
    ) -> None:
        """Connects at the first call. ``largest_file_bytes`` decides how large the parts of an upload are."""
        self._client = S3Client(
            bucket,
            public_endpoint_url=public_endpoint_url,
            addressing_style=addressing_style,
            presign_expires_seconds=presign_expires_seconds,
            timeouts=timeouts,
        )
        self._part_bytes = max(SMALLEST_PART_BYTES, -(-largest_file_bytes // MOST_PARTS))
        self._places = BoundedSemaphore(max(2, PARTS_IN_MEMORY_BYTES // self._part_bytes))
        self._writer = writer
        self._identity = S3Identity(self._client)
        self.tells_writers_apart = False

    @property
    def place(self) -> str:
        return f"s3://{self._client.bucket} on {self._client.host}"

    def prepare(self) -> str:
        host = self._client.host
        try:
            self.tells_writers_apart = self._identity.prove()
            return self._identity.agree(conditional=self.tells_writers_apart)
        except StorageError as error:
            self.retract()
            raise explained(error, bucket=self._client.bucket, host=host) from error

    def retract(self) -> None:
        with suppress(StorageError):  # out of reach: left to others
            self._identity.take_back()

    def check(self) -> None:
        self._identity.check()

    @contextmanager
    def incoming(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        may_use_reserve: bool = False,  # noqa: ARG002 - nobody knows how much room there is
    ) -> Iterator[StorageWriter]:
        segments_of(key)
        incoming = S3Writer(
            self._client,
            key,
            content_type=content_type,
            writer=self._writer,
            part_bytes=self._part_bytes,
            places=self._places,
            conditional=self.tells_writers_apart,
        )
        try:
            yield incoming
        finally:
            incoming.discard()

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        segments_of(key)
        if start < 0 or (length is not None and length < 0):
            raise ValueError("a range begins at 0 or later and has a length of 0 or more")
        return io.BufferedReader(S3Window(self._client, key, start, length))

    def local_copy(
        self, key: str, scratch: Path, *, sha256: str, on_progress: Callable[[], object] = lambda: None
    ) -> Path:
        needed_bytes = self.info(key).size_bytes + SCRATCH_RESERVE_BYTES
        free_bytes = shutil.disk_usage(scratch).free
        if free_bytes < needed_bytes:
            raise StorageFull(f"WORK_DIR has {free_bytes >> 20} MiB free, a copy needs {needed_bytes >> 20} MiB")
        copy, digest = scratch / "source", new_sha256()
        with self.open(key) as stream, _scratch_errors(), copy.open("wb") as file:
            while block := stream.read(COPY_BLOCK_BYTES):
                digest.update(block)
                file.write(block)
                on_progress()
        if digest.hexdigest() != sha256:
            raise Damaged(f"{key} is not what was stored: its sha256 is {digest.hexdigest()}")
        return copy

    def copy(self, key: str, to: str, *, sha256: str) -> BlobInfo:
        """Within the store, where the digest was noted when the object was written; that is, in one piece."""
        segments_of(key)
        if self.exists(to):
            raise AlreadyExists(f"{to} is stored already")
        found = self._client.call("head_object", Key=key)
        noted = metadata_of(found).get(DIGEST)
        if noted is not None and noted != sha256:
            raise Damaged(f"{key} is not what was stored: its sha256 was {noted}")
        if noted is not None:
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

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        folder_of(prefix)
        for found in self._client.listed(prefix):
            with suppress(BadKey):  # unfinished, or nothing of ours
                yield BlobInfo("/".join(segments_of(found["Key"])), found["Size"], found["AgeSeconds"])

    def sweep_incomplete(self, older_than_seconds: float, *, of_writer: str = "") -> int:
        """Abort what was left of multipart uploads, and remove old proofs."""
        swept = 0
        for marker in self._client.listed(f"{keys.INCOMING}/{of_writer}", older_than_seconds=older_than_seconds):
            if marker["Key"] != ADOPTED:
                swept += self._abort_marked(marker["Key"])
        if not of_writer:
            swept += self._abort_unmarked(older_than_seconds)
            for proof in self._client.listed(f"{keys.PROBE}/", older_than_seconds=older_than_seconds):
                self._client.call("delete_object", Key=proof["Key"])
                swept += 1
        return swept

    def unfinished(self, older_than_seconds: float = 0) -> int:
        uploads = self._client.unfinished(older_than_seconds=older_than_seconds)
        old = [key for key, _ in uploads if _is_ours(key)]
        if not old or not older_than_seconds:
            return len(old)
        markers = list(self._client.listed(f"{keys.INCOMING}/"))  # each is written again as long as its upload grows
        growing = {self._marked_key(one["Key"]) for one in markers if one["AgeSeconds"] < older_than_seconds}
        return sum(key not in growing for key in old)

    def free_bytes(self) -> int | None:
        return None

    def link(self, key: str) -> Link:
        segments_of(key)
        url, expires_at = self._client.signed_url(
            key, content_type=content_type_of(key), content_disposition=content_disposition_of(key)
        )
        return Link(url, expires_at)

    def _copy_within(self, key: str, to: str, *, size_bytes: int) -> BlobInfo:
        """Have the store copy the object, with what was noted on it. Raises ``NotSupported``."""
        source = {"Bucket": self._client.bucket, "Key": key}
        self._client.call("copy_object", Key=to, CopySource=source).tells("CopyObjectResult")
        copied = self.info(to)
        if copied.size_bytes != size_bytes:
            raise StorageUnavailable("the store kept fewer or more bytes than it was to copy")
        return copied

    def _abort_marked(self, marker: str) -> int:
        """Abort the multipart uploads of the key that the marker names; how many there were."""
        key = self._marked_key(marker)
        if key is None:
            return 0
        aborted = self._client.abort_all(key)
        self._client.call("delete_object", Key=marker)
        return aborted

    def _abort_unmarked(self, older_than_seconds: float) -> int:
        """Abort old multipart uploads of keys of ours that no marker names any more; how many there were."""
        uploads = [
            found for found in self._client.unfinished(older_than_seconds=older_than_seconds) if _is_ours(found[0])
        ]
        if not uploads:
            return 0
        marked = {self._marked_key(marker["Key"]) for marker in self._client.listed(f"{keys.INCOMING}/")}
        strays = [(key, upload_id) for key, upload_id in uploads if key not in marked]
        for key, upload_id in strays:
            self._client.abort(key, upload_id)
        return len(strays)

    def _marked_key(self, marker: str) -> str | None:
        """The key that a marker stands for; ``None`` where its writer has just come to its end."""
        if marker == ADOPTED:
            return None
        with suppress(NotFound):
            return str(json.loads(self._client.read(marker))["key"])
        return None


def _is_ours(key: str) -> bool:
    with suppress(BadKey):
        return bool(segments_of(key))
    return False


@contextmanager
def _scratch_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull(f"WORK_DIR cannot take a copy: {error.strerror}") from error
