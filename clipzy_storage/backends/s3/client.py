"""One bucket of an S3 service: requests, and links, with botocore's errors in our own words."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from clipzy_storage.backends.s3.errors import Silent, translated
from clipzy_storage.backends.s3.session import AWS_CHECKSUM, Connection, Timeouts, connect
from clipzy_storage.errors import AlreadyExists, NotFound, StorageUnavailable

SILENT_SECONDS = 5.0  # how long nobody asks a store that has just let a request run out of time
CREDENTIALS_MARGIN_SECONDS = 60  # a link ends so long before the credentials that sign it

_CONDITIONS = {"IfMatch", "IfNoneMatch"}


class Answer(dict[str, Any]):
    """What the store answered. An answer that was cut on its way may seem whole to botocore, and lack what it told."""

    def tells(self, name: str) -> None:
        """Raise ``StorageUnavailable`` where it does not: for names that every service tells, whatever it has found."""
        self[name]

    def __missing__(self, name: str) -> Any:
        raise StorageUnavailable(f"the store's answer lacks its {name}; it was cut, or is none of S3")


class S3Client:
    """Requests to one bucket. Safe for threads, and in a forked process, which connects anew.

    A request to a store that keeps silent takes as long as ``timeouts`` allow. What would follow it, such as
    cleaning up, then fails at once instead of taking as long again.
    """

    def __init__(
        self,
        bucket: str,
        *,
        public_endpoint_url: str | None,
        addressing_style: str,
        presign_expires_seconds: int,
        timeouts: Timeouts,
    ) -> None:
        self.bucket = bucket
        self._public_endpoint_url = public_endpoint_url
        self._addressing_style = addressing_style
        self._presign_expires_seconds = presign_expires_seconds
        self._timeouts = timeouts
        self._connecting = threading.Lock()
        self._connection: tuple[int, Connection] | None = None
        self._answered_at = self._silent_until = 0.0

    @property
    def host(self) -> str:
        """The service's host, for messages. Raises ``ConfigurationError``, ``StorageUnavailable``."""
        return str(urlsplit(self._connected().api.meta.endpoint_url).netloc.rpartition("@")[2])

    @property
    def part_checksum(self) -> dict[str, str]:
        """What a multipart upload has to say at its beginning, so that AWS takes the checksums of its parts."""
        return {"ChecksumAlgorithm": AWS_CHECKSUM} if self._connected().on_aws else {}

    def call(self, operation: str, *, about: str = "", **parameters: Any) -> Answer:
        """Do one operation on the bucket; ``about`` is the key that errors name.

        Raises:
            ConfigurationError: boto3 finds no region, profile or endpoint that can be used.
            AlreadyExists: a condition that ``parameters`` made was not met.
            NotFound, Conflict, NotSupported, StorageFull, StorageUnavailable: see ``translated``.
        """
        api, began_at = self._connected().api, time.monotonic()
        if began_at < self._silent_until:
            raise StorageUnavailable("the store did not answer a moment ago")
        try:
            with translated(about or parameters.get("Key", "")):
                answer = getattr(api, operation)(Bucket=self.bucket, **parameters)
        except Silent:
            if self._answered_at < began_at:  # nor has it answered anybody else meanwhile
                self._silent_until = time.monotonic() + SILENT_SECONDS
            raise
        except AlreadyExists as error:
            if not _CONDITIONS & parameters.keys():
                raise StorageUnavailable("the store speaks of a condition that was not made") from error
            raise
        self._answered_at = time.monotonic()
        return Answer(answer)

    def read(self, key: str) -> bytes:
        """All of a small object. Raises what ``call`` raises."""
        answer = self.call("get_object", Key=key)
        with translated(key), answer["Body"] as body:
            data: bytes = body.read()
        if len(data) != answer["ContentLength"]:
            raise StorageUnavailable(f"the store's answer for {key} ended too early")
        return data

    def has(self, key: str) -> bool:
        """Whether the object is there. Raises what ``call`` raises."""
        try:
            self.call("head_object", Key=key)
        except NotFound:
            return False
        return True

    def listed(self, prefix: str, *, older_than_seconds: float = 0) -> Iterator[dict[str, Any]]:
        """Everything under the prefix, in order, of a certain age by the service's own clock: its ``AgeSeconds``."""
        more: dict[str, str] = {}
        while True:
            page = self.call("list_objects_v2", about=prefix, Prefix=prefix, **more)
            page.tells("Name")
            yield from _aged(page, page.get("Contents", []), "LastModified", older_than_seconds)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def unfinished(self, prefix: str = "", *, older_than_seconds: float = 0) -> Iterator[tuple[str, str]]:
        """Key and id of every multipart upload that is under way; of a certain age by the service's own clock."""
        more: dict[str, str] = {}
        while True:
            try:
                page = self.call("list_multipart_uploads", about=prefix, Prefix=prefix, **more)
            except NotFound:  # rclone's word for none
                return
            page.tells("Bucket")
            for upload in _aged(page, page.get("Uploads", []), "Initiated", older_than_seconds):
                yield upload["Key"], upload["UploadId"]
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def part_bytes(self, key: str, upload_id: str) -> int:
        """How many bytes the store has of a multipart upload. Raises what ``call`` raises."""
        size_bytes = 0
        more: dict[str, Any] = {}
        while True:
            page = self.call("list_parts", Key=key, UploadId=upload_id, **more)
            page.tells("Bucket")
            size_bytes += sum(int(part["Size"]) for part in page.get("Parts", []))
            if not page.get("IsTruncated"):
                return size_bytes
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def abort(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload; one that is over already is as good. Raises what ``call`` raises."""
        with suppress(NotFound):
            self.call("abort_multipart_upload", Key=key, UploadId=upload_id)

    def abort_all(self, key: str) -> int:
        """Abort whatever multipart uploads the key has; how many there were. Raises what ``call`` raises."""
        found = [upload_id for of_key, upload_id in self.unfinished(key) if of_key == key]
        for upload_id in found:
            self.abort(key, upload_id)
        return len(found)

    def signed_url(self, key: str, *, content_disposition: str, content_type: str) -> tuple[str, datetime]:
        """An address that needs no credentials, and when it dies: before the credentials that sign it do.

        Raises:
            StorageUnavailable: there are no credentials now, or they are about to die.
        """
        connection = self._connected()
        with translated(key):
            expires_seconds = self._life_seconds(connection)
            now = datetime.now(UTC).replace(microsecond=0)
            url = connection.signer.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self.bucket,
                    "Key": key,
                    "ResponseContentDisposition": content_disposition,
                    "ResponseContentType": content_type,
                },
                ExpiresIn=expires_seconds,
            )
        return url, now + timedelta(seconds=expires_seconds)

    def _life_seconds(self, connection: Connection) -> int:
        credentials = connection.session.get_credentials()
        if credentials is None:
            raise StorageUnavailable("there are no credentials for the store")
        credentials.get_frozen_credentials()  # renews those of a role that end soon
        # botocore tells nobody when credentials end; for keys without an end the attribute is not there.
        ends_at = getattr(credentials, "_expiry_time", None)
        if ends_at is None:
            return self._presign_expires_seconds
        left_seconds = int((ends_at - datetime.now(UTC)).total_seconds()) - CREDENTIALS_MARGIN_SECONDS
        if left_seconds < 1:
            raise StorageUnavailable("the credentials for the store end now and were not renewed")
        return min(self._presign_expires_seconds, left_seconds)

    def _connected(self) -> Connection:
        known = self._connection
        if known is not None and known[0] == os.getpid():
            return known[1]
        with self._connecting:
            if self._connection is None or self._connection[0] != os.getpid():
                connection = connect(
                    addressing_style=self._addressing_style,
                    public_endpoint_url=self._public_endpoint_url,
                    timeouts=self._timeouts,
                )
                self._connection = os.getpid(), connection
            return self._connection[1]


def metadata_of(answer: dict[str, Any]) -> dict[str, str]:
    """What a writer has noted on the object; services differ in how they write the names."""
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}


def _aged(
    page: dict[str, Any], found: list[dict[str, Any]], when: str, older_than_seconds: float
) -> Iterator[dict[str, Any]]:
    """Those of a certain age, with it, by the clock that dates them: where the service tells no time, none is old."""
    said = page["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(said) if said else None
    for one in found:
        age_seconds = max(0.0, (now - one[when]).total_seconds()) if now else 0.0
        if age_seconds >= older_than_seconds:
            yield one | {"AgeSeconds": age_seconds}
