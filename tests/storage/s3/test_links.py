"""Links into a bucket: SigV4, the right host, the headers of the file, and when they expire."""

import os
import socket
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.errors import ConfigurationError
from tests.storage.s3.conftest import OpenStorage
from tests.support.s3_servers import S3Server
from tests.support.tcp_proxy import TcpProxy

KEY = "results/job_1/a-1/poster.jpg"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment for AWS itself, which is unreachable."""

    def unreachable(*_: Any) -> NoReturn:
        raise AssertionError("a link is made without any request")

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-example")
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    return monkeypatch


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("us-east-1", "amazonaws.com"),
        ("eu-central-1", "amazonaws.com"),
        ("ap-southeast-2", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
    ],
)
@pytest.mark.parametrize(
    ("bucket", "style", "form"),
    [
        ("my-bucket", "auto", "https://my-bucket.s3.{region}.{suffix}/"),
        ("my-bucket", "path", "https://s3.{region}.{suffix}/my-bucket/"),
        ("my.bucket", "auto", "https://s3.{region}.{suffix}/my.bucket/"),
        ("my.bucket", "virtual", "https://s3.{region}.{suffix}/my.bucket/"),  # no certificate fits the other form
    ],
)
def test_a_link_to_aws(aws: pytest.MonkeyPatch, region: str, suffix: str, bucket: str, style: str, form: str) -> None:
    # Given a bucket on AWS
    aws.setenv("AWS_DEFAULT_REGION", region)
    # When a link into it is made
    link = S3Storage(bucket, addressing_style=style).link(KEY)
    # Then its host is that of the bucket's region, and it is signed for that region with SigV4
    assert link.url.startswith(form.format(region=region, suffix=suffix) + KEY + "?")
    query = parse_qs(urlsplit(link.url).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Credential"][0].endswith(f"/{region}/s3/aws4_request")
    assert query["X-Amz-Expires"] == ["3600"]


@pytest.mark.usefixtures("aws")
def test_aws_needs_a_region() -> None:
    with pytest.raises(ConfigurationError, match="AWS_DEFAULT_REGION is missing"):
        S3Storage("my-bucket").prepare()


@pytest.mark.parametrize(
    ("style", "form"),
    [("auto", "https://s3.example.com/my-bucket/"), ("virtual", "https://my-bucket.s3.example.com/")],
)
@pytest.mark.parametrize("public", [True, False])
def test_a_link_to_another_service(aws: pytest.MonkeyPatch, style: str, form: str, public: bool) -> None:
    # Given a service that clients reach by the same name as we do, or by another
    aws.setenv("AWS_ENDPOINT_URL_S3", "http://10.0.0.7:9000" if public else "https://s3.example.com")
    public_url = "https://s3.example.com" if public else None
    # When a link is made, without a region
    link = S3Storage("my-bucket", addressing_style=style, public_endpoint_url=public_url).link(KEY)
    # Then its host is the one that clients know, and is signed with SigV4
    assert link.url.startswith(form + KEY + "?")
    assert "X-Amz-Signature=" in link.url
    assert "AWSAccessKeyId" not in link.url


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("output.json", "application/json", "attachment"),
        ("poster.jpg", "image/jpeg", "inline"),
        ("evil.html", "application/octet-stream", "attachment"),
        ("evil.svg", "application/octet-stream", "attachment"),
    ],
)
def test_the_headers_of_a_file_are_those_that_the_link_asks_for(
    open_storage: OpenStorage, name: str, content_type: str, disposition: str
) -> None:
    # Given a file that was stored as something else
    storage = open_storage()
    storage.prepare()
    put_bytes(storage, f"results/job_1/{name}", b"<script>", content_type="text/html")
    # When a client follows a link to it
    answer = requests.get(storage.link(f"results/job_1/{name}").url, timeout=30)
    # Then the headers are those of its extension, and nothing is run inline
    assert (answer.status_code, answer.content) == (200, b"<script>")
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"] == f'{disposition}; filename="{name}"'


def test_a_link_through_another_host_works(open_storage: OpenStorage, server: S3Server) -> None:
    # Given a service that clients reach by another address and port than we do
    with TcpProxy(server.url, host="127.0.0.2") as public:
        storage = open_storage(public_endpoint_url=public.url)
        storage.prepare()
        put_bytes(storage, KEY, b"poster", content_type="image/jpeg")
        assert public.accepted == 0
        # When a client follows a link
        link = storage.link(KEY)
        answer = requests.get(link.url, timeout=30)
        # Then it is sent, and a range of it too
        assert link.url.startswith(f"{public.url}/")
        assert (answer.status_code, answer.content) == (200, b"poster")
        assert requests.get(link.url, headers={"Range": "bytes=1-2"}, timeout=30).content == b"os"
        assert public.accepted > 0


@pytest.mark.parametrize("server", ["rclone"], indirect=True)  # moto checks no signature
def test_a_link_is_good_for_one_key_only(open_storage: OpenStorage) -> None:
    storage = open_storage()
    storage.prepare()
    put_bytes(storage, KEY, b"poster", content_type="image/jpeg")
    url = storage.link(KEY).url
    assert requests.get(url, timeout=30).status_code == 200
    assert requests.get(url.replace(KEY, "results/job_2/a-1/poster.jpg"), timeout=30).status_code == 403


def test_a_link_has_its_expiry(open_storage: OpenStorage) -> None:
    before = datetime.now(UTC)
    link = open_storage(presign_expires_seconds=100).link(KEY)
    assert link.expires_at is not None
    assert 98 < (link.expires_at - before).total_seconds() <= 101
    assert parse_qs(urlsplit(link.url).query)["X-Amz-Expires"] == ["100"]
