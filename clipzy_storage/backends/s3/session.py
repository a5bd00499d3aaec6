"""How boto3 is told to reach a service: which service it is shows in its address, and settings depend on that.

boto3 finds endpoint, region and credentials by itself (environment, profile, role); nothing of that passes through
our settings. Whatever service answers, requests and links are signed with SigV4.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3.session
from botocore.client import Config
from botocore.exceptions import BotoCoreError

from clipzy_storage.backends.s3.errors import OWN_FAULTS
from clipzy_storage.errors import ConfigurationError, StorageUnavailable

DEFAULT_REGION = "us-east-1"  # what services other than AWS take when none is named
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
    """How long one request may be held up by a store that keeps silent: ``tries`` times the longest, and pauses."""

    connect_seconds: float = 5.0  # to connect, and for each block that is sent
    read_seconds: float = 15.0  # for the answer, and for each block of it
    tries: int = 3


@dataclass(frozen=True)
class Connection:
    """boto3's clients: ``api`` asks the service, ``signer`` signs links to its public address."""

    session: Any
    api: Any
    signer: Any
    on_aws: bool


def connect(*, addressing_style: str, public_endpoint_url: str | None, timeouts: Timeouts) -> Connection:
    """Set boto3 up; nothing is asked of the store yet, though maybe of whoever gives the credentials.

    Raises:
        ConfigurationError: boto3 finds no region, profile or endpoint that can be used.
        StorageUnavailable: the credentials of a role cannot be had now.
    """
    with _complained_of():
        session = boto3.session.Session()
        region = session.region_name
        plain = session.client("s3", region_name=region or DEFAULT_REGION)
        on_aws = is_aws(plain.meta.endpoint_url)
        if on_aws and region is None:
            raise ConfigurationError(
                ["AWS_DEFAULT_REGION is missing, which AWS needs. Set it to the region of the bucket."]
            )
        # Where a bucket's name has a dot, which no certificate fits, botocore takes the path in any case.
        auto = "virtual" if on_aws else "path"
        style = auto if addressing_style == "auto" else addressing_style
        config = _config(style, on_aws=on_aws, timeouts=timeouts)

        def client(endpoint_url: str | None) -> Any:
            return session.client("s3", region_name=region or DEFAULT_REGION, endpoint_url=endpoint_url, config=config)

        api = client(None)
        return Connection(session, api, client(public_endpoint_url) if public_endpoint_url else api, on_aws)


def is_aws(endpoint_url: str) -> bool:
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS)


def _config(style: str, *, on_aws: bool, timeouts: Timeouts) -> Config:
    # Other services stumble over the newer checksums; content is compared by our own sha256 in any case.
    checksums = "when_supported" if on_aws else "when_required"
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
def _complained_of() -> Iterator[None]:
    try:
        yield
    except OWN_FAULTS as error:
        raise ConfigurationError(
            [f"boto3 cannot be set up: {str(error).rstrip('.')}. Correct its settings."]
        ) from error
    except BotoCoreError as error:  # who gives the credentials of a role does not answer
        raise StorageUnavailable(f"credentials for the store cannot be had now ({type(error).__name__})") from error
    except ValueError as error:  # an endpoint that is no URL; the text repeats it, with any password in it
        problem = "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is no address. Set it to http://host:port or https://…."
        raise ConfigurationError([problem]) from error
