"""One bucket of an S3 service: requests and links, with botocore's errors translated into our own."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from clipzy_storage.backends.error_counts import counted
from clipzy_storage.backends.s3.errors import NoResponse, boto_errors_translated, error_status, refused
from clipzy_storage.backends.s3.session import AWS_CHECKSUM, Connection, Timeouts, connect
from clipzy_storage.errors import AlreadyExists, CredentialsRefused, NotFound, StorageError, StorageUnavailable

BACK_OFF_SECONDS = 5.0
"""How long no request is sent after one that timed out."""
CREDENTIALS_MARGIN_SECONDS = 60
"""How long before the credentials that sign it a link expires."""

_CONDITIONS = {"IfMatch", "IfNoneMatch"}
_REFUSALS = {400, 401, 403}


class Response(dict[str, Any]):
    """A response of the S3 service. One that was truncated may look complete to botocore, and lack fields.

    Reading a field that is missing raises ``StorageUnavailable``.
    """

    def require(self, name: str) -> None:
        """Raise ``StorageUnavailable`` if the field is missing: for one that every service sends in any case."""
        self[name]

    def __missing__(self, name: str) -> Any:
        raise StorageUnavailable(f"the response of the S3 service lacks {name}; it was truncated, or is not of S3")


class S3Client:
    """Requests to one bucket. Safe for threads, and in a forked process, which makes new connections.

    A request to a service that does not respond takes as long as ``timeouts`` allow. The requests after it, such as
    those that clean up, then fail immediately instead of taking as long again.
    """

    def __init__(
        self,
        bucket: str,
        *,
        public_endpoint_url: str | None,
        addressing_style: str,
        presign_expires_seconds: int,
        timeouts: Timeouts,
        on_aws: bool | None = None,
    ) -> None:
        """Connects at the first request. ``on_aws``: whether the service is AWS; None to decide by its address."""
        self.bucket = bucket
        self._public_endpoint_url = public_endpoint_url
        self._addressing_style = addressing_style
        self._presign_expires_seconds = presign_expires_seconds
        self._timeouts = timeouts
        self._on_aws = on_aws
        self._connecting = threading.Lock()
        self._connection: tuple[int, Connection] | None = None
        self._last_response_at = self._back_off_until = 0.0

    @property
    def host(self) -> str:
        """The service's host, for messages. Raises ``ConfigurationError``, ``StorageUnavailable``."""
        return str(urlsplit(self._connected().api.meta.endpoint_url).netloc.rpartition("@")[2])

    @property
    def part_checksum(self) -> dict[str, str]:
        """Parameters with which a multipart upload must be created so that AWS accepts checksums of its parts."""
        return {"ChecksumAlgorithm": AWS_CHECKSUM} if self._connected().on_aws else {}

    def call(self, operation: str, *, about: str = "", **parameters: Any) -> Response:
        """Call one operation on the bucket; ``about`` is the key that errors name, by default ``Key``.

        Raises:
            ConfigurationError: boto3 finds no region, profile or endpoint that can be used.
            AlreadyExists: a condition in ``parameters`` was not met.
            NotFound, Conflict, NotSupported, StorageFull, StorageUnavailable: see ``boto_errors_translated``.
        """
        api, began_at = self._connected().api, time.monotonic()
        if began_at < self._back_off_until:
            raise StorageUnavailable("the S3 service did not respond a moment ago")
        try:
            with boto_errors_translated(about or parameters.get("Key", "")):
                response = getattr(api, operation)(Bucket=self.bucket, **parameters)
        except NoResponse:
            if self._last_response_at < began_at:  # no other thread has had a response meanwhile
                self._back_off_until = time.monotonic() + BACK_OFF_SECONDS
            raise
        except StorageUnavailable as error:
            if operation == "head_object" and error_status(error.__cause__) in _REFUSALS:
                self._raise_if_credentials_are_refused(parameters["Key"])
            raise
        except AlreadyExists as error:
            if not _CONDITIONS & parameters.keys():
                raise StorageUnavailable("the S3 service refuses a condition that was not sent") from error
            raise
        self._last_response_at = time.monotonic()
        return Response(response)

    def read(self, key: str) -> bytes:
        """All of a small object. Raises what ``call`` raises."""
        response = self.call("get_object", Key=key)
        with boto_errors_translated(key), response["Body"] as body:
            data: bytes = body.read()
        if len(data) != response["ContentLength"]:
            raise counted(StorageUnavailable(f"the response of the S3 service for {key} is truncated"))
        return data

    def has(self, key: str) -> bool:
        """Whether the object is there. Raises what ``call`` raises."""
        try:
            self.call("head_object", Key=key)
        except NotFound:
            return False
        return True

    def list_objects(self, prefix: str, *, older_than_seconds: float = 0, after: str = "") -> Iterator[dict[str, Any]]:
        """The objects under the prefix, in key order, that are so old by the service's clock: their ``AgeSeconds``.

        ``after``: only those whose key sorts after it.
        """
        more: dict[str, str] = {"StartAfter": after} if after else {}
        while True:
            page = self.call("list_objects_v2", about=prefix, Prefix=prefix, **more)
            page.require("Name")
            yield from _aged(page, page.get("Contents", []), "LastModified", older_than_seconds)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def list_uploads(self, prefix: str = "", *, older_than_seconds: float = 0) -> Iterator[tuple[str, str]]:
        """Key and id of the multipart uploads in progress that are so old by the service's clock."""
        more: dict[str, str] = {}
        while True:
            try:
                page = self.call("list_multipart_uploads", about=prefix, Prefix=prefix, **more)
            except NotFound:  # the response of rclone if there are none
                return
            page.require("Bucket")
            for upload in _aged(page, page.get("Uploads", []), "Initiated", older_than_seconds):
                yield upload["Key"], upload["UploadId"]
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def list_parts(self, key: str, upload_id: str) -> Iterator[dict[str, Any]]:
        """The parts of a multipart upload that the service has, by number, with their age by its clock: ``AgeSeconds``.

        Raises what ``call`` raises.
        """
        more: dict[str, Any] = {}
        while True:
            page = self.call("list_parts", Key=key, UploadId=upload_id, **more)
            page.require("Bucket")
            yield from _aged(page, page.get("Parts", []), "LastModified", 0)
            if not page.get("IsTruncated"):
                return
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def abort(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload, unless it is completed or aborted already. Raises what ``call`` raises."""
        with suppress(NotFound):
            self.call("abort_multipart_upload", Key=key, UploadId=upload_id)

    def abort_all(self, key: str) -> int:
        """Abort all multipart uploads of the key; returns their number. Raises what ``call`` raises."""
        found = [upload_id for of_key, upload_id in self.list_uploads(key) if of_key == key]
        for upload_id in found:
            self.abort(key, upload_id)
        return len(found)

    def signed_url(self, key: str, *, content_disposition: str, content_type: str) -> tuple[str, datetime]:
        """A URL that needs no credentials, and when it expires: before the credentials that sign it.

        Raises:
            StorageUnavailable: there are no credentials now, or they are about to expire.
        """
        connection = self._connected()
        with boto_errors_translated(key):
            expires_seconds = self._lifetime_seconds(connection)
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

    def signed_parts(self, key: str, upload_id: str, numbers: Iterable[int]) -> tuple[dict[int, str], datetime]:
        """URLs to which the parts of a multipart upload can be sent, and when they expire. Raises as ``signed_url``."""
        connection = self._connected()
        with boto_errors_translated(key):
            expires_seconds = self._lifetime_seconds(connection)
            now = datetime.now(UTC).replace(microsecond=0)
            part = {"Bucket": self.bucket, "Key": key, "UploadId": upload_id}
            urls = {
                number: connection.signer.generate_presigned_url(
                    "upload_part", Params=part | {"PartNumber": number}, ExpiresIn=expires_seconds
                )
                for number in numbers
            }
        return urls, now + timedelta(seconds=expires_seconds)

    def _raise_if_credentials_are_refused(self, key: str) -> None:
        """Ask in another way why a HEAD was refused: the response to one has no body, and so no code."""
        try:
            self.call("get_object", Key=key, Range="bytes=0-0")["Body"].close()
        except CredentialsRefused:
            raise
        except StorageError:
            return

    def _lifetime_seconds(self, connection: Connection) -> int:
        credentials = connection.session.get_credentials()
        if credentials is None:
            raise StorageUnavailable("there are no credentials for the S3 service")
        credentials.get_frozen_credentials()  # renews those of a role that expire soon
        # botocore does not publish when credentials expire; keys that do not expire lack the attribute.
        expires_at = getattr(credentials, "_expiry_time", None)
        if expires_at is None:
            return self._presign_expires_seconds
        left_seconds = int((expires_at - datetime.now(UTC)).total_seconds()) - CREDENTIALS_MARGIN_SECONDS
        if left_seconds < 1:
            raise refused("they expire now and were not renewed", "Check what provides them")
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
                    on_aws=self._on_aws,
                )
                self._connection = os.getpid(), connection
            return self._connection[1]


def metadata_of(response: dict[str, Any]) -> dict[str, str]:
    """The metadata of the object, by lower-case names: services differ in how they write them."""
    return {name.lower(): value for name, value in response.get("Metadata", {}).items()}


def _aged(
    page: dict[str, Any], entries: list[dict[str, Any]], time_field: str, older_than_seconds: float
) -> Iterator[dict[str, Any]]:
    """The entries that are so old, with their age by the service's clock; without a ``Date`` header none is old."""
    date = page["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else None
    for entry in entries:
        age_seconds = max(0.0, (now - entry[time_field]).total_seconds()) if now else 0.0
        if age_seconds >= older_than_seconds:
            yield entry | {"AgeSeconds": age_seconds}
