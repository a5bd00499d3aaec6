"""What only happens to directories: symbolic links, vanished mounts, killed writers, full disks."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import flask
import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import (
    AlreadyExists,
    BadKey,
    NotFound,
)
from tests.storage.local.directory import KEY, REPOSITORY, prepared, put, unfinished
from tests.storage.local.paused_writer import HALF, MOMENTS

# --- the path to a file


@pytest.mark.parametrize("placed_at", [KEY, "uploads/vid_1", "uploads"])
def test_a_symbolic_link_is_never_followed(storage: LocalStorage, root: Path, tmp_path: Path, placed_at: str) -> None:
    # Given a secret outside, and a link to it in the place of the file or of a directory in its path
    secret = tmp_path / "outside" / Path(KEY).relative_to(placed_at)
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_bytes(b"secret")
    (root / placed_at).parent.mkdir(parents=True, exist_ok=True)
    (root / placed_at).symlink_to(tmp_path / "outside")

    # Then it can be neither read nor listed nor removed
    for ask in (storage.open, storage.info):
        with pytest.raises(NotFound):
            ask(KEY)
    with pytest.raises(NotFound):
        storage.local_copy(KEY, tmp_path, sha256="")
    assert not storage.exists(KEY)
    assert not storage.delete(KEY)
    assert list(storage.list("uploads/")) == []

    # And nothing is written through it
    with pytest.raises((BadKey, AlreadyExists)):
        put(storage, KEY, b"mine")
    assert secret.read_bytes() == b"secret"
    assert unfinished(root) == []


def test_a_dangling_link_is_not_written_through(storage: LocalStorage, root: Path, tmp_path: Path) -> None:
    # Given a link to a file that is not there yet
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).symlink_to(tmp_path / "planted")

    # When its key is written
    with pytest.raises(AlreadyExists):
        put(storage, KEY, b"mine")

    # Then the other end stays empty
    assert not (tmp_path / "planted").exists()
    assert not storage.exists(KEY)


def test_links_in_the_storage_s_internal_directory_are_not_followed(
    storage: LocalStorage, root: Path, tmp_path: Path
) -> None:
    # Given an incoming directory that is a link
    (tmp_path / "outside").mkdir()
    (root / keys.INCOMING).symlink_to(tmp_path / "outside")

    # Then no file is started there
    with pytest.raises(BadKey):
        put(storage, KEY, b"mine")
    assert list((tmp_path / "outside").iterdir()) == []


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    # Given a root that is a link to a directory
    (tmp_path / "disk").mkdir()
    (tmp_path / "storage").symlink_to(tmp_path / "disk")

    # When it is used
    storage = prepared(tmp_path / "storage")
    put(storage, KEY, b"x")

    # Then the files are at its other end
    assert (tmp_path / "disk" / KEY).read_bytes() == b"x"


def test_only_regular_files_count(storage: LocalStorage, root: Path) -> None:
    # Given a fifo, a directory and what a network filesystem keeps of deleted files, next to one file
    put(storage, KEY, b"x")
    os.mkfifo(root / "uploads/vid_1/fifo")
    (root / "uploads/vid_1/directory").mkdir()
    (root / "uploads/vid_1/.nfs000001").write_bytes(b"x")
    (root / "uploads/vid_1/not a key").write_bytes(b"x")

    # Then the file alone is listed, and opening the others neither works nor hangs
    assert [blob.key for blob in storage.list("uploads/")] == [KEY]
    for name in ("fifo", "directory"):
        with pytest.raises(NotFound):
            storage.open(f"uploads/vid_1/{name}")


def test_directories_deeper_than_any_key_are_not_listed(storage: LocalStorage, root: Path) -> None:
    """Without a limit the listing ends in a ``RecursionError``."""
    # Given a file of ours, and more directories in each other than a listing could recurse into
    put(storage, KEY, b"x")
    deep = root / "uploads/d"
    try:
        for _ in range(1200):
            deep.mkdir()
            deep = deep / "d"

        # Then the listing ends
        assert [blob.key for blob in storage.list("uploads/")] == [KEY]
    finally:
        subprocess.run(["rm", "-rf", str(root / "uploads/d")], check=True)  # Python's own recurses too


def test_a_directory_that_may_not_be_read_stops_no_listing(tmp_path: Path) -> None:
    """A ``lost+found`` would end every listing."""
    # Given a file of ours, and directories of another user next to it
    root = tmp_path / "storage"
    put(prepared(root), KEY, b"x")
    for name in ("lost+found", "results"):
        (root / "uploads" / name).mkdir(mode=0o000)

    # When a process lists that may not read them
    program = "from tests.storage.local.listing import main; main()"
    command = [sys.executable, "-c", program, str(root), "uploads/"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)

    # Then it gets the rest, and the log names what it did not see
    assert listed.stdout.split() == [KEY]
    assert "storage.unreadable" in listed.stderr
    assert "uploads/lost+found/" in listed.stderr


def test_files_are_private_to_owner_and_group(storage: LocalStorage, root: Path) -> None:
    put(storage, KEY, b"x")
    assert (root / KEY).stat().st_mode & 0o777 == 0o640
    assert (root / KEY).parent.stat().st_mode & 0o007 == 0


def test_flask_can_send_a_file(storage: LocalStorage) -> None:
    # Given a front end that sends a stored file
    put(storage, KEY, b"0123456789")
    app = flask.Flask(__name__)
    app.add_url_rule("/", view_func=lambda: flask.send_file(storage.open(KEY), mimetype="video/mp4", conditional=False))

    # When it is requested
    with app.test_client() as client, client.get("/") as answer:
        # Then the response has its bytes
        assert (answer.status_code, answer.data) == (200, b"0123456789")


def test_emptied_directories_are_removed_up_to_the_top_one(storage: LocalStorage, root: Path) -> None:
    # Given two files in nested directories
    put(storage, "results/job_1/attempts/1-a/poster.jpg", b"x")
    put(storage, "results/job_1/output.json", b"x")

    # When one after the other is deleted, then directories are removed as they become empty
    storage.delete("results/job_1/attempts/1-a/poster.jpg")
    assert [path.name for path in (root / "results/job_1").iterdir()] == ["output.json"]
    storage.delete("results/job_1/output.json")
    assert list((root / "results").iterdir()) == []


def test_writing_into_a_directory_that_is_being_emptied_succeeds(storage: LocalStorage) -> None:
    # Given a thread that writes and deletes a file, which removes the emptied directory each time
    stop = threading.Event()

    def write_and_delete() -> None:
        while not stop.is_set():
            put(storage, "results/job_1/neighbour", b"x")
            storage.delete("results/job_1/neighbour")

    neighbour = threading.Thread(target=write_and_delete)
    neighbour.start()

    # When files are written into that directory and deleted again
    try:
        for _ in range(200):
            put(storage, "results/job_1/mine", b"mine")
            assert storage.delete("results/job_1/mine")
    finally:
        stop.set()
        neighbour.join()

    # Then none was lost, and both have cleaned up
    assert list(storage.list("results/")) == []


# --- killed writers


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_writer_leaves_all_or_nothing(storage: LocalStorage, root: Path, moment: str) -> None:
    # Given a process that is stopped at some moment of storing a file
    command = [sys.executable, "-m", "tests.storage.local.paused_writer", str(root), KEY, moment]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"stopped\n"

        # When it is killed there
        writer.kill()

    # Then the file is whole once it has its name, and not there before
    linked = moment in ("after link", "before unlink")
    assert storage.exists(KEY) == linked
    assert [blob.key for blob in storage.list("uploads/")] == [KEY] * linked
    if linked:
        assert read_bytes(storage, KEY) == HALF * 2

    # And the sweep removes what killed writers left, and nothing else
    assert len(unfinished(root)) == 1
    assert storage.sweep_incomplete(3600) == 0
    assert storage.sweep_incomplete(0) == 1
    assert unfinished(root) == []
    assert storage.exists(KEY) == linked


def test_the_sweep_depends_on_the_age_of_each_file(storage: LocalStorage, root: Path) -> None:
    # Given one unfinished file that was last written two hours ago, and a fresh one
    with storage.open_writer(KEY):
        (old_name,) = unfinished(root)
        status = (root / keys.INCOMING / old_name).stat()
        os.utime(root / keys.INCOMING / old_name, (status.st_atime, status.st_mtime - 7200))
        with storage.open_writer(KEY) as fresh:
            fresh.write(b"x")

            # When all older than an hour is swept
            swept = storage.sweep_incomplete(3600)

            # Then only the old one was removed
            assert swept == 1
            assert old_name not in unfinished(root)
            fresh.publish()
    assert read_bytes(storage, KEY) == b"x"
