"""Every storage: files are written once, whole, and are invisible until then."""

import hashlib
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import (
    BlobInfo,
    StorageBackend,
    StorageWriter,
    put_bytes,
    put_json,
    read_bytes,
    read_replaceable,
)
from clipzy_storage.backends.s3.storage import SMALLEST_PART_BYTES
from clipzy_storage.errors import AlreadyExists, BadKey
from tests.storage.backends import RACERS, Backend, publish_together

KEY = "uploads/vid_1/source.mp4"

BAD_KEYS = {
    "empty": "",
    "no directory": "uploads",
    "only a directory": "uploads/",
    "another top prefix": "secrets/x",
    "parent": "uploads/../x",
    "parent at the end": "uploads/..",
    "dot": "uploads/./x",
    "absolute": "/uploads/x",
    "double slash": "uploads//x",
    "backslash": "uploads\\x",
    "nul": "uploads/x\0",
    "newline": "uploads/x\n",
    "space": "uploads/a b",
    "unicode": "uploads/é",
    "surrogate": "uploads/\udc80",
    "percent": "uploads/%2e%2e",
    "long segment": "uploads/" + "a" * 101,
    "long key": "uploads/" + "/".join(["a" * 90] * 5),
    "unfinished file": f"{keys.INCOMING}/x",
}


def _put(storage: StorageBackend, key: str, data: bytes) -> BlobInfo:
    return put_bytes(storage, key, data, content_type="application/octet-stream")


def test_a_published_file_is_there_with_its_size_and_hash(storage: StorageBackend) -> None:
    # Given a file that arrives in blocks of every type that holds bytes
    with storage.open_writer(KEY, content_type="video/mp4") as incoming:
        incoming.write(b"one ")
        incoming.write(bytearray(b"two "))
        incoming.write(memoryview(b"three"))

        # When it is published
        blob = incoming.publish()

    # Then both sides know the same file
    assert blob == storage.info(KEY) == BlobInfo(KEY, 13)
    assert (incoming.size_bytes, incoming.sha256) == (13, hashlib.sha256(b"one two three").hexdigest())
    assert read_bytes(storage, KEY) == b"one two three"


@pytest.mark.parametrize("size_bytes", [0, 1, 65_536, 9 << 20])
def test_files_of_all_sizes_come_back_as_they_were(storage: StorageBackend, size_bytes: int) -> None:
    # Given content that shows a block out of place
    content = b"".join(number.to_bytes(4, "big") for number in range(size_bytes // 4 + 1))[:size_bytes]

    # When it is stored
    _put(storage, KEY, content)

    # Then it is read back byte for byte
    assert storage.info(KEY).size_bytes == size_bytes
    assert read_bytes(storage, KEY) == content


def test_blocks_of_any_sizes_are_stored_in_their_order(storage: StorageBackend) -> None:
    # Given content that comes in blocks which end anywhere in the parts that a bucket is sent
    content = b"".join(number.to_bytes(4, "big") for number in range(3 << 20))
    rest = memoryview(content)

    # When it is written
    with storage.open_writer(KEY) as incoming:
        for size_bytes in cycle([1, 100_003, SMALLEST_PART_BYTES - 1, SMALLEST_PART_BYTES + 1, 65_536]):
            incoming.write(rest[:size_bytes])
            rest = rest[size_bytes:]
            if not rest:
                break
        incoming.publish()

    # Then it is read back byte for byte
    assert incoming.sha256 == hashlib.sha256(content).hexdigest()
    assert hashlib.sha256(read_bytes(storage, KEY)).hexdigest() == incoming.sha256


def test_nothing_is_visible_before_it_is_published(storage: StorageBackend) -> None:
    # Given an unfinished file
    with storage.open_writer(KEY) as incoming:
        incoming.write(b"x" * 1000)

        # Then no reader sees it
        assert not storage.exists(KEY)
        assert list(storage.list("uploads/")) == []
        assert list(storage.list(".clipzy/")) == [storage.info(keys.STORAGE_ID)]


@pytest.mark.parametrize("ending", ["discarded", "forgotten", "failed"])
def test_what_is_not_published_leaves_nothing(storage: StorageBackend, ending: str) -> None:
    # Given an unfinished file
    def upload(incoming: StorageWriter) -> None:
        incoming.write(b"x" * 1000)

        # When it ends in one of the ways that are no end
        if ending == "discarded":
            incoming.discard()
            incoming.discard()
        if ending == "failed":
            raise ConnectionResetError

    try:
        with storage.open_writer(KEY) as incoming:
            upload(incoming)
    except ConnectionResetError:
        assert ending == "failed"

    # Then nothing of it is there, and the key is free
    assert not storage.exists(KEY)
    assert _put(storage, KEY, b"y").size_bytes == 1


def test_discarding_after_publishing_changes_nothing(storage: StorageBackend) -> None:
    # Given a published file
    with storage.open_writer(KEY) as incoming:
        incoming.write(b"x")
        incoming.publish()

        # When it is discarded nevertheless
        incoming.discard()

    # Then it stays
    assert read_bytes(storage, KEY) == b"x"


def test_a_key_is_written_once(storage: StorageBackend) -> None:
    # Given a stored file
    _put(storage, KEY, b"first")

    # When another is published under its key
    with pytest.raises(AlreadyExists):
        _put(storage, KEY, b"second")

    # Then the first one stands, alone
    assert read_bytes(storage, KEY) == b"first"
    assert list(storage.list("uploads/")) == [BlobInfo(KEY, 5)]


def test_of_many_threads_one_wins_a_key(backend_with_races: Backend) -> None:
    # Given eight threads that have each written something of their own
    storage = backend_with_races.open()
    storage.prepare()
    assert storage.has_conditional_writes
    barrier = threading.Barrier(8)

    def publish(number: int) -> bool:
        with storage.open_writer(KEY) as incoming:
            incoming.write(bytes([number]) * 100_000)
            barrier.wait(30)
            try:
                incoming.publish()
            except AlreadyExists:
                return False
        return True

    # When they publish it under one key at the same moment
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(publish, range(8)))

    # Then one of them did, and all of its bytes are there
    assert won.count(True) == 1
    assert read_bytes(storage, KEY) == bytes([won.index(True)]) * 100_000


def test_of_many_processes_one_wins_a_key(backend_with_races: Backend, processes: ProcessPoolExecutor) -> None:
    # Given processes that have each written something of their own
    contents = [bytes([number]) * 100_000 for number in range(RACERS)]

    # When they publish it under one key at the same moment
    races = [processes.submit(publish_together, backend_with_races, KEY, content) for content in contents]
    won = [race.result() for race in races]

    # Then one of them did, and all of its bytes are there
    storage = backend_with_races.open()
    storage.prepare()
    assert won.count(True) == 1
    assert read_bytes(storage, KEY) == contents[won.index(True)]


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_bad_keys_are_refused_everywhere(storage: StorageBackend, key: str, tmp_path: Path) -> None:
    with pytest.raises(BadKey), storage.open_writer(key):
        pass
    for ask in (storage.open, storage.info, storage.exists, storage.delete, storage.link):
        with pytest.raises(BadKey):
            ask(key)
    with pytest.raises(BadKey):
        storage.local_copy(key, tmp_path, sha256="")


def test_json_is_stored_as_text_that_people_can_read(storage: StorageBackend) -> None:
    # When a record is stored
    put_json(storage, "jobs/open/x.json", {"name": "Zoë", "n": [1]})

    # Then it is plain UTF-8
    assert read_bytes(storage, "jobs/open/x.json").decode() == '{\n "name": "Zoë",\n "n": [\n  1\n ]\n}\n'


def test_a_file_can_be_replaced(storage: StorageBackend) -> None:
    """What was there before, or nothing; and nothing is left of it."""
    key = keys.deliveries(keys.new_id("job"))
    for content in (b"one", b"two, which is longer", b""):
        storage.replace(key, content, content_type="application/json")
        assert read_bytes(storage, key) == content
        assert storage.info(key) == BlobInfo(key, len(content))
    assert storage.count_incomplete() == 0
    assert [blob.key for blob in storage.list(keys.DELIVERIES)] == [key]
    assert storage.delete(key)
    assert not storage.exists(key)


def test_readers_of_a_replaced_file_find_it_whole(storage: StorageBackend) -> None:
    # Given a file that is replaced again and again
    key, contents = keys.deliveries(keys.new_id("job")), [bytes([number]) * 10_000 for number in range(30)]
    storage.replace(key, contents[0], content_type="application/json")
    with ThreadPoolExecutor(1) as writer:
        writing = [
            writer.submit(storage.replace, key, content, content_type="application/json") for content in contents
        ]
        # When it is read meanwhile, then it is always one of them
        while not all(done.done() for done in writing):
            assert read_replaceable(storage, key) in contents
        for done in writing:
            done.result()
    assert read_bytes(storage, key) == contents[-1]
