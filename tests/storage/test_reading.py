"""Every storage: ranges, listings, deletion, copies and links."""

import hashlib
import io
from pathlib import Path

import pytest

from clipzy_storage.backends.base import BlobInfo, StorageBackend, put_bytes, read_bytes
from clipzy_storage.backends.s3.reader import STREAM_BLOCK_BYTES
from clipzy_storage.errors import BadKey, NotFound

KEY = "results/job_1/output.json"
CONTENT = bytes(range(256)) * 100


def _put(storage: StorageBackend, key: str, data: bytes = CONTENT) -> None:
    put_bytes(storage, key, data, content_type="application/octet-stream")


def _listed(storage: StorageBackend, prefix: str) -> list[str]:
    return [blob.key for blob in storage.list(prefix)]


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (0, None),
        (0, 10),
        (5, None),
        (5, 10),
        (0, 0),
        (len(CONTENT) - 1, 1),
        (len(CONTENT) - 1, 50),
        (len(CONTENT), 1),
        (len(CONTENT) + 7, None),
        (0, len(CONTENT) * 2),
    ],
)
def test_a_range_is_read(storage: StorageBackend, start: int, length: int | None) -> None:
    # Given a file
    _put(storage, KEY)

    # When a range of it is read, in pieces
    with storage.open(KEY, start=start, length=length) as stream:
        pieces = list(iter(lambda: stream.read(1000), b""))

    # Then it is what Python would cut, and ends where the file ends
    end = None if length is None else start + length
    assert b"".join(pieces) == CONTENT[start:end]


def test_a_range_of_a_large_file_may_begin_and_end_in_any_block(storage: StorageBackend) -> None:
    # Given a file of several of the blocks in which a stream is read, without two alike
    content = b"".join(number.to_bytes(4, "big") for number in range(3 * STREAM_BLOCK_BYTES // 4)) + b"end"
    _put(storage, KEY, content)
    edges = [0, 1, *(STREAM_BLOCK_BYTES * count + more for count in (1, 2) for more in (-1, 0, 1)), len(content) - 1]

    # When ranges of it are read, then each is what Python would cut
    for start in edges:
        for end in (edge for edge in (*edges, len(content)) if edge > start):
            with storage.open(KEY, start=start, length=end - start) as stream:
                assert stream.read() == content[start:end], (start, end)


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
def test_a_range_that_makes_no_sense_is_refused(storage: StorageBackend, start: int, length: int | None) -> None:
    _put(storage, KEY)
    with pytest.raises(ValueError, match="range"):
        storage.open(KEY, start=start, length=length)


def test_a_whole_file_can_be_read_from_anywhere(storage: StorageBackend) -> None:
    # Given an open file
    _put(storage, KEY)
    with storage.open(KEY) as stream:
        # When it is read out of order
        end = stream.seek(-3, io.SEEK_END), stream.read()
        begin = stream.seek(2), stream.read(2)
        on = stream.seek(1, io.SEEK_CUR), stream.read(1), stream.tell()

    # Then each read starts at the given position
    assert end == (len(CONTENT) - 3, CONTENT[-3:])
    assert begin == (2, CONTENT[2:4])
    assert on == (5, CONTENT[5:6], 6)


def test_what_is_not_there_is_not_found(storage: StorageBackend, tmp_path: Path) -> None:
    # Given a storage with one file; a directory and a path below a file are not files
    _put(storage, KEY)
    for key in ("results/job_2/output.json", "results/job_1", f"{KEY}/x"):
        # Then nothing else can be read
        with pytest.raises(NotFound):
            storage.open(key)
        with pytest.raises(NotFound):
            storage.info(key)
        with pytest.raises(NotFound):
            storage.local_copy(key, tmp_path, sha256="")
        assert not storage.exists(key)
        assert not storage.delete(key)
    assert storage.exists(KEY)


def test_a_listing_is_in_the_order_of_whole_keys(storage: StorageBackend) -> None:
    # Given keys whose directories would sort differently by their names alone
    names = ["results/a/b/2", "results/a/b/1", "results/a.x", "results/a-b/1", "results/a0", "results/a/c"]
    for name in [*names, "uploads/other", "jobs/open/results"]:
        _put(storage, name, name.encode())

    # Then each prefix lists its files, in order, with sizes
    assert _listed(storage, "results/") == sorted(names)
    assert _listed(storage, "results/a/") == ["results/a/b/1", "results/a/b/2", "results/a/c"]
    assert next(iter(storage.list("results/a/b/"))) == BlobInfo("results/a/b/1", 13)
    assert _listed(storage, "results/a/c/") == []
    assert _listed(storage, "results/nothing/") == []


def test_a_listing_begins_after_a_key(storage: StorageBackend) -> None:
    # Given entries of three days, written in another order
    days = "jobs/by-day/2026-01-"
    first, second, third, last = f"{days}01/job_z", f"{days}02/job_b", f"{days}02/job_d", f"{days}03/job_a"
    for key in (last, second, first, third):
        _put(storage, key, b"")

    # Then it begins right after any key, whether or not there is such a file
    for after, rest in {
        "": [first, second, third, last],
        "jobs/": [first, second, third, last],
        first: [second, third, last],
        f"{days}02/": [second, third, last],
        f"{days}02/job_b": [third, last],
        f"{days}02/job_c": [third, last],
        f"{days}02/job_b/x": [third, last],
        f"{days}02x": [last],
        last: [],
        "uploads/": [],
    }.items():
        assert [blob.key for blob in storage.list("jobs/", after=after)] == rest, after


@pytest.mark.parametrize("prefix", ["", "/", "results", "other/", "results/../", "results//", "/results/"])
def test_a_listing_needs_a_prefix_of_keys(storage: StorageBackend, prefix: str) -> None:
    with pytest.raises(BadKey):
        list(storage.list(prefix))


def test_a_listing_goes_on_while_its_files_are_deleted(storage: StorageBackend) -> None:
    # Given several files in separate directories
    names = [f"results/job_{number}/x" for number in range(5)]
    for name in names:
        _put(storage, name)

    # When each is deleted as soon as it is listed
    deleted = [storage.delete(blob.key) for blob in storage.list("results/")]

    # Then all are deleted
    assert deleted == [True] * 5
    assert _listed(storage, "results/") == []


def test_a_deleted_key_is_gone_and_free_again(storage: StorageBackend) -> None:
    # Given two neighbours
    _put(storage, KEY)
    _put(storage, "results/job_1/poster.jpg")

    # When one is deleted, twice
    answers = [storage.delete(KEY), storage.delete(KEY)]

    # Then it is gone, its neighbour is not, and the key can be written
    assert answers == [True, False]
    assert _listed(storage, "results/") == ["results/job_1/poster.jpg"]
    _put(storage, KEY, b"new")
    assert read_bytes(storage, KEY) == b"new"


def test_a_local_copy_is_a_real_file(storage: StorageBackend, tmp_path: Path) -> None:
    # Given a stored file and a scratch directory
    _put(storage, KEY)
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    # When a decoder asks for a path
    path = storage.local_copy(KEY, scratch, sha256=hashlib.sha256(CONTENT).hexdigest())

    # Then it holds the same bytes, and the storage still does
    assert path.read_bytes() == CONTENT
    assert read_bytes(storage, KEY) == CONTENT


def test_a_link_names_the_file(storage: StorageBackend) -> None:
    # When a link is asked for
    link = storage.link(KEY)

    # Then it leads to the key, and lives for ever exactly where it needs no signature
    assert KEY in link.url
    assert (link.expires_at is None) == (storage.kind == "local")
    if storage.kind == "local":
        assert link.url == f"/storage/{KEY}"


def test_free_space_is_a_number_or_unknown(storage: StorageBackend) -> None:
    free = storage.free_space()
    assert free.size_bytes is None or free.size_bytes > 0
    assert free.inodes is None or free.inodes > 0
