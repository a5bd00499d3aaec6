"""Copies within a bucket: made by the service if it can, otherwise by reading and writing."""

import hashlib

import pytest

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.errors import StorageUnavailable
from tests.storage.s3.conftest import OpenStorage
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import S3Server

FIRST, SECOND = "results/job_1/attempts/1-a/poster.jpg", "results/job_2/attempts/1-b/poster.jpg"
CONTENT = b"a poster" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("content", [CONTENT, CONTENT * 1500], ids=["small", "in parts"])
def test_the_service_copies_the_object(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str, content: bytes
) -> None:
    # Given an object
    storage = open_storage(proxy.url)
    storage.prepare()
    put_bytes(storage, FIRST, content, content_type="image/jpeg")
    proxy.seen.clear()
    # When it is copied
    storage.copy(FIRST, SECOND, sha256=hashlib.sha256(content).hexdigest())
    # Then its bytes were not transferred, and its type was copied too
    assert proxy.operations() == {"HeadObject", "CopyObject"}
    copied = server.client.get_object(Bucket=bucket, Key=SECOND)
    with copied["Body"] as body:
        assert (body.read(), copied["ContentType"]) == (content, "image/jpeg")


def test_an_object_too_large_for_one_request_is_read_and_written(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    # Given an object larger than what the service copies in one request; really that is 5 GiB
    storage = open_storage(proxy.url, largest_copy_bytes=len(CONTENT) - 1)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    proxy.seen.clear()
    # When it is copied, Then the service is not asked to
    storage.copy(FIRST, SECOND, sha256=SHA256)
    assert "CopyObject" not in proxy.operations()
    assert read_bytes(storage, SECOND) == CONTENT


@pytest.mark.parametrize("rule", [Rule(501, "NotImplemented"), Rule(405, "MethodNotAllowed")], ids=["501", "405"])
def test_otherwise_the_bytes_are_read_and_written(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str, rule: Rule
) -> None:
    # Given a service that does not support copying
    storage = open_storage(proxy.url)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    proxy.rules["CopyObject"] = rule
    # When an object is copied
    storage.copy(FIRST, SECOND, sha256=SHA256)
    # Then it is there all the same
    assert read_bytes(storage, SECOND) == CONTENT
    assert server.client.head_object(Bucket=bucket, Key=SECOND)["ContentType"] == "image/jpeg"


@pytest.mark.parametrize("rule", [Rule(403), Rule(500, "InternalError"), Rule(lost=True)], ids=["403", "500", "lost"])
def test_an_error_of_the_copy_counts_as_unavailable(open_storage: OpenStorage, proxy: S3Proxy, rule: Rule) -> None:
    storage = open_storage(proxy.url)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    proxy.rules["CopyObject"] = rule
    with pytest.raises(StorageUnavailable):
        storage.copy(FIRST, SECOND, sha256=SHA256)


def test_a_response_that_was_lost_once_does_no_harm(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    storage = open_storage(proxy.url)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    proxy.rules["CopyObject"] = Rule(lost=True, times=1)
    storage.copy(FIRST, SECOND, sha256=SHA256)
    assert read_bytes(storage, SECOND) == CONTENT


def test_a_copy_of_another_size_is_refused(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str
) -> None:
    """Without the check of the copy's size an empty file would be published."""
    # Given a service that ignores the header which names the source, and stores an empty object
    storage = open_storage(proxy.url)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    proxy.after["CopyObject"] = lambda: server.client.put_object(Bucket=bucket, Key=SECOND, Body=b"")
    # Then the copy fails
    with pytest.raises(StorageUnavailable, match="fewer or more bytes"):
        storage.copy(FIRST, SECOND, sha256=SHA256)
