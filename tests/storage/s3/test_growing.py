"""Files in a bucket that several requests write: what only a bucket has."""

import hashlib
import io

import pytest
import requests

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.backends.s3.growing import STATE, MultipartState
from clipzy_storage.backends.s3.storage import SMALLEST_PART_BYTES, S3Storage
from clipzy_storage.errors import StorageError
from clipzy_storage.jobs.durable_records import read_video
from clipzy_storage.jobs.owner_accounts import OwnerAccounts
from clipzy_storage.jobs.owner_limits import OwnerLimits
from clipzy_storage.models.records import Upload
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_storage.uploads.resumable import ResumableUploads
from clipzy_storage.uploads.store import UploadStore
from tests.storage.s3.conftest import OpenStorage
from tests.storage.test_growing import CONTENT, ID, KEY, append, publish
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import S3Server

TAIL = 3 * SMALLEST_PART_BYTES


def begun(open_storage: OpenStorage) -> tuple[S3Storage, MultipartState]:
    """A storage with three parts of the file, and some more of it."""
    storage = open_storage()
    storage.prepare()
    append(storage, CONTENT[: TAIL + 1000])
    return storage, MultipartState.model_validate_json(read_bytes(storage, keys.upload_state(ID, STATE)))


def test_parts_count_up_to_the_first_that_is_missing(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given a killed request of whose parts a later one has arrived, and the one before it has not
    storage, state = begun(open_storage)
    part = {"Bucket": bucket, "Key": state.key, "UploadId": state.upload_id}
    content = CONTENT + CONTENT
    fifth = content[4 * SMALLEST_PART_BYTES : 5 * SMALLEST_PART_BYTES]
    server.client.upload_part(**part, PartNumber=5, Body=io.BytesIO(fifth))
    # Then it does not count, and is sent once more
    assert storage.growing_bytes(ID) == TAIL + 1000
    append(storage, content[TAIL + 1000 :])
    publish(storage)
    assert read_bytes(storage, KEY) == content


def test_an_upload_that_the_service_has_aborted_begins_anew(
    open_storage: OpenStorage, server: S3Server, bucket: str
) -> None:
    # Given a bucket whose rules abort multipart uploads after a day
    storage, state = begun(open_storage)
    server.client.abort_multipart_upload(Bucket=bucket, Key=state.key, UploadId=state.upload_id)
    # Then nothing of it is kept, and the file can be sent once more
    assert storage.growing_bytes(ID) == 0
    append(storage, CONTENT)
    publish(storage)
    assert read_bytes(storage, KEY) == CONTENT


def test_a_direct_upload_that_the_service_has_aborted_begins_anew(
    open_storage: OpenStorage, server: S3Server, bucket: str
) -> None:
    # Given one of which nothing but its state is left
    storage = open_storage()
    storage.prepare()
    storage.direct.begin(ID, KEY, part_bytes=SMALLEST_PART_BYTES)
    first = MultipartState.model_validate_json(read_bytes(storage, keys.upload_state(ID, STATE)))
    server.client.abort_multipart_upload(Bucket=bucket, Key=KEY, UploadId=first.upload_id)
    # When it is begun again under its key, then its parts can be sent
    storage.direct.begin(ID, KEY, part_bytes=SMALLEST_PART_BYTES)
    urls, _ = storage.direct.sign(ID, [1])
    assert requests.put(urls[1], data=b"x", timeout=10).status_code == 200
    # And again, then nothing changes
    storage.direct.begin(ID, KEY, part_bytes=SMALLEST_PART_BYTES)
    assert [part.size_bytes for part in storage.direct.parts(ID)] == [1]


def test_a_file_that_is_published_leaves_no_multipart_upload(
    open_storage: OpenStorage, server: S3Server, bucket: str
) -> None:
    storage, _ = begun(open_storage)
    publish(storage)
    storage.remove_growing(ID)
    assert server.unfinished(bucket) == []
    assert [key for key in server.keys(bucket) if key.startswith(keys.UPLOADS_IN_PROGRESS)] == []


def test_how_much_is_kept_is_known_without_reading_it(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    """Clients ask often, and many of them at a time: what is read for each would fill the memory."""
    storage = open_storage(proxy.url)
    storage.prepare()
    append(storage, CONTENT[: TAIL - 1])
    proxy.seen.clear()
    assert storage.growing_bytes(ID) == TAIL - 1
    assert [request.operation for request in proxy.seen if "tail-" in request.path] == ["HeadObject"]


def test_what_could_not_be_sent_is_in_no_digest(open_storage: OpenStorage, proxy: S3Proxy, redis_url: str) -> None:
    # Given a bucket that refuses the first part, and takes what is kept of it
    storage, content = open_storage(proxy.url), CONTENT[: SMALLEST_PART_BYTES + 1000]
    storage.prepare()
    redis = RedisDatabase(redis_url)
    store = UploadStore(storage, OwnerAccounts(redis, OwnerLimits()), expires_seconds=3600)
    resumable = ResumableUploads(storage, store, UploadLocks(redis), container_of=lambda _: "mp4")
    upload = resumable.begin(Upload.begun_now(filename="a.mp4", size_bytes=len(content)))

    def send(data: bytes, *, offset: int) -> None:
        with resumable.continued(upload, offset=offset, silent_seconds=lambda: 0.0) as part:
            part.write(data)

    proxy.set_rule("CreateMultipartUpload", Rule())
    with pytest.raises(StorageError):
        send(content, offset=0)
    proxy.rules.clear()
    # When the rest is sent
    kept_bytes = resumable.size_bytes(upload)
    assert kept_bytes == SMALLEST_PART_BYTES
    send(content[kept_bytes:], offset=kept_bytes)
    # Then the digest is that of the file, or it is not known
    known = read_video(storage, upload.upload_id).sha256
    assert known in (None, hashlib.sha256(content).hexdigest())
