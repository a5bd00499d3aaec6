"""Files in a bucket that several requests write: what only a bucket has."""

import io

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.backends.s3.growing import STATE, MultipartState
from clipzy_storage.backends.s3.storage import SMALLEST_PART_BYTES, S3Storage
from tests.storage.s3.conftest import OpenStorage
from tests.storage.test_growing import CONTENT, ID, KEY, append, publish
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


def test_a_file_that_is_published_leaves_no_multipart_upload(
    open_storage: OpenStorage, server: S3Server, bucket: str
) -> None:
    storage, _ = begun(open_storage)
    publish(storage)
    storage.remove_growing(ID)
    assert server.unfinished(bucket) == []
    assert [key for key in server.keys(bucket) if key.startswith(keys.UPLOADS_IN_PROGRESS)] == []
