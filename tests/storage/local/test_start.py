"""What is particular to the start on a directory: what may be in its place, and what a retraction must keep."""

import os
import threading
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import ConfigurationError, StorageError, StorageUnavailable
from tests.storage.local.directory import KEY, prepared, put


def _refusal(root: Path, *, shared: bool = False) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        LocalStorage(root, shared=shared).prepare()
    (line,) = refusal.value.problems
    assert f"LOCAL_STORAGE_PATH={root} " in line
    assert "\n" not in line
    return line


@pytest.mark.parametrize("replacement", ["nothing", "empty directory", "another storage", "file"])
def test_a_replaced_root_is_neither_written_nor_believed(
    storage: LocalStorage, root: Path, tmp_path: Path, replacement: str
) -> None:
    # Given a storage with a file, and an unfinished one
    put(storage, KEY, b"x")
    with storage.open_writer("uploads/vid_2/source.mp4") as incoming:
        # When something else is in its place
        root.rename(tmp_path / "moved")
        if replacement == "empty directory":
            root.mkdir()
        if replacement == "another storage":
            prepared(root)
        if replacement == "file":
            root.touch()
        with pytest.raises(StorageUnavailable):
            incoming.publish()

    # Then no call takes it for the storage
    for call in (storage.exists, storage.delete, storage.info, storage.open):
        with pytest.raises(StorageUnavailable):
            call(KEY)
    for attempt in (lambda: put(storage, KEY, b"y"), lambda: list(storage.list("uploads/")), storage.free_space):
        with pytest.raises(StorageUnavailable) as refusal:
            attempt()
        assert str(tmp_path) not in str(refusal.value)
    assert not (root / "uploads").exists()


def test_a_declared_share_is_never_created(root: Path) -> None:
    # When a declared share is not there
    line = _refusal(root, shared=True)

    # Then the refusal names it and the remedy, and nothing was created
    assert "declared shared but does not exist" in line
    assert "Mount" in line
    assert not root.exists()


@pytest.mark.parametrize("in_place_of", ["storage", "storage/.clipzy", "storage/.clipzy/probe"])
def test_a_file_in_the_place_of_a_directory_is_refused(root: Path, tmp_path: Path, in_place_of: str) -> None:
    # Given a file in the place of a directory
    (tmp_path / in_place_of).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / in_place_of).write_text("mine")

    # Then the storage is refused, and the file stays
    assert "is not a directory, or is below something that is not one" in _refusal(root)
    assert (tmp_path / in_place_of).read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"\n", b"f" * 32, b"F" * 32 + b"\n", b"f" * 33 + b"\n", b"\xff" * 33])
def test_a_damaged_identity_is_refused_and_kept(storage: LocalStorage, root: Path, content: bytes) -> None:
    # Given an identity that was damaged
    (root / keys.STORAGE_ID).write_bytes(content)

    # Then the next start is refused, and running processes stop
    assert "damaged .clipzy/storage-id" in _refusal(root)
    with pytest.raises(StorageUnavailable):
        storage.exists(KEY)

    # And the file is left for a person to judge
    assert (root / keys.STORAGE_ID).read_bytes() == content


@pytest.mark.parametrize("kind", ["directory", "fifo", "dangling link"])
def test_an_identity_that_cannot_be_read_is_refused(root: Path, tmp_path: Path, kind: str) -> None:
    # Given something else under the name of the identity
    (root / keys.STORAGE_ID).parent.mkdir(parents=True)
    if kind == "directory":
        (root / keys.STORAGE_ID).mkdir()
    elif kind == "fifo":
        os.mkfifo(root / keys.STORAGE_ID)
    else:
        (root / keys.STORAGE_ID).symlink_to(tmp_path / "planted")

    # Then the start is refused
    assert "damaged .clipzy/storage-id" in _refusal(root)
    assert not (tmp_path / "planted").exists()


def test_a_start_is_taken_back_to_the_last_directory(tmp_path: Path) -> None:
    # Given a root two directories deep, which the start created
    storage = prepared(tmp_path / "a" / "b")

    # When the start is retracted
    storage.retract()

    # Then no trace is left
    assert list(tmp_path.iterdir()) == []


def test_what_existed_before_is_not_removed(tmp_path: Path) -> None:
    # Given a start on a directory that contained a file
    (tmp_path / "mine.txt").write_text("mine")
    storage = prepared(tmp_path)

    # When the start is retracted
    storage.retract()

    # Then the directory and the file are as before
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_identity_that_others_adopted_is_not_removed(root: Path) -> None:
    # Given a storage that one object made and another only reads
    maker = prepared(root)
    reader = prepared(root)

    # When the maker retracts its start
    maker.retract()

    # Then the reader's storage is still there
    assert not reader.exists(KEY)
    assert reader.prepare() == maker.prepare()


def test_starts_and_retractions_at_the_same_moment_do_no_harm(root: Path) -> None:
    # Given several threads that start and retract, over and over
    failures: list[StorageError | ConfigurationError] = []

    def start_and_retract() -> None:
        for _ in range(20):
            try:
                storage = prepared(root)
                storage.exists(KEY)
                storage.retract()
            except (StorageError, ConfigurationError) as failure:
                failures.append(failure)

    # When they all do so on one directory
    threads = [threading.Thread(target=start_and_retract) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Then each had one storage for as long as it needed it
    assert failures == []
