"""One bucket of an S3 service through boto3, and botocore's errors in our own words.

boto3 finds endpoint, region and credentials by itself (environment, profile, role); nothing of that passes through
our settings. Whatever service answers, requests are signed with SigV4.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import boto3.session
from botocore.client import Config

from clipzy_storage.errors import ConfigurationError, NotFound, StorageUnavailable
from clipzy_storage.s3_errors import OWN_FAULTS, translated

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60
TRIES = 3  # of each request, by botocore, with pauses in between
CREDENTIALS_MARGIN_SECONDS = 60  # a link ends so long before the credentials that sign it
DEFAULT_REGION = "us-east-1"  # what services other than AWS take when none is named


class S3Client:
    """Requests to one bucket. Safe for threads, and in a forked process, which connects anew."""

    def __init__(
        self, bucket: str, *, public_endpoint_url: str | None, addressing_style: str, presign_expires_seconds: int
    ) -> None:
        self.bucket = bucket
        self._public_endpoint_url = public_endpoint_url
        self._addressing_style = addressing_style
        self._presign_expires_seconds = presign_expires_seconds
        self._connecting = threading.Lock()
        self._pid = 0
        self._session: Any = None
        self._api: Any = None
        self._signer: Any = None

    @property
    def host(self) -> str:
        """The service's host, for messages. Raises ``ConfigurationError``."""
        self._connect()
        return str(urlsplit(self._api.meta.endpoint_url).netloc.rpartition("@")[2])

    def call(self, operation: str, *, about: str = "", **parameters: Any) -> Any:
        """Do one operation on the bucket; ``about`` is the key that errors name.

        Raises:
            ConfigurationError: boto3 finds no region, profile or endpoint that can be used.
            NotFound, AlreadyExists, Conflict, NotSupported, StorageFull, StorageUnavailable: see ``translated``.
        """
        self._connect()
        with translated(about or parameters.get("Key", "")):
            return getattr(self._api, operation)(Bucket=self.bucket, **parameters)

    def read(self, key: str) -> bytes:
        """All of a small object. Raises what ``call`` raises."""
        body = self.call("get_object", Key=key)["Body"]
        with translated(key), body:
            data: bytes = body.read()
        return data

    def has(self, key: str) -> bool:
        """Whether the object is there. Raises what ``call`` raises."""
        try:
            self.call("head_object", Key=key)
        except NotFound:
            return False
        return True

    def listed(self, prefix: str, *, older_than_seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """Everything under the prefix, in order; of a certain age by the service's own clock."""
        more: dict[str, str] = {}
        while True:
            page = self.call("list_objects_v2", about=prefix, Prefix=prefix, **more)
            now = _clock_of(page)
            for found in page.get("Contents", []):
                age_seconds = (now - found["LastModified"]).total_seconds()
                if older_than_seconds is None or age_seconds >= older_than_seconds:
                    yield found
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def unfinished(self, key: str) -> list[str]:
        """Ids of the key's multipart uploads that are under way. Raises what ``call`` raises."""
        try:
            uploads = self.call("list_multipart_uploads", about=key, Prefix=key).get("Uploads", [])
        except NotFound:  # rclone's word for none
            return []
        return [upload["UploadId"] for upload in uploads if upload["Key"] == key]

    def abort(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload; one that is over already is as good. Raises what ``call`` raises."""
        with suppress(NotFound):
            self.call("abort_multipart_upload", Key=key, UploadId=upload_id)

    def signed_url(self, key: str, *, content_disposition: str, content_type: str) -> tuple[str, datetime]:
        """An address that needs no credentials, and when it dies: before the credentials that sign it do.

        Raises:
            StorageUnavailable: there are no credentials now, or they are about to die.
        """
        self._connect()
        with translated(key):
            expires_seconds = self._life_seconds()
            now = datetime.now(UTC).replace(microsecond=0)
            url = self._signer.generate_presigned_url(
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

    def _life_seconds(self) -> int:
        credentials = self._session.get_credentials()
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

    def _connect(self) -> None:
        if self._pid == os.getpid():
            return
        with self._connecting:
            if self._pid == os.getpid():
                return
            with _complained_of():
                self._session = boto3.session.Session()
                self._api = self._client(None)
                self._signer = self._client(self._public_endpoint_url) if self._public_endpoint_url else self._api
            self._pid = os.getpid()

    def _client(self, endpoint_url: str | None) -> Any:
        region = self._session.region_name
        # Which service it is shows only in a client, and some of its settings depend on that.
        on_aws = _is_aws(self._session.client("s3", region_name=region or DEFAULT_REGION).meta.endpoint_url)
        if on_aws and region is None:
            raise ConfigurationError(
                ["AWS_DEFAULT_REGION is missing, which AWS needs. Set it to the region of the bucket."]
            )
        # A dot in the bucket's name would not fit the certificate of AWS.
        auto = "virtual" if on_aws and "." not in self.bucket else "path"
        # Other services stumble over the newer checksums; content is compared by our own sha256 in any case.
        checksums = "when_supported" if on_aws else "when_required"
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": auto if self._addressing_style == "auto" else self._addressing_style},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            max_pool_connections=50,
        )
        return self._session.client(
            "s3", region_name=region or DEFAULT_REGION, endpoint_url=endpoint_url, config=config
        )


@contextmanager
def _complained_of() -> Iterator[None]:
    try:
        yield
    except OWN_FAULTS as error:
        raise ConfigurationError(
            [f"boto3 cannot be set up: {str(error).rstrip('.')}. Correct its settings."]
        ) from error
    except ValueError as error:  # an endpoint that is no URL; the text repeats it, with any password in it
        problem = "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is no address. Set it to http://host:port or https://…."
        raise ConfigurationError([problem]) from error


def _clock_of(answer: dict[str, Any]) -> datetime:
    """The service's own clock, by which it says when objects were written."""
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(said) if said else datetime.now(UTC)


def _is_aws(endpoint_url: str) -> bool:
    host = urlsplit(endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
