"""Copies within a bucket: made by the store itself where it can, and by way of here where it cannot."""

import hashlib

import pytest

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.errors import StorageUnavailable
from tests.storage.s3.conftest import OpenStorage
from tests.support.s3_proxy import Gate, Rule
from tests.support.s3_servers import S3Server

FIRST, SECOND = "results/job_1/attempts/1-a/poster.jpg", "results/job_2/attempts/1-b/poster.jpg"
CONTENT = b"a picture" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_the_store_copies_by_itself(open_storage: OpenStorage, gate: Gate, server: S3Server, bucket: str) -> None:
    # Given a small object
    storage = open_storage(gate.url)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    gate.seen.clear()
    # When it is copied
    storage.copy(FIRST, SECOND, sha256=SHA256)
    # Then its bytes did not pass through here, and its type came along
    assert gate.operations() == {"HeadObject", "CopyObject"}
    copied = server.client.get_object(Bucket=bucket, Key=SECOND)
    with copied["Body"] as body:
        assert (body.read(), copied["ContentType"]) == (CONTENT, "image/jpeg")


@pytest.mark.parametrize("rule", [Rule(501, "NotImplemented"), Rule(405, "MethodNotAllowed")], ids=["501", "405"])
def test_where_it_cannot_the_bytes_go_by_way_of_here(
    open_storage: OpenStorage, gate: Gate, server: S3Server, bucket: str, rule: Rule
) -> None:
    # Given a store that knows no copying
    storage = open_storage(gate.url)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    gate.rules["CopyObject"] = rule
    # When an object is copied
    storage.copy(FIRST, SECOND, sha256=SHA256)
    # Then it is there all the same
    assert read_bytes(storage, SECOND) == CONTENT
    assert server.client.head_object(Bucket=bucket, Key=SECOND)["ContentType"] == "image/jpeg"


@pytest.mark.parametrize("rule", [Rule(403), Rule(500, "InternalError"), Rule(lost=True)], ids=["403", "500", "lost"])
def test_trouble_with_copying_is_trouble_of_the_store(open_storage: OpenStorage, gate: Gate, rule: Rule) -> None:
    storage = open_storage(gate.url)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    gate.rules["CopyObject"] = rule
    with pytest.raises(StorageUnavailable):
        storage.copy(FIRST, SECOND, sha256=SHA256)


def test_an_answer_that_was_lost_once_does_no_harm(open_storage: OpenStorage, gate: Gate) -> None:
    storage = open_storage(gate.url)
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    gate.rules["CopyObject"] = Rule(lost=True, times=1)
    storage.copy(FIRST, SECOND, sha256=SHA256)
    assert read_bytes(storage, SECOND) == CONTENT


def test_a_store_that_takes_a_copy_for_an_empty_file_is_found_out(
    open_storage: OpenStorage, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the look at the copy's size an empty file would be published."""
    # Given a store that ignores the header which names the source, as it does one that it does not know
    storage = open_storage()
    storage.prepare()
    put_bytes(storage, FIRST, CONTENT, content_type="image/jpeg")
    call = storage._client.call

    def ignorant(operation: str, **parameters: object) -> object:
        answer = call(operation, **parameters)  # type: ignore[arg-type]
        if operation == "copy_object":
            server.client.put_object(Bucket=bucket, Key=SECOND, Body=b"")
        return answer

    monkeypatch.setattr(storage._client, "call", ignorant)
    # Then a copy is not taken for one
    with pytest.raises(StorageUnavailable):
        storage.copy(FIRST, SECOND, sha256=SHA256)
