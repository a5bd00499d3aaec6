"""Every storage: a file is copied whole, as it was stored, and either outlasts the other."""

import hashlib

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, StorageBackend, put_bytes, read_bytes
from clipzy_storage.errors import AlreadyExists, BadKey, Damaged, NotFound

FIRST, SECOND = "results/job_1/attempts/1-a/shots/0000.jpg", "results/job_2/attempts/1-b/shots/0000.jpg"
TYPE = "image/jpeg"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size_bytes", [0, 100_000, 11 << 20], ids=["empty", "small", "in parts"])
def test_a_copy_outlasts_its_original(storage: StorageBackend, size_bytes: int) -> None:
    # Given a stored file
    content = b"".join(number.to_bytes(4, "big") for number in range(size_bytes // 4))
    put_bytes(storage, FIRST, content, content_type=TYPE)
    # When it is copied, and the copy once more
    third = SECOND.replace("job_2", "job_3")
    copied = storage.copy(FIRST, SECOND, sha256=_sha256(content))
    storage.copy(SECOND, third, sha256=_sha256(content))
    # Then all are there, and nothing unfinished is
    assert copied == storage.info(SECOND) == BlobInfo(SECOND, len(content))
    assert [blob.key for blob in storage.list("results/")] == [FIRST, SECOND, third]
    assert storage.count_incomplete() == 0
    # And each stays when its original is deleted
    storage.delete(FIRST)
    assert read_bytes(storage, SECOND) == content
    storage.delete(SECOND)
    assert read_bytes(storage, third) == content


def test_an_original_outlasts_its_copy(storage: StorageBackend) -> None:
    put_bytes(storage, FIRST, b"first", content_type=TYPE)
    storage.copy(FIRST, SECOND, sha256=_sha256(b"first"))
    storage.delete(SECOND)
    assert read_bytes(storage, FIRST) == b"first"


def test_a_taken_key_is_not_copied_over(storage: StorageBackend) -> None:
    put_bytes(storage, FIRST, b"first", content_type=TYPE)
    put_bytes(storage, SECOND, b"second", content_type=TYPE)
    with pytest.raises(AlreadyExists):
        storage.copy(FIRST, SECOND, sha256=_sha256(b"first"))
    assert read_bytes(storage, SECOND) == b"second"


def test_a_copy_is_not_made_twice(storage: StorageBackend) -> None:
    put_bytes(storage, FIRST, b"first", content_type=TYPE)
    storage.copy(FIRST, SECOND, sha256=_sha256(b"first"))
    with pytest.raises(AlreadyExists):
        storage.copy(FIRST, SECOND, sha256=_sha256(b"first"))


def test_what_is_not_there_is_not_copied(storage: StorageBackend) -> None:
    with pytest.raises(NotFound):
        storage.copy(FIRST, SECOND, sha256=_sha256(b""))
    assert list(storage.list("results/")) == []


def test_what_is_not_what_was_stored_is_not_copied(storage: StorageBackend) -> None:
    # Given a file whose index has another digest
    put_bytes(storage, FIRST, b"x" * 1000, content_type=TYPE)
    # When it is copied
    with pytest.raises(Damaged):
        storage.copy(FIRST, SECOND, sha256=_sha256(b"y" * 1000))
    # Then nothing has been written
    assert [blob.key for blob in storage.list("results/")] == [FIRST]
    assert storage.count_incomplete() == 0


@pytest.mark.parametrize("key", ["", "secrets/x", "results/../x", f"{keys.INCOMING}/x"])
def test_bad_keys_are_refused_on_either_side(storage: StorageBackend, key: str) -> None:
    put_bytes(storage, FIRST, b"x", content_type=TYPE)
    for source, to in ((key, SECOND), (FIRST, key)):
        with pytest.raises(BadKey):
            storage.copy(source, to, sha256=_sha256(b"x"))
    assert [blob.key for blob in storage.list("results/")] == [FIRST]
