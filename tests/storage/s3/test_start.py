"""What a start finds out about a bucket, and its messages if the bucket cannot be used."""

import datetime
import os
import ssl
import subprocess
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

import botocore.auth
import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_json, read_bytes
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.errors import AlreadyExists, ConfigurationError, StorageUnavailable
from tests.storage.s3.conftest import OpenStorage
from tests.support.requirements import missing
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import S3Server

on_moto = pytest.mark.parametrize("server", ["moto"], indirect=True)
on_rclone = pytest.mark.parametrize("server", ["rclone"], indirect=True)


def refusal(storage: S3Storage) -> str:
    """The one line that a start ends with."""
    with pytest.raises(ConfigurationError) as refused:
        storage.prepare()
    (line,) = refused.value.problems
    assert "\n" not in line
    assert line.startswith("S3_BUCKET_NAME=")
    return line


def test_support_for_conditional_writes_is_detected_and_logged(
    open_storage: OpenStorage, server: S3Server, logged: list[Any]
) -> None:
    storage = open_storage()
    storage.prepare()
    (line,) = [line for line in logged if line["event"] == "storage.conditional_writes"]
    assert line["supported"] == (server.kind == "moto")
    assert storage.has_conditional_writes == (server.kind == "moto")


@on_moto
@pytest.mark.parametrize(
    "rule",
    [Rule(501, "NotImplemented"), Rule(501, ""), Rule(400, "InvalidArgument"), Rule(400, "BadRequest")],
    ids=str,
)
def test_a_service_that_refuses_conditions_can_be_used(open_storage: OpenStorage, proxy: S3Proxy, rule: Rule) -> None:
    # Given a service that refuses the header
    proxy.rules["PutObject"] = Rule(rule.status, rule.code, only="conditional")
    # When a storage starts on it, then it does without
    storage = open_storage(proxy.url)
    storage.prepare()
    assert not storage.has_conditional_writes
    put_json(storage, "jobs/open/x.json", {})
    with pytest.raises(AlreadyExists):
        put_json(storage, "jobs/open/x.json", {"other": 1})
    assert read_bytes(storage, "jobs/open/x.json") == b"{}\n"


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("PutObject", "s3:PutObject"),
        ("GetObject", "s3:GetObject"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("ListMultipartUploads", "s3:ListBucketMultipartUploads"),
        ("AbortMultipartUpload", "s3:AbortMultipartUpload"),
        ("DeleteObject", "s3:DeleteObject"),
    ],
)
def test_a_missing_permission_is_named(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str, operation: str, permission: str
) -> None:
    # Given credentials that may do all but one thing
    proxy.rules[operation] = Rule(403, "AccessDenied")
    # When a storage starts with them, then the message names it
    line = refusal(open_storage(proxy.url))
    assert line.startswith(f"S3_BUCKET_NAME={bucket} on {proxy.url[7:]}: the S3 service denies {operation}.")
    assert f"grant {permission} as the policy in docs/storage.md" in line
    # And what it wrote is removed, as far as it may
    left = {keys.STORAGE_ID} | {key for key in server.keys(bucket) if operation == "DeleteObject"}
    assert set(server.keys(bucket)) == left


def test_a_bucket_that_is_not_there(open_storage: OpenStorage, server: S3Server) -> None:
    open_storage()  # for its environment
    line = refusal(S3Storage("no-such-bucket"))
    assert line.startswith(f"S3_BUCKET_NAME=no-such-bucket on {server.url[7:]}: there is no such bucket.")
    assert "Create it, or set S3_BUCKET_NAME" in line


@on_rclone  # moto checks no signature
@pytest.mark.parametrize(
    ("variable", "found"),
    [("AWS_ACCESS_KEY_ID", "does not know the access key"), ("AWS_SECRET_ACCESS_KEY", "the secret key is wrong")],
)
def test_wrong_keys(open_storage: OpenStorage, environment: pytest.MonkeyPatch, variable: str, found: str) -> None:
    environment.setenv(variable, "another-one")
    line = refusal(open_storage())
    assert found in line
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair" in line
    assert "another-one" not in line


@on_rclone
@pytest.mark.parametrize(("hours", "way"), [(1, "ahead of"), (-1, "behind")])
def test_a_clock_that_is_off_by_an_hour(
    open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch, hours: int, way: str
) -> None:
    # Given a machine whose clock is wrong, both for signatures and for the storage
    shift, right = datetime.timedelta(hours=hours), botocore.auth.get_current_datetime

    def wrong(*arguments: Any, **more: Any) -> datetime.datetime:
        return right(*arguments, **more) + shift  # type: ignore[no-any-return]

    monkeypatch.setattr(botocore.auth, "get_current_datetime", wrong)
    storage = open_storage(clock=lambda: datetime.datetime.now(datetime.UTC) + shift)
    # When a storage starts, then it reports by how much, though the service may only respond that access is denied
    line = refusal(storage)
    assert f"this machine's clock is 60 minutes {way} that of the S3 service. Set it" in line


@on_moto
@pytest.mark.parametrize(
    "code", ["RequestTimeTooSkewed", "ExpiredToken", "ExpiredTokenException", "InvalidToken", "PermanentRedirect"]
)
def test_what_other_services_refuse_is_explained(open_storage: OpenStorage, proxy: S3Proxy, code: str) -> None:
    proxy.rules["PutObject"] = Rule(400, code)
    expected = {
        "RequestTimeTooSkewed": "Set it, best by NTP",
        "ExpiredToken": "Get new credentials",
        "ExpiredTokenException": "Get new credentials",
        "InvalidToken": "Set AWS_SESSION_TOKEN",
        "PermanentRedirect": "Set AWS_DEFAULT_REGION",
    }
    assert expected[code] in refusal(open_storage(proxy.url))


@on_moto
@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "ListMultipartUploads"])
def test_a_service_that_lacks_something_is_refused(open_storage: OpenStorage, proxy: S3Proxy, operation: str) -> None:
    proxy.rules[operation] = Rule(501, "NotImplemented")
    assert f"the S3 service does not support {operation}, which Clipzy needs" in refusal(open_storage(proxy.url))


@on_moto
def test_a_web_server_is_distinguished_from_an_s3_service(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    # Given a server that responds with 404 to everything, as a proxy does whose S3 service has not started
    proxy.rules["PutObject"] = Rule(404, "")
    # Then a start waits, and reports it
    with pytest.raises(StorageUnavailable, match=r"what responds is not an S3 service. Check AWS_ENDPOINT_URL_S3"):
        open_storage(proxy.url).prepare()


@on_moto
@pytest.mark.parametrize("way", ["http://127.0.0.1:9", "http://s3.invalid:9000"])
def test_an_unreachable_service_is_named_and_waited_for(open_storage: OpenStorage, bucket: str, way: str) -> None:
    with pytest.raises(StorageUnavailable) as error:
        open_storage(way).prepare()
    assert str(error.value).startswith(f"S3_BUCKET_NAME={bucket} on {way[7:]}: the S3 service cannot be reached")


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """The URL of a server whose certificate is not trusted."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    try:
        subprocess.run(
            ["openssl", "req", "-x509", *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
    except FileNotFoundError:
        missing("openssl")
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@on_moto
def test_a_certificate_that_is_not_trusted(open_storage: OpenStorage, untrusted: str) -> None:
    assert "certificate cannot be trusted. Correct AWS_ENDPOINT_URL_S3, or set AWS_CA_BUNDLE" in refusal(
        open_storage(untrusted)
    )


@on_moto
@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("AWS_ENDPOINT_URL_S3", "nowhere", "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is not a URL"),
        ("AWS_PROFILE", "missing", "profile (missing) could not be found"),
        ("AWS_DEFAULT_REGION", "no region!", "no region!"),
        ("AWS_SECRET_ACCESS_KEY", "", "missing: AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_settings_that_boto3_cannot_use(
    open_storage: OpenStorage, environment: pytest.MonkeyPatch, variable: str, value: str, found: str
) -> None:
    environment.setenv(variable, value)
    with pytest.raises(ConfigurationError) as refused:
        open_storage().prepare()
    (line,) = refused.value.problems
    assert found in line
    assert os.environ["AWS_ACCESS_KEY_ID"] not in line
