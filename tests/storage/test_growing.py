"""Every storage: a file that several requests write, one after the other, in any processes."""

from itertools import cycle

import numpy as np
import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend, read_bytes
from clipzy_storage.backends.s3.storage import SMALLEST_PART_BYTES
from clipzy_storage.errors import AlreadyExists, NotFound
from tests.storage.backends import Backend

ID = "vid_00000000000000000000000000"
KEY = keys.upload(ID, "mp4")
CONTENT = np.arange(4_500_000, dtype=">u4").tobytes()
"""18 MB that show a block out of place; three full parts of a bucket, and a rest."""


def key_of(head: bytes) -> str:
    assert head == CONTENT[: len(head)]
    return KEY


def append(storage: StorageBackend, data: bytes, *, block_bytes: int = 1 << 20, keep: bool = True) -> int:
    """Write it as one request does; the size that is known then."""
    with storage.open_growing(ID, key_of=key_of) as file:
        for start in range(0, len(data), block_bytes):
            file.write(data[start : start + block_bytes])
        if keep:
            file.keep()
        return file.size_bytes


def publish(storage: StorageBackend) -> None:
    with storage.open_growing(ID, key_of=key_of) as file:
        blob = file.publish()
    assert blob.key == KEY
    assert blob.size_bytes == storage.info(KEY).size_bytes


def left(storage: StorageBackend) -> list[str]:
    return [blob.key for blob in storage.list(keys.UPLOADS_IN_PROGRESS)]


def test_requests_of_any_sizes_write_one_file(storage: StorageBackend, backend: Backend) -> None:
    # Given content that is written by requests which end anywhere in the parts that a bucket is sent
    assert storage.growing_bytes(ID) == 0
    written, other = 0, backend.open()
    other.prepare()
    sizes = cycle([1, 100_003, SMALLEST_PART_BYTES - 1, SMALLEST_PART_BYTES + 1, 2 * SMALLEST_PART_BYTES, 65_536])
    # When two processes take turns
    for turn, size_bytes in zip(cycle([storage, other]), sizes, strict=False):
        piece = CONTENT[written : written + size_bytes]
        written += len(piece)
        assert append(turn, piece) == written
        # Then each knows what the other has written
        assert storage.growing_bytes(ID) == other.growing_bytes(ID) == written
        if written == len(CONTENT):
            break
    # And nothing is visible until it is published, and then all of it
    assert not storage.exists(KEY)
    publish(storage)
    assert read_bytes(storage, KEY) == CONTENT
    storage.remove_growing(ID)
    assert left(storage) == []


@pytest.mark.parametrize("size_bytes", [1, 65_536, SMALLEST_PART_BYTES, SMALLEST_PART_BYTES + 1])
def test_files_of_all_sizes_become_whole(storage: StorageBackend, size_bytes: int) -> None:
    append(storage, CONTENT[:size_bytes])
    publish(storage)
    assert read_bytes(storage, KEY) == CONTENT[:size_bytes]


def test_what_a_killed_request_has_written_is_continued(storage: StorageBackend) -> None:
    """Without ``keep`` the latest bytes may be lost, and nothing but these."""
    # Given a request that ends without a word, after one that has ended well
    append(storage, CONTENT[:100_000])
    append(storage, CONTENT[100_000:12_000_000], keep=False)
    # Then what it wrote counts as far as it came, and no byte of the one before is lost
    kept = storage.growing_bytes(ID)
    assert 100_000 <= kept <= 12_000_000
    # And from there the file becomes whole
    append(storage, CONTENT[kept:])
    publish(storage)
    assert read_bytes(storage, KEY) == CONTENT


def test_an_upload_that_is_removed_leaves_nothing(storage: StorageBackend) -> None:
    append(storage, CONTENT)
    storage.remove_growing(ID)
    assert left(storage) == []
    assert storage.growing_bytes(ID) == 0
    assert storage.count_incomplete() == 0
    assert not storage.exists(KEY)
    # And a second time there is nothing to remove
    storage.remove_growing(ID)


def test_the_sweep_of_unfinished_files_leaves_uploads_in_progress_alone(storage: StorageBackend) -> None:
    append(storage, CONTENT[:-1])
    assert storage.sweep_incomplete(0) == 0
    append(storage, CONTENT[-1:])
    publish(storage)
    assert read_bytes(storage, KEY) == CONTENT


def test_a_file_that_is_not_wanted_gets_no_key(storage: StorageBackend) -> None:
    class UnwantedError(Exception):
        pass

    def refuse(_head: bytes) -> str:
        raise UnwantedError

    def send(content: bytes) -> None:
        with storage.open_growing(ID, key_of=refuse) as file:
            file.write(content)
            file.publish()

    for content in (CONTENT[:1000], CONTENT):
        with pytest.raises(UnwantedError):
            send(content)
        storage.remove_growing(ID)
    with pytest.raises(NotFound):
        storage.info(KEY)


def test_a_key_is_written_once(backend_with_races: Backend) -> None:
    storage = backend_with_races.open()
    storage.prepare()
    with storage.open_writer(KEY) as writer:
        writer.write(b"first")
        writer.publish()
    append(storage, CONTENT)
    with pytest.raises(AlreadyExists):
        publish(storage)
    assert read_bytes(storage, KEY) == b"first"
