"""Downloads: complete and checked or not there, over connections that break and into directories that are in use."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipzy_api.client import Client, ClipzyError, DownloadFailed, UnusableFile
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.jobs.attempt import AttemptResult
from tests.support import played_worker
from tests.support.servers import FrontEnd
from tests.support.tcp_proxy import Fault, TcpProxy

LARGE = os.urandom(3 << 20)
FILES = {"poster.jpg": b"a poster", "shots/0000.jpg": b"a shot", "curves.bin": LARGE, "empty.json": b""}


@pytest.fixture(scope="module")
def job_id(front_end: FrontEnd) -> str:
    """A completed job with these files."""
    job_id = str(played_worker.submit(front_end)["job_id"])
    played_worker.complete(front_end, job_id, artifacts=FILES)
    return job_id


@pytest.fixture
def line(front_end: FrontEnd) -> Iterator[TcpProxy]:
    """A connection to the front end that can be broken."""
    with TcpProxy(front_end.url) as proxy:
        yield proxy


def files_in(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def has_all(directory: Path) -> bool:
    found = files_in(directory)
    index = json.loads(found.pop("output.json"))
    return found == FILES and [file["name"] for file in index["artifacts"]] == list(FILES)


def partial_in(directory: Path) -> Path:
    (path,) = directory.glob(".curves.bin.*.part")
    return path


def complete_with(front_end: FrontEnd, *changes: dict[str, object]) -> str:
    """A completed job whose result claims to have a file for each of these changes to what is true of one."""
    job_id = str(played_worker.submit(front_end)["job_id"])
    attempt = played_worker.claim(front_end, job_id)
    result = played_worker.write_result(front_end, attempt)
    index = json.loads(result.index)
    index["artifacts"] = [index["artifacts"][0] | changed for changed in changes]
    content = json.dumps(index).encode()
    front_end.storage.delete(attempt.prefix + "output.json")
    put_bytes(front_end.storage, attempt.prefix + "output.json", content, content_type="application/json")
    assert attempt.commit(AttemptResult(attempt.job.attempt, attempt.prefix, content)) is not None
    return job_id


def test_all_files_arrive(client: Client, job_id: str, tmp_path: Path) -> None:
    # When a result is downloaded into a directory that is not there yet
    progress: list[tuple[int, int]] = []
    target = tmp_path / "new" / "directory"
    paths = client.download(job_id, target, on_progress=lambda *done: progress.append(done))
    # Then each file is there, output.json as the last, and nothing else
    assert has_all(target)
    assert paths == [target / name for name in (*FILES, "output.json")]
    # And the progress went to the whole
    assert progress == sorted(progress)
    assert progress[-1][0] == progress[-1][1] == sum(path.stat().st_size for path in paths)


def test_one_connection_serves_all_files(job_id: str, tmp_path: Path, line: TcpProxy) -> None:
    with Client(line.url) as client:
        client.download(job_id, tmp_path)
    assert (has_all(tmp_path), line.accepted) == (True, 1)


def test_chosen_files_arrive(client: Client, job_id: str, tmp_path: Path) -> None:
    assert client.download(job_id, tmp_path, names=["shots/0000.jpg", "empty.json"]) == [
        tmp_path / "shots/0000.jpg",
        tmp_path / "empty.json",
    ]
    assert files_in(tmp_path) == {"shots/0000.jpg": b"a shot", "empty.json": b""}


def test_a_file_that_is_not_listed_is_refused(client: Client, job_id: str, tmp_path: Path) -> None:
    with pytest.raises(ClipzyError, match=r"no file 'x\.jpg'; it has poster\.jpg, shots/0000\.jpg"):
        client.download(job_id, tmp_path / "new", names=["poster.jpg", "x.jpg"])
    assert not (tmp_path / "new").exists()


def test_what_is_there_is_not_fetched_again(client: Client, job_id: str, tmp_path: Path) -> None:
    # Given a download, of which one file was deleted since
    client.download(job_id, tmp_path)
    before = (tmp_path / "curves.bin").stat().st_mtime_ns
    (tmp_path / "poster.jpg").unlink()
    # When it is downloaded again, Then that one is fetched, and the others are left alone
    client.download(job_id, tmp_path)
    assert has_all(tmp_path)
    assert (tmp_path / "curves.bin").stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", ["reset", "cut"])
def test_a_broken_transfer_is_continued(job_id: str, tmp_path: Path, line: TcpProxy, kind: str) -> None:
    # Given connections that all break after a mebibyte
    line.suffer(Fault(kind, after_bytes=1 << 20))  # type: ignore[arg-type]
    progress: list[int] = []
    # When a larger file is downloaded
    with Client(line.url) as client:
        client.download(job_id, tmp_path, on_progress=lambda done, _total: progress.append(done))
    # Then it is there all the same, and no byte was fetched twice
    assert has_all(tmp_path)
    assert progress == sorted(progress)


def test_a_later_call_continues_where_the_first_stopped(
    client: Client, job_id: str, tmp_path: Path, line: TcpProxy
) -> None:
    # Given a download that was given up in the middle
    line.suffer(Fault("cut", after_bytes=2 << 20))
    with Client(line.url, attempts=1) as impatient, pytest.raises(ClipzyError, match="gave no answer"):
        impatient.download(job_id, tmp_path)
    # Then the file is not there under its name, nor is output.json
    kept_bytes = partial_in(tmp_path).stat().st_size
    assert not {"curves.bin", "output.json"} & files_in(tmp_path).keys()
    # When it is downloaded again, Then it begins with what is there
    progress: list[int] = []
    client.download(job_id, tmp_path, names=["curves.bin"], on_progress=lambda done, _total: progress.append(done))
    assert (progress[0], kept_bytes > 1 << 20) == (kept_bytes, True)
    assert files_in(tmp_path)["curves.bin"] == LARGE


@pytest.mark.parametrize("kept", [b"something else", bytes(len(LARGE)), bytes(len(LARGE) + 1)])
def test_a_part_that_is_not_of_this_file_is_dropped(
    client: Client, job_id: str, tmp_path: Path, line: TcpProxy, kept: bytes
) -> None:
    # Given what a broken download has left, and then was changed
    line.suffer(Fault("cut", after_bytes=1 << 20))
    with Client(line.url, attempts=1) as impatient, pytest.raises(ClipzyError):
        impatient.download(job_id, tmp_path)
    partial_in(tmp_path).write_bytes(kept)
    # When it is downloaded again, Then the file is what it should be
    client.download(job_id, tmp_path)
    assert has_all(tmp_path)


def test_a_file_that_is_damaged_on_the_way_is_fetched_again(job_id: str, tmp_path: Path, line: TcpProxy) -> None:
    # Given a connection that changes one bit
    line.suffer(Fault("flip", after_bytes=2 << 20, connections=1))
    # When a file is downloaded over it, Then it arrives as it should be
    with Client(line.url) as client:
        client.download(job_id, tmp_path)
    assert has_all(tmp_path)


def test_a_damaged_file_never_gets_its_name(client: Client, front_end: FrontEnd, tmp_path: Path) -> None:
    # Given a file that has changed in storage
    job_id = str(played_worker.submit(front_end)["job_id"])
    played_worker.complete(front_end, job_id, artifacts=FILES)
    (stored,) = (front_end.root / "results" / job_id).rglob("curves.bin")
    stored.chmod(0o600)
    stored.write_bytes(LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    # When it is downloaded, Then that is noticed
    with pytest.raises(DownloadFailed, match=r"curves\.bin arrived damaged, twice"):
        client.download(job_id, tmp_path)
    assert not {"curves.bin", "output.json"} & files_in(tmp_path).keys()


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/tmp/evil",
        "a/../../evil",
        ".bashrc",
        "a/.git/config",
        "a\\..\\evil",
        "C:evil",
        "a//b",
        "",
        "a\n",
        "é" * 130,
    ],
)
def test_a_name_cannot_lead_elsewhere(client: Client, front_end: FrontEnd, tmp_path: Path, name: str) -> None:
    """A front end may be a stranger's."""
    # Given a result that lists such a name, behind a good one
    job_id = complete_with(front_end, {}, {"name": name})
    target = tmp_path / "deep" / "target"
    # When it is downloaded, Then it is refused before anything is written
    with pytest.raises(DownloadFailed, match="no name that is safe to write"):
        client.download(job_id, target)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("changed", [{"sha256": "../../evil"}, {"size_bytes": -1}])
def test_an_index_that_is_none_is_refused(
    client: Client, front_end: FrontEnd, tmp_path: Path, changed: dict[str, object]
) -> None:
    job_id = complete_with(front_end, changed)
    with pytest.raises(ClipzyError, match="damaged"):
        client.download(job_id, tmp_path / "target")
    assert not list(tmp_path.iterdir())


def test_a_link_out_of_the_directory_is_not_followed(client: Client, job_id: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "target"
    target.mkdir()
    (target / "shots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnusableFile, match="is a link out of"):
        client.download(job_id, target)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_another_file_is_not_replaced_unless_told_to(client: Client, job_id: str, tmp_path: Path) -> None:
    # Given a directory with the poster of another job
    (tmp_path / "poster.jpg").write_bytes(b"of another job")
    # When a job is downloaded, Then it is kept, and nothing is fetched
    with pytest.raises(UnusableFile, match=r"poster\.jpg is there, and is another file"):
        client.download(job_id, tmp_path)
    assert files_in(tmp_path) == {"poster.jpg": b"of another job"}
    # Unless it is to be replaced
    client.download(job_id, tmp_path, overwrite=True)
    assert has_all(tmp_path)


def test_two_downloads_do_not_write_the_same_file(client: Client, job_id: str, tmp_path: Path, line: TcpProxy) -> None:
    # Given a file that another process downloads to the same place
    line.suffer(Fault("cut", after_bytes=1 << 20))
    with Client(line.url, attempts=1) as impatient, pytest.raises(ClipzyError):
        impatient.download(job_id, tmp_path)
    with partial_in(tmp_path).open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        # When it is downloaded, Then that is refused, and possible later
        with pytest.raises(UnusableFile, match=r"curves\.bin is being downloaded by another process"):
            client.download(job_id, tmp_path)
    client.download(job_id, tmp_path)
    assert has_all(tmp_path)


@pytest.mark.parametrize(("path", "complaint"), [("file", "File exists"), ("/proc/clipzy", "No such file")])
def test_a_directory_that_cannot_be_written_is_refused(
    client: Client, job_id: str, tmp_path: Path, path: str, complaint: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnusableFile, match=f"cannot be written: {complaint}"):
        client.download(job_id, tmp_path / path)


def test_a_job_without_a_result_has_no_files(client: Client, front_end: FrontEnd, tmp_path: Path) -> None:
    job_id = str(played_worker.submit(front_end)["job_id"])
    with pytest.raises(ClipzyError, match="JOB_NOT_FINISHED"):
        client.download(job_id, tmp_path / "new")
    assert not (tmp_path / "new").exists()
