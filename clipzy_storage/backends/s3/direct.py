"""Uploads whose parts clients send to the S3 service themselves, by signed URLs."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from clipzy_storage.backends.base import BlobInfo, StoredPart
from clipzy_storage.backends.content_types import content_type_of
from clipzy_storage.backends.s3.client import S3Client
from clipzy_storage.backends.s3.growing import MultipartState, read_state, write_state
from clipzy_storage.backends.s3.multipart import complete_parts, part_of
from clipzy_storage.backends.s3.write_once import TOKEN, WriteOnce
from clipzy_storage.errors import NotFound


class S3DirectParts:
    """The ``DirectParts`` of one bucket."""

    def __init__(self, client: S3Client, *, conditional: bool) -> None:
        self._client = client
        self._conditional = conditional

    def begin(self, upload_id: str, key: str, *, part_bytes: int) -> None:
        state = read_state(self._client, upload_id)
        if state is not None and self._exists(state):
            return
        about: dict[str, Any] = {"ContentType": content_type_of(key), "Metadata": {TOKEN: upload_id}}
        multipart_id = self._client.call("create_multipart_upload", Key=key, **about)["UploadId"]
        state = MultipartState(key=key, upload_id=multipart_id, part_bytes=part_bytes)
        write_state(self._client, upload_id, state)

    def sign(self, upload_id: str, numbers: Iterable[int]) -> tuple[dict[int, str], datetime]:
        state = self._state(upload_id)
        return self._client.signed_parts(state.key, state.upload_id, numbers)

    def parts(self, upload_id: str) -> list[StoredPart]:
        state = self._state(upload_id)
        return [
            StoredPart(int(part["PartNumber"]), str(part["ETag"]).strip('"'), int(part["Size"]))
            for part in self._client.list_parts(state.key, state.upload_id)
        ]

    def complete(self, upload_id: str, numbers: Iterable[int]) -> BlobInfo:
        state, wanted = self._state(upload_id), set(numbers)
        found = self._client.list_parts(state.key, state.upload_id)
        parts = [part_of(int(part["PartNumber"]), part) for part in found if part["PartNumber"] in wanted]
        once = WriteOnce(self._client, state.key, token=upload_id, conditional=self._conditional)
        once.publish(partial(complete_parts, self._client, state.key, state.upload_id, parts))
        return BlobInfo(state.key, self._client.call("head_object", Key=state.key)["ContentLength"])

    def _exists(self, state: MultipartState) -> bool:
        """False also if the service has aborted it, by a rule of the bucket say."""
        try:
            next(self._client.list_parts(state.key, state.upload_id), None)
        except NotFound:
            return False
        return True

    def _state(self, upload_id: str) -> MultipartState:
        state = read_state(self._client, upload_id)
        if state is None:
            raise NotFound(f"no multipart upload was begun for {upload_id}")
        return state
