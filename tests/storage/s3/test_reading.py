"""Reading from a bucket: the result is what was stored, or an error; never less, and never something else."""

import hashlib
import os
from pathlib import Path

import pytest

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.s3.client import S3Client
from clipzy_storage.errors import Damaged, NotFound, StorageFull, StorageUnavailable
from tests.storage.s3 import scratch
from tests.storage.s3.conftest import SHORT, VERY_SHORT, OpenStorage
from tests.support.requirements import missing
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import S3Server
from tests.support.storage_gate import HALF, OddGate
from tests.support.tcp_proxy import Fault, TcpProxy

KEY = "uploads/vid_1/source.mp4"
CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def source(server: S3Server, bucket: str) -> None:
    server.client.put_object(Bucket=bucket, Key=KEY, Body=CONTENT)


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(kind, "answer", 1_000_000, connections=once) for kind in ("reset", "cut") for once in (1, None)),
        Fault("silence", "answer", 1_000_000, connections=1),
    ],
    ids=str,
)
def test_a_broken_stream_continues_where_it_broke(
    open_storage: OpenStorage, server: S3Server, fault: Fault, tmp_path: Path
) -> None:
    with TcpProxy(server.url) as network:
        storage = open_storage(network.url, timeouts=VERY_SHORT)
        storage.prepare()
        # Given a network on which no connection brings the whole file
        network.suffer(fault)
        # When it is copied, then the copy is whole
        assert storage.local_copy(KEY, tmp_path, sha256=SHA256).read_bytes() == CONTENT
        assert network.accepted > 1


@pytest.mark.parametrize("fault", [Fault("cut", "answer", 2000), Fault("reset", "answer", 2000)], ids=str)
def test_a_stream_that_brings_next_to_nothing_is_an_error(
    open_storage: OpenStorage, server: S3Server, fault: Fault
) -> None:
    with TcpProxy(server.url) as network:
        storage = open_storage(network.url)
        storage.prepare()
        # Given a network on which no connection brings more than the beginning of an answer
        network.suffer(fault)
        # When a file is read, then that fails, and does not end early
        with storage.open(KEY) as stream, pytest.raises(StorageUnavailable):
            stream.read()


@pytest.mark.usefixtures("environment")
def test_a_small_object_is_read_whole_or_not_at_all(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OddGate(server.url) as gate:
        # Given a service whose answer breaks off, and does not tell how long it would have been
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gate.url)
        client = S3Client(
            bucket, public_endpoint_url=None, addressing_style="path", presign_expires_seconds=60, timeouts=SHORT
        )
        assert client.read(KEY) == CONTENT
        gate.rules["GetObject"] = HALF
        # When a small object is read, then what came of it is not taken for all of it
        with pytest.raises(StorageUnavailable):
            client.read(KEY)


def test_a_flipped_bit_is_noticed(open_storage: OpenStorage, server: S3Server, tmp_path: Path) -> None:
    with TcpProxy(server.url) as network:
        storage = open_storage(network.url)
        storage.prepare()
        put_bytes(storage, "results/job_1/output.json", CONTENT, content_type="application/json")

        # Given a network that flips a bit in the middle of what it brings
        network.suffer(Fault("flip", "answer", 1_000_000))

        # When a source is copied, or a result is read, then it is called damaged
        with pytest.raises(Damaged, match="not what was stored"):
            storage.local_copy(KEY, tmp_path, sha256=SHA256)
        network.suffer(Fault("flip", "answer", 1_000_000))
        with pytest.raises(Damaged, match="not what was stored"):
            read_bytes(storage, "results/job_1/output.json")

        # And with a sound network all is well
        network.heal()
        assert read_bytes(storage, "results/job_1/output.json") == CONTENT
        assert storage.local_copy(KEY, tmp_path, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("server", ["moto"], indirect=True)  # rclone ignores the condition; a source's sha256 shows it
def test_what_is_replaced_while_it_is_read_is_noticed(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    storage = open_storage()
    storage.prepare()
    with storage.open(KEY) as stream:
        stream.read(10)
        server.client.put_object(Bucket=bucket, Key=KEY, Body=CONTENT[::-1])
        stream.seek(2_000_000)
        with pytest.raises(Damaged, match="replaced"):
            stream.read(10)


def test_a_whole_object_costs_one_request(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    storage = open_storage(proxy.url)
    storage.prepare()
    proxy.seen.clear()
    assert read_bytes(storage, KEY) == CONTENT
    assert [request.operation for request in proxy.seen] == ["GetObject"]


def test_what_is_deleted_while_it_is_read_is_not_found(
    open_storage: OpenStorage, server: S3Server, bucket: str
) -> None:
    storage = open_storage()
    storage.prepare()
    with storage.open(KEY, start=1) as stream:
        server.client.delete_object(Bucket=bucket, Key=KEY)
        with pytest.raises(NotFound):
            stream.read()


def test_other_things_in_the_bucket_are_left_alone(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given keys that are not ours
    storage = open_storage()
    storage.prepare()
    for key in ("uploads/a video.mp4", "uploads/vid_1/é", "readme.txt"):
        server.client.put_object(Bucket=bucket, Key=key, Body=b"x")
    # Then a listing shows what is ours
    assert [blob.key for blob in storage.list("uploads/")] == [KEY]


def test_a_copy_needs_space(open_storage: OpenStorage, tmp_path: Path) -> None:
    # Given less space than the source and what is made from it need
    storage = open_storage(scratch_reserve_bytes=1 << 60)
    storage.prepare()
    # When it is copied, then that is refused before anything is written
    with pytest.raises(StorageFull, match=r"WORK_DIR has .* free, a copy needs"):
        storage.local_copy(KEY, tmp_path, sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_a_disk_that_fills_up_during_the_copy(server: S3Server, bucket: str, tmp_path: Path) -> None:
    outcome = scratch.run_on_a_small_disk(tmp_path, bucket, KEY, SHA256, env=server.env)
    if outcome is None:
        missing("a private mount needs root")
    assert outcome == "StorageFull: WORK_DIR cannot take a copy: No space left on device"


def test_denied_reading_is_not_taken_for_a_missing_file(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    # Given a service that denies reading from now on
    storage = open_storage(proxy.url)
    storage.prepare()
    proxy.rules["HeadObject"] = proxy.rules["GetObject"] = Rule()
    # Then nothing is reported missing
    for ask in (storage.exists, storage.info, storage.open, storage.delete):
        with pytest.raises(StorageUnavailable):
            ask(KEY)
    with pytest.raises(StorageUnavailable):
        storage.check()
