"""An upload of some parts, and what a server then holds, for the tests of both."""

import os

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.backends.s3.identity import ADOPTED
from clipzy_storage.backends.s3.storage import SMALLEST_PART_BYTES
from tests.support.s3_servers import S3Server

KEY = "uploads/vid_00000000000000000000000000/source.mp4"
PART_BYTES = SMALLEST_PART_BYTES
CONTENT = os.urandom(2 * PART_BYTES + 1000)


def upload(storage: StorageBackend, content: bytes = CONTENT) -> None:
    with storage.open_writer(KEY, content_type="video/mp4") as incoming:
        for start in range(0, len(content), 256 << 10):
            incoming.write(content[start : start + (256 << 10)])
        incoming.publish()


def stored(server: S3Server, bucket: str) -> bytes | None:
    """The object as the server returns it."""
    if KEY not in server.keys(bucket):
        return None
    content: bytes = server.client.get_object(Bucket=bucket, Key=KEY)["Body"].read()
    return content


def assert_nothing_left(server: S3Server, bucket: str) -> None:
    assert server.unfinished(bucket) == []
    markers = [key for key in server.keys(bucket) if key.startswith(f"{keys.INCOMING}/")]
    assert set(markers) <= {ADOPTED}
