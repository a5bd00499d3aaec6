"""The parts of one multipart upload, sent several at a time while the next one is filled."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore
from typing import Any

from clipzy_storage.backends.s3.client import S3Client
from clipzy_storage.backends.s3.part_buffer import PartBuffer

PARALLEL_PARTS = 4
"""How many parts of one file are sent at a time."""

Part = dict[str, Any]
"""What the service is told of a part when the upload is completed: its number, its ETag and its checksums."""


class MultipartUpload:
    """A multipart upload that was created under ``upload_id``. Its methods may raise ``StorageError``."""

    def __init__(self, client: S3Client, key: str, upload_id: str, *, part_slots: BoundedSemaphore) -> None:
        """``part_slots`` bounds the parts in memory of all files."""
        self._client = client
        self._key = key
        self.upload_id = upload_id
        self._part_slots = part_slots
        self._sent: list[Future[Part]] = []
        self._pool: ThreadPoolExecutor | None = None

    def send(self, number: int, body: PartBuffer) -> None:
        """Send a part in the background, and close it. Raises the error of an earlier one."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(PARALLEL_PARTS, thread_name_prefix="s3-part")
        for part in self._sent:
            if part.done():
                part.result()
        self._part_slots.acquire()
        part = self._pool.submit(self._upload_part, number, body)
        part.add_done_callback(lambda _: self._part_slots.release())
        self._sent.append(part)

    def sent(self) -> list[Part]:
        """All parts that were sent here, once each has arrived."""
        return [part.result() for part in self._sent]

    def stop(self) -> None:
        """Send no more, and wait for the parts that are being sent. Raises nothing."""
        for part in self._sent:
            part.cancel()
        wait(self._sent)
        if self._pool is not None:
            self._pool.shutdown()

    def complete(self, parts: list[Part], condition: Mapping[str, str]) -> None:
        """Make the parts the object, in their order."""
        complete_parts(self._client, self._key, self.upload_id, parts, condition)

    def _upload_part(self, number: int, body: PartBuffer) -> Part:
        part: Part = {"Key": self._key, "UploadId": self.upload_id, "PartNumber": number}
        with body:
            return part_of(number, self._client.call("upload_part", **part, Body=body))


def complete_parts(client: S3Client, key: str, upload_id: str, parts: list[Part], condition: Mapping[str, str]) -> None:
    """Make the parts of a multipart upload the object, in their order."""
    upload: dict[str, Any] = {"Key": key, "UploadId": upload_id, "MultipartUpload": {"Parts": parts}}
    client.call("complete_multipart_upload", **upload, **condition).require("ETag")


def part_of(number: int, response: Mapping[str, Any]) -> Part:
    """The part that a response describes."""
    # AWS requires the checksums that botocore added to the parts again when the upload is completed.
    checksums = {
        name: value for name, value in response.items() if name.startswith("Checksum") and name != "ChecksumType"
    }
    return {"PartNumber": number, "ETag": response["ETag"], **checksums}
