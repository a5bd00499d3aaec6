"""Uploads into a bucket: what they leave, how much memory they take, what an object knows."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clipzy_storage.backends.base import put_bytes, put_json
from clipzy_storage.backends.s3 import session
from clipzy_storage.backends.s3 import writer as s3_writer
from clipzy_storage.backends.s3.session import Timeouts
from clipzy_storage.errors import AlreadyExists, StorageUnavailable
from clipzy_storage.process import with_parent_death_signal
from tests.storage.s3.conftest import OpenStorage
from tests.storage.s3.uploads import CONTENT, KEY, PART_BYTES, assert_nothing_left, stored, upload
from tests.support.s3_proxy import Gate
from tests.support.s3_servers import S3Server
from tests.support.waiting import eventually

DAY_SECONDS = 24 * 3600


pytestmark = pytest.mark.usefixtures("small_parts")
on_moto = pytest.mark.parametrize("server", ["moto"], indirect=True)


def test_a_request_that_is_broken_off_leaves_nothing(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given an upload of which parts are in the store
    storage = open_storage()
    storage.prepare()

    def broken_off() -> None:
        with storage.incoming(KEY) as incoming:
            incoming.write(CONTENT)
            assert server.unfinished(bucket) == [KEY]
            raise ConnectionResetError

    # When its request is broken off, then nothing is left
    with pytest.raises(ConnectionResetError):
        broken_off()
    assert_nothing_left(server, bucket)


@on_moto  # rclone takes no part twice
def test_a_store_that_has_lost_bytes_is_found_out_before_anybody_sees_them(
    open_storage: OpenStorage, server: S3Server, bucket: str
) -> None:
    # Given an upload of which a part has become shorter in the store
    storage = open_storage()
    storage.prepare()
    with storage.incoming(KEY) as incoming:
        incoming.write(CONTENT)
        (upload,) = server.client.list_multipart_uploads(Bucket=bucket)["Uploads"]
        number = {"Bucket": bucket, "Key": KEY, "UploadId": upload["UploadId"]}
        eventually(lambda: server.client.list_parts(**number).get("Parts"), "a part in the store")
        server.client.upload_part(**number, PartNumber=1, Body=CONTENT[: PART_BYTES - 1])

        # When it is to be published, then it is not
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
    eventually(lambda: server.unfinished(bucket) == [KEY] or writer.poll() is not None, "an upload under way")
    writer.send_signal(signal.SIGKILL)
    writer.wait()

    # Then it is left alone while it may still be going on, and by those who clear up after another writer
    assert storage.sweep_incomplete(DAY_SECONDS) == 0
    assert storage.sweep_incomplete(0, of_writer="another") == 0
    assert server.unfinished(bucket) == [KEY]

    # When it is old, or its own front end clears up, then nothing of it is left
    assert storage.sweep_incomplete(0, of_writer="stuck") == 1
    assert_nothing_left(server, bucket)


def test_a_multipart_upload_without_a_marker_is_swept(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given multipart uploads of which no marker tells: one of ours, one of something else in the bucket
    storage = open_storage()
    storage.prepare()
    for key in (KEY, "holidays/film.mp4"):
        server.client.create_multipart_upload(Bucket=bucket, Key=key)

    # When they are swept, then ours goes once it is old, and the other stays
    if server.kind == "rclone":  # moto says of all uploads that they are from 2010
        assert storage.sweep_incomplete(DAY_SECONDS) == 0
    assert sorted(server.unfinished(bucket)) == ["holidays/film.mp4", KEY]
    assert storage.sweep_incomplete(0) == 1
    assert server.unfinished(bucket) == ["holidays/film.mp4"]


@on_moto
def test_a_long_upload_shows_that_it_goes_on(
    open_storage: OpenStorage, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an upload that is older than a marker is believed
    monkeypatch.setattr(s3_writer, "MARK_AGAIN_SECONDS", 0.0)
    storage = open_storage(gate.url)
    storage.prepare()
    with storage.incoming(KEY) as incoming:
        incoming.write(CONTENT)
        # Then its marker is written again with each part
        marked = [seen for seen in gate.seen if seen.path.endswith(".json") and seen.operation == "PutObject"]
        assert len(marked) == 1 + 2
        assert len({request.path for request in marked}) == 1


@on_moto
def test_memory_is_bounded(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given an upload under way, whose store has stopped
    content = os.urandom(1 << 20) * 150
    storage = open_storage(timeouts=Timeouts(read_seconds=60))
    storage.prepare()
    with storage.incoming(KEY) as incoming:
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
        # And goes on with the store
        writing.join(60)
        incoming.publish()
    assert hashlib.sha256(stored(server, bucket) or b"").digest() == hashlib.sha256(content).digest()


@on_moto  # rclone keeps no checksums
def test_parts_carry_the_checksums_that_aws_wants(
    open_storage: OpenStorage, gate: Gate, monkeypatch: pytest.MonkeyPatch, server: S3Server, bucket: str
) -> None:
    # Given a server that is taken for AWS
    monkeypatch.setattr(session, "is_aws", lambda url: True)  # noqa: ARG005
    storage = open_storage(gate.url, addressing_style="path")
    storage.prepare()

    # When something is uploaded in parts
    upload(storage)

    # Then its beginning names the checksum, and its end repeats that of each part
    begun = [request for request in gate.seen if request.operation == "CreateMultipartUpload"][-1]
    completed = [request for request in gate.seen if request.operation == "CompleteMultipartUpload"][-1]
    assert begun.headers["x-amz-checksum-algorithm"] == "CRC32"
    assert completed.body.count(b"<ChecksumCRC32>") == completed.body.count(b"<PartNumber>") == 3
    assert stored(server, bucket) == CONTENT


def test_of_two_uploads_of_one_key_the_first_stands(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
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
