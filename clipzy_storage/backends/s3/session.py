"""The configuration of boto3, which depends on whether the endpoint is AWS or another service.

boto3 finds endpoint, region and credentials by itself (environment, profile, role); nothing of that passes through
our settings. Requests and links are signed with SigV4 for every service.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3.session
from botocore.client import Config
from botocore.exceptions import BotoCoreError

from clipzy_storage.backends.s3.errors import SETTINGS_ERRORS
from clipzy_storage.errors import ConfigurationError, StorageUnavailable

DEFAULT_REGION = "us-east-1"
"""What services other than AWS expect if no region is set."""
AWS_CHECKSUM = "CRC32"

_AWS = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
    ".api.amazonwebservices.eu",
)


@dataclass(frozen=True)
class Timeouts:
    """How long one request may take if the service does not respond: ``tries`` times the longer one, plus pauses."""

    connect_seconds: float = 5.0
    """To connect, and for each block that is sent."""
    read_seconds: float = 15.0
    """For the response, and for each block of it."""
    tries: int = 3
    """How often a request is sent."""


@dataclass(frozen=True)
class Connection:
    """boto3's clients: ``api`` sends requests, ``signer`` signs links to the public endpoint."""

    session: Any
    api: Any
    signer: Any
    on_aws: bool


def connect(
    *, addressing_style: str, public_endpoint_url: str | None, timeouts: Timeouts, on_aws: bool | None = None
) -> Connection:
    """Set boto3 up. Sends no request to the service yet, but may send one to the provider of the credentials.

    ``on_aws``: whether the service is AWS; None to decide by its address.

    Raises:
        ConfigurationError: boto3 finds no region, profile or endpoint that can be used.
        StorageUnavailable: the credentials of a role are unavailable now.
    """
    with _setup_errors_translated():
        session = boto3.session.Session()
        region = session.region_name
        plain = session.client("s3", region_name=region or DEFAULT_REGION)
        on_aws = is_aws(plain.meta.endpoint_url) if on_aws is None else on_aws
        if on_aws and region is None:
            raise ConfigurationError(
                ["AWS_DEFAULT_REGION is missing, which AWS needs. Set it to the region of the bucket."]
            )
        # If a bucket's name has a dot, which no certificate matches, botocore uses the path in any case.
        auto = "virtual" if on_aws else "path"
        style = auto if addressing_style == "auto" else addressing_style

        def client(endpoint_url: str | None, *, checksums: bool) -> Any:
            config = _config(style, checksums="when_supported" if checksums else "when_required", timeouts=timeouts)
            return session.client("s3", region_name=region or DEFAULT_REGION, endpoint_url=endpoint_url, config=config)

        # Other services reject the newer checksums; content is compared with our own sha256 in any case. A link cannot
        # have the checksum of what a client will send.
        api, signer = client(None, checksums=on_aws), client(public_endpoint_url, checksums=False)
        return Connection(session, api, signer, on_aws)


def is_aws(endpoint_url: str) -> bool:
    """Whether this is an endpoint of AWS, in any of its partitions."""
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS)


def _config(style: str, *, checksums: str, timeouts: Timeouts) -> Config:
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        connect_timeout=timeouts.connect_seconds,
        read_timeout=timeouts.read_seconds,
        retries={"mode": "standard", "total_max_attempts": timeouts.tries},
        max_pool_connections=50,
    )


@contextmanager
def _setup_errors_translated() -> Iterator[None]:
    try:
        yield
    except SETTINGS_ERRORS as error:
        raise ConfigurationError(
            [f"boto3 cannot be set up: {str(error).rstrip('.')}. Correct its settings."]
        ) from error
    except BotoCoreError as error:  # the provider of a role's credentials does not respond
        raise StorageUnavailable(
            f"credentials for the S3 service are unavailable now ({type(error).__name__})"
        ) from error
    except ValueError as error:  # an endpoint that is not a URL; the text repeats it, with any password in it
        problem = "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is not a URL. Set it to http://host:port or https://…."
        raise ConfigurationError([problem]) from error
