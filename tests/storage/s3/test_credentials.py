"""Credentials are found by boto3's own chain; those of a role are used, renewed, and never outlived by a link."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.s3.storage import SMALLEST_PART_BYTES
from clipzy_storage.errors import ConfigurationError, CredentialsRefused, StorageUnavailable
from clipzy_storage.models.records import Link
from tests.storage.s3.conftest import OpenStorage
from tests.support.credentials_endpoint import Role
from tests.support.deployment import Deployment
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import ACCESS_KEY, S3Server

KEY = "results/job_1/output.json"
on_moto = pytest.mark.parametrize("server", ["moto"], indirect=True)  # the server has no part in it


@pytest.fixture
def role(environment: pytest.MonkeyPatch) -> Iterator[Role]:
    """A role of this process, which has no keys."""
    with Role() as role:
        role.take_over(environment)
        yield role


def lifetime_seconds(link: Link) -> int:
    """The lifetime in the link itself."""
    return int(parse_qs(urlsplit(link.url).query)["X-Amz-Expires"][0])


def signed_by(link: Link) -> str:
    return parse_qs(urlsplit(link.url).query)["X-Amz-Security-Token"][0]


@pytest.mark.usefixtures("role")
def test_a_role_is_enough_for_everything(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    # Given a process without keys, and a role
    assert not {name for name in os.environ if name.startswith("AWS_") and "KEY" in name}
    storage = open_storage(proxy.url)

    # When the storage is verified, written in one request and in parts, read and listed
    storage.prepare()
    content = os.urandom(SMALLEST_PART_BYTES + 1)
    for key in (KEY, "uploads/vid_1/source.mp4"):
        put_bytes(storage, key, content[:: 1 if key != KEY else 1000], content_type="application/json")
    assert read_bytes(storage, "uploads/vid_1/source.mp4") == content
    assert [blob.key for blob in storage.list("results/")] == [KEY]

    # Then every request is signed with the role's credentials, and so are links, which work
    assert {request.headers["X-Amz-Security-Token"] for request in proxy.seen} == {"token-1"}
    assert "CompleteMultipartUpload" in proxy.operations()
    link = storage.link(KEY)
    assert signed_by(link) == "token-1"
    assert requests.get(link.url, timeout=30).content == content[::1000]
    assert storage.delete(KEY)


@on_moto
def test_credentials_are_renewed_when_they_expire(open_storage: OpenStorage, role: Role, proxy: S3Proxy) -> None:
    # Given credentials that are about to expire
    role.life_seconds = 30
    storage = open_storage(proxy.url)
    storage.prepare()

    # When requests follow, and longer-lived ones are provided
    role.life_seconds = 6 * 3600
    storage.check()
    storage.check()

    # Then these are used, and are requested once
    tokens = [request.headers["X-Amz-Security-Token"] for request in proxy.seen]
    assert tokens[-1] == f"token-{role.asked}" != tokens[0]
    asked = role.asked
    storage.check()
    assert role.asked == asked


@on_moto
def test_a_link_expires_before_the_credentials_that_sign_it(open_storage: OpenStorage, role: Role) -> None:
    # Given credentials that expire in five minutes, and links that should live for an hour
    role.life_seconds = 300
    storage = open_storage(presign_expires_seconds=3600)

    # When links are made
    first, second = storage.link(KEY), storage.link(KEY)

    # Then they expire a minute before the credentials, by the URL itself and by what clients get
    for link in (first, second):
        assert 200 < lifetime_seconds(link) <= 240
        assert link.expires_at is not None
        left_seconds = (link.expires_at - datetime.now(UTC)).total_seconds()
        assert lifetime_seconds(link) - 5 < left_seconds <= lifetime_seconds(link)

    # And each has a new signature
    assert signed_by(first) != signed_by(second)


@on_moto
@pytest.mark.usefixtures("role")
def test_a_link_of_permanent_credentials_lives_as_long_as_was_set(open_storage: OpenStorage) -> None:
    assert lifetime_seconds(open_storage(presign_expires_seconds=3600).link(KEY)) == 3600


@on_moto
def test_there_is_no_link_that_would_expire_immediately(open_storage: OpenStorage, role: Role) -> None:
    role.life_seconds = 59
    with pytest.raises(StorageUnavailable, match="expire now"):
        open_storage().link(KEY)


@on_moto
def test_an_unavailable_role_is_waited_for(open_storage: OpenStorage, role: Role) -> None:
    # Given an endpoint that provides no credentials
    role.is_unavailable = True
    storage = open_storage()

    # When the storage is used, then that may be temporary, and is not a mistake of the operator
    with pytest.raises(StorageUnavailable, match="credentials"):
        storage.prepare()

    # When it provides some that expire immediately, and is unavailable again
    role.is_unavailable, role.life_seconds = False, 1
    storage.prepare()
    role.is_unavailable = True
    with pytest.raises(StorageUnavailable):
        storage.check()

    # Then everything works again when it is available
    role.is_unavailable, role.life_seconds = False, 3600
    storage.check()


@on_moto
@pytest.mark.usefixtures("role")
def test_no_credentials_at_all_are_a_mistake(open_storage: OpenStorage, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    storage = open_storage()
    with pytest.raises(ConfigurationError, match=r"no credentials were found. Set AWS_ACCESS_KEY_ID"):
        storage.prepare()


@pytest.mark.parametrize("server", ["rclone"], indirect=True)  # it checks keys
def test_keys_of_the_env_file_reach_boto3(server: S3Server, bucket: str, tmp_path: Path, redis_url: str) -> None:
    # Given a directory with an .env file that has everything, keys included
    settings = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": bucket, **server.env}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    with Deployment(tmp_path / "logs", redis_url=redis_url) as stack:
        # When a command is started there, and another in an environment with other values
        doctor = stack.run("doctor", cwd=tmp_path)
        wrong = stack.run("doctor", cwd=tmp_path, settings={"AWS_SECRET_ACCESS_KEY": "another-one"})
        doctor.wait()
        wrong.wait()
        # Then the file is used, and the environment takes precedence
        assert f"s3://{bucket} on {server.url[7:]} can be written" in doctor.output()
        assert "the secret key is wrong" in wrong.output()
        assert "another-one" not in wrong.output()


REFUSALS = [
    (400, "ExpiredToken", "the session token has expired"),
    (400, "ExpiredTokenException", "the session token has expired"),
    (400, "InvalidToken", "the session token is wrong"),
    (403, "InvalidAccessKeyId", "does not know the access key"),
    (403, "SignatureDoesNotMatch", "the secret key is wrong"),
    (403, "RequestTimeTooSkewed", "clock is too far from that of the S3 service"),
]


@on_moto
@pytest.mark.parametrize(("status", "code", "finding"), REFUSALS)
def test_refused_credentials_are_named_whatever_is_asked(
    open_storage: OpenStorage, proxy: S3Proxy, status: int, code: str, finding: str
) -> None:
    """Without the second request a refused HEAD, whose response has no body, is a mere 400 or 403."""
    # Given a storage that has worked
    storage = open_storage(proxy.url)
    storage.prepare()
    put_bytes(storage, KEY, b"content", content_type="text/plain")
    # When the service refuses its credentials
    for operation in ("HeadObject", "GetObject", "PutObject", "ListObjectsV2"):
        proxy.rules[operation] = Rule(status, code)
    asked: dict[str, Callable[[], object]] = {
        "check": storage.check,
        "exists": lambda: storage.exists(KEY),
        "read": lambda: read_bytes(storage, KEY),
        "write": lambda: put_bytes(storage, KEY + "x", b"content", content_type="text/plain"),
        "list": lambda: list(storage.list("results/")),
        "delete": lambda: storage.delete(KEY),
    }
    # Then every method says so, with the remedy and without the credentials
    for name, ask in asked.items():
        with pytest.raises(CredentialsRefused) as error:
            ask()
        assert finding in error.value.finding, name
        assert error.value.remedy in str(error.value)
        assert ACCESS_KEY not in str(error.value)


@on_moto
def test_a_missing_right_is_not_taken_for_refused_credentials(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    storage = open_storage(proxy.url)
    proxy.rules["HeadObject"] = Rule(403, "AccessDenied")
    with pytest.raises(StorageUnavailable) as error:
        storage.exists(KEY)
    assert not isinstance(error.value, CredentialsRefused)


@on_moto
def test_credentials_that_a_role_renews_too_late_are_named(open_storage: OpenStorage, role: Role) -> None:
    """botocore raises a bare RuntimeError."""
    # Given a storage under a role
    role.life_seconds = 60  # so little that botocore renews them for every request
    storage = open_storage()
    storage.prepare()
    # When the role provides credentials that have expired already
    role.life_seconds = -60
    # Then requests and links say so
    for ask in (storage.check, partial(storage.link, KEY)):
        with pytest.raises(CredentialsRefused, match="of the role have expired and were not renewed"):
            ask()
