"""Accesses to storage that fail are counted where the errors arise, by kind; ordinary answers are not."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import (
    AlreadyExists,
    CredentialsRefused,
    Damaged,
    NotFound,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from clipzy_storage.metrics.counts import COUNTS
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import S3Server, storage_of

ERRORS = "clipzy_storage_errors_total"
KEY = keys.upload("vid_01m81bjpv3rgjp4c18v8p81aj2", "mp4")
OTHER_KEY = keys.upload("vid_01m81bjpv3rgjp4c18v8p81aj3", "mp4")


def counted() -> dict[str, int]:
    """What was counted since the last call."""
    return {field: number for field, number in COUNTS.take().items() if field.startswith(ERRORS)}


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    COUNTS.take()
    yield
    COUNTS.take()


def put(storage: LocalStorage, key: str = KEY) -> None:
    put_bytes(storage, key, b"a video", content_type="video/mp4")


def test_ordinary_answers_are_no_errors(storage: LocalStorage) -> None:
    put(storage)
    with pytest.raises(AlreadyExists):
        put(storage)
    with pytest.raises(NotFound):
        storage.info(OTHER_KEY)

    assert counted() == {}


def test_a_directory_that_is_gone(storage: LocalStorage) -> None:
    shutil.rmtree(storage.location)
    with pytest.raises(StorageUnavailable):
        storage.exists(KEY)

    assert counted() == {f"{ERRORS}|unavailable": 1}


def test_a_full_disk(storage: LocalStorage) -> None:
    full = LocalStorage(storage._root.path, shared=False, free_reserve_bytes=1 << 60)
    full.prepare()
    with pytest.raises(StorageFull), full.open_writer(KEY):
        """It is not written."""

    assert counted() == {f"{ERRORS}|full": 1}


def test_a_damaged_file(storage: LocalStorage) -> None:
    put(storage)
    with pytest.raises(Damaged):
        storage.copy(KEY, OTHER_KEY, sha256=hashlib.sha256(b"another video").hexdigest())

    assert counted() == {f"{ERRORS}|damaged": 1}


@pytest.mark.parametrize(
    ("rule", "error", "kind"),
    [
        (Rule(503, "SlowDown"), StorageUnavailable, "unavailable"),
        (Rule(403, "InvalidAccessKeyId"), CredentialsRefused, "credentials"),
        (Rule(507, "StorageFull"), StorageFull, "full"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_an_s3_service_refuses(moto_server: S3Server, rule: Rule, error: type[StorageError], kind: str) -> None:
    # Given a service that answers
    with S3Proxy(moto_server.url) as proxy:
        storage = storage_of(replace(moto_server, url=proxy.url), moto_server.new_bucket())
        storage.prepare()
        with pytest.raises(NotFound):
            storage.info(KEY)
        assert counted() == {}
        # When it does no longer
        proxy.set_rule("ListObjectsV2", rule)
        with pytest.raises(error):
            list(storage.list("uploads/"))
    # Then that is counted once, however often boto3 has tried
    assert counted() == {f"{ERRORS}|{kind}": 1}
