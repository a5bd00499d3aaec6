"""`clipzy recover` where it cannot do anything: one line with the remedy, and nothing left behind."""

import json
from pathlib import Path

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from tests.support.processes import clipzy


def complaint(directory: Path, status: int, **given: str) -> str:
    """The one line of a `clipzy recover` that ends with this status."""
    before = set(directory.rglob("*"))
    ended = clipzy("recover", cwd=directory, **given)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert set(directory.rglob("*")) == before
    (line,) = ended.stderr.splitlines()
    return line


def test_a_redis_that_is_out_of_reach_is_named_with_the_remedy(tmp_path: Path, free_port: int) -> None:
    url = f"redis://127.0.0.1:{free_port}/0"
    line = complaint(tmp_path, 1, REDIS_URL=url)
    assert line.startswith(f"clipzy: {url}: Redis cannot be reached")
    assert line.endswith(" Start it, or set REDIS_URL to its address.")


def test_a_redis_that_refuses_is_named(tmp_path: Path, redis_url: str) -> None:
    wrong = f"redis://:wrong@{redis_url.partition('@')[2]}"
    line = complaint(tmp_path, 78, REDIS_URL=wrong)
    assert line.startswith("clipzy: REDIS_URL=redis://***@")
    assert line.endswith(" refuses this user and password. Correct the URL.")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_directory_that_is_no_storage_is_left_as_it_is(tmp_path: Path, redis_url: str, is_there: bool) -> None:
    """It became a storage, with "all in step", when the command was started in another directory."""
    storage = tmp_path / "storage"
    if is_there:
        storage.mkdir()
        (storage / "holidays.jpg").touch()
    line = complaint(tmp_path, 78, REDIS_URL=redis_url)
    assert line.startswith(f"clipzy: {storage} has no .clipzy/storage-id")
    assert line.endswith(" Configure the storage that holds the jobs.")


def test_a_storage_is_recovered_from(tmp_path: Path, redis_url: str) -> None:
    LocalStorage(tmp_path / "storage", shared=False).prepare()
    ended = clipzy("recover", cwd=tmp_path, REDIS_URL=redis_url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{tmp_path}/storage: all in step\n"
    report = json.loads(clipzy("recover", "--json", cwd=tmp_path, REDIS_URL=redis_url).stdout)
    assert (report["storage"], report["waiting"], report["damaged"]) == (f"{tmp_path}/storage", [], [])
