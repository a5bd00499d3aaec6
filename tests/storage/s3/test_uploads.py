"""Uploads into a bucket: what they leave, how much memory they take, what an object knows."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes, put_json
from clipzy_storage.backends.s3.session import Timeouts
from clipzy_storage.errors import AlreadyExists, StorageUnavailable
from clipzy_storage.process import with_parent_death_signal
from tests.storage.s3.conftest import OpenStorage
from tests.storage.s3.uploads import CONTENT, KEY, PART_BYTES, assert_nothing_left, stored, upload
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import S3Server
from tests.support.waiting import eventually

DAY_SECONDS = 24 * 3600

on_moto = pytest.mark.parametrize("server", ["moto"], indirect=True)


def test_an_interrupted_request_leaves_nothing(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given an upload of which the service has parts
    storage = open_storage()
    storage.prepare()

    def interrupted() -> None:
        with storage.open_writer(KEY) as incoming:
            incoming.write(CONTENT)
            assert server.unfinished(bucket) == [KEY]
            raise ConnectionResetError

    # When its request is interrupted, then nothing is left
    with pytest.raises(ConnectionResetError):
        interrupted()
    assert_nothing_left(server, bucket)


@on_moto  # rclone takes no part twice
@pytest.mark.parametrize("size_bytes", [PART_BYTES - 1, PART_BYTES + 1])
def test_lost_and_added_bytes_are_noticed_before_the_object_is_visible(
    open_storage: OpenStorage, server: S3Server, bucket: str, size_bytes: int
) -> None:
    # Given an upload of which a part has become shorter, or longer, in the service
    storage = open_storage()
    storage.prepare()
    with storage.open_writer(KEY) as incoming:
        incoming.write(CONTENT)
        (upload,) = server.client.list_multipart_uploads(Bucket=bucket)["Uploads"]
        number = {"Bucket": bucket, "Key": KEY, "UploadId": upload["UploadId"]}
        eventually(lambda: server.client.list_parts(**number).get("Parts"), "an uploaded part")
        server.client.upload_part(**number, PartNumber=1, Body=CONTENT[:size_bytes])

        # When it is published, then that fails
        with pytest.raises(StorageUnavailable, match="fewer or more bytes"):
            incoming.publish()
    assert stored(server, bucket) is None
    assert_nothing_left(server, bucket)


def test_what_a_killed_writer_left_is_swept(
    open_storage: OpenStorage, server: S3Server, bucket: str, tmp_path: Path
) -> None:
    # Given a writer that is killed in the middle of an upload
    storage = open_storage()
    storage.prepare()
    command = with_parent_death_signal(sys.executable, "-m", "tests.storage.s3.stuck_writer", bucket, KEY)
    with (tmp_path / "log").open("wb") as log:
        writer = subprocess.Popen(command, stdout=log, stderr=log)
    eventually(lambda: server.unfinished(bucket) == [KEY] or writer.poll() is not None, "an upload in progress")
    writer.send_signal(signal.SIGKILL)
    writer.wait()

    # Then it is kept while it may still be in progress, and in a sweep for another writer
    assert storage.sweep_incomplete(DAY_SECONDS) == 0
    assert storage.sweep_incomplete(0, of_writer="another") == 0
    assert server.unfinished(bucket) == [KEY]

    # When it is old, or its front end sweeps, then nothing of it is left
    assert storage.sweep_incomplete(0, of_writer="stuck") == 1
    assert_nothing_left(server, bucket)


def test_a_multipart_upload_without_a_marker_is_swept(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given multipart uploads without a marker: one of our keys, one of another key in the bucket
    storage = open_storage()
    storage.prepare()
    for key in (KEY, "holidays/video.mp4"):
        server.client.create_multipart_upload(Bucket=bucket, Key=key)

    # When they are swept, then ours is removed once it is old, and the other stays
    if server.kind == "rclone":  # moto dates all uploads 2010
        assert storage.sweep_incomplete(DAY_SECONDS) == 0
    assert sorted(server.unfinished(bucket)) == ["holidays/video.mp4", KEY]
    assert storage.sweep_incomplete(0) == 1
    assert server.unfinished(bucket) == ["holidays/video.mp4"]


@on_moto  # rclone lists no upload without parts
def test_uploads_of_other_keys_are_not_aborted(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str
) -> None:
    # Given an upload of another key, which begins with ours
    storage = open_storage(proxy.url)
    storage.prepare()
    server.client.create_multipart_upload(Bucket=bucket, Key=f"{KEY}.other")
    # When we upload, and do not learn the ids of all our uploads
    proxy.rules["CreateMultipartUpload"] = Rule(lost=True, times=1)
    upload(storage)
    # Then all of ours are completed or aborted, and the other goes on
    assert stored(server, bucket) == CONTENT
    assert server.unfinished(bucket) == [f"{KEY}.other"]


def test_a_damaged_marker_stops_no_sweep(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given a damaged marker, and an upload whose marker is lost
    storage = open_storage()
    storage.prepare()
    server.client.put_object(Bucket=bucket, Key=f"{keys.INCOMING}/damaged.json", Body=b"{")
    server.client.create_multipart_upload(Bucket=bucket, Key=KEY)

    # When the storage is swept, then the upload is aborted all the same
    assert storage.sweep_incomplete(0) == 1
    assert server.unfinished(bucket) == []


@on_moto
def test_a_long_upload_shows_that_it_is_in_progress(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    # Given an upload whose marker is older than the interval
    storage = open_storage(proxy.url, marker_interval_seconds=0.0)
    storage.prepare()
    with storage.open_writer(KEY) as incoming:
        incoming.write(CONTENT)
        # Then its marker is written again with each part
        marked = [seen for seen in proxy.seen if seen.path.endswith(".json") and seen.operation == "PutObject"]
        assert len(marked) == 1 + 2
        assert len({request.path for request in marked}) == 1


@on_moto
def test_memory_is_bounded(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given an upload in progress, whose service has stopped
    content = os.urandom(1 << 20) * 150
    storage = open_storage(timeouts=Timeouts(read_seconds=60))
    storage.prepare()
    with storage.open_writer(KEY) as incoming:
        incoming.write(content[:PART_BYTES])
        server.freeze()
        try:
            # When much more is written than may wait in memory
            writing = threading.Thread(target=incoming.write, args=[content[PART_BYTES:]], daemon=True)
            writing.start()

            # Then the writer has to wait
            writing.join(2)
            assert writing.is_alive()
        finally:
            server.thaw()
        # And continues with the service
        writing.join(60)
        incoming.publish()
    assert hashlib.sha256(stored(server, bucket) or b"").digest() == hashlib.sha256(content).digest()


@on_moto  # rclone keeps no checksums
def test_parts_carry_the_checksums_that_aws_wants(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str
) -> None:
    # Given a server that counts as AWS
    storage = open_storage(proxy.url, addressing_style="path", on_aws=True)
    storage.prepare()

    # When something is uploaded in parts
    upload(storage)

    # Then its beginning names the checksum, and its end repeats that of each part
    created = [request for request in proxy.seen if request.operation == "CreateMultipartUpload"][-1]
    completed = [request for request in proxy.seen if request.operation == "CompleteMultipartUpload"][-1]
    assert created.headers["x-amz-checksum-algorithm"] == "CRC32"
    assert completed.body.count(b"<ChecksumCRC32>") == completed.body.count(b"<PartNumber>") == 3
    assert stored(server, bucket) == CONTENT


def test_of_two_uploads_of_one_key_the_first_counts(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given a large file that is stored
    storage = open_storage()
    storage.prepare()
    upload(storage)

    # When another is uploaded under its key, then it is refused and leaves nothing
    with pytest.raises(AlreadyExists):
        upload(storage, CONTENT[::-1])
    assert stored(server, bucket) == CONTENT
    assert_nothing_left(server, bucket)


@pytest.mark.parametrize(("key", "content_type"), [(KEY, "video/mp4"), ("results/job_1/a/poster.jpg", "image/jpeg")])
@pytest.mark.parametrize("size_bytes", [10, PART_BYTES + 10])
def test_an_object_knows_its_type(
    open_storage: OpenStorage, server: S3Server, bucket: str, key: str, content_type: str, size_bytes: int
) -> None:
    storage = open_storage()
    storage.prepare()
    put_bytes(storage, key, CONTENT[:size_bytes], content_type=content_type)
    put_json(storage, "jobs/open/x.json", {})
    assert server.client.head_object(Bucket=bucket, Key=key)["ContentType"] == content_type
    assert server.client.head_object(Bucket=bucket, Key="jobs/open/x.json")["ContentType"] == "application/json"
