"""`clipzy storage check`: findings, a summary, and an exit status that scripts can rely on."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.redis_client import RedisDatabase
from tests.support import guards
from tests.support.aged_storage import AgedStorage
from tests.support.processes import clipzy
from tests.support.s3_servers import S3Server

Ended = subprocess.CompletedProcess[str]


@pytest.fixture
def shelf(tmp_path: Path) -> AgedStorage:
    return AgedStorage(LocalStorage(tmp_path / "storage", shared=False))


def check(directory: Path, redis_url: str, *options: str, **settings: str) -> Ended:
    where = {"LOCAL_STORAGE_PATH": str(directory / "storage"), "REDIS_URL": redis_url}
    return clipzy("storage", "check", *options, cwd=directory, **where | settings)


def tree(directory: Path) -> set[str]:
    return {str(path) for path in directory.rglob("*")}


def test_no_findings_are_reported_on_one_line(shelf: AgedStorage, redis_url: str, tmp_path: Path) -> None:
    # Given a storage and a Redis that agree
    shelf.completed_job(job=shelf.new_job(shelf.upload(hours=100)), hours=100)
    JobStore(RedisDatabase(redis_url), lease_seconds=60).submit(shelf.open_job(hours=2))
    before = tree(tmp_path)

    # When it is checked with --deep
    ended = check(tmp_path, redis_url, "--deep")

    # Then there are no findings, and no file was added or removed
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"no findings in 2 jobs and 2 uploads in {shelf.storage.location}; 0 unfinished files\n"
    assert tree(tmp_path) == before


def test_findings_are_lines_and_status_one(shelf: AgedStorage, redis_url: str, tmp_path: Path) -> None:
    # Given a lost index, a source without a record, and an unfinished job that Redis does not know
    job = shelf.completed_job(job=shelf.new_job(shelf.upload(hours=100)), hours=100)
    shelf.storage.delete(keys.result_index(job.job_id))
    stray = shelf.put(keys.upload(keys.new_id("vid"), "mp4"), hours=100)
    unknown = shelf.open_job(shelf.upload(hours=100), hours=2)
    before = tree(tmp_path)

    # When it is checked
    ended = check(tmp_path, redis_url)

    # Then each is reported on one line
    assert (ended.returncode, ended.stderr) == (1, "")
    *lines, summary = ended.stdout.splitlines()
    assert lines == [
        f"missing   {keys.result_index(job.job_id)}  the job is completed, and this is the index of its result",
        f"orphaned  {stray}  there is no video.json next to it",
        f"unknown   {keys.open_job(unknown.job_id)}  Redis does not know this unfinished job;"
        " `clipzy recover` restores it",
    ]
    assert summary.startswith("3 findings in 2 jobs and 2 uploads")
    assert tree(tmp_path) == before

    # And the same as JSON
    report: Any = json.loads(check(tmp_path, redis_url, "--json").stdout)
    assert [finding["key"] for finding in report.pop("findings")] == [line.split()[1] for line in lines]
    assert report == {"jobs": 2, "uploads": 2, "unfinished": 0, "foreign": 0, "redis": "compared"}


def test_foreign_files_are_counted_and_no_finding(shelf: AgedStorage, redis_url: str, tmp_path: Path) -> None:
    """One of them directly under ``results/`` ended the check in a traceback."""
    # Given files that Clipzy did not write, at every level
    shelf.completed_job(job=shelf.new_job(shelf.upload(hours=100)), hours=100)
    for place in ("results", "jobs", "jobs/done", "uploads", "results/holidays"):
        (tmp_path / "storage" / place).mkdir(exist_ok=True)
        (tmp_path / "storage" / place / ".DS_Store").write_bytes(b"x")

    # When the storage is checked, then there are no findings
    ended = check(tmp_path, redis_url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[1:] == ["5 foreign files ignored: Clipzy did not write them"]


def test_without_redis_the_storage_is_checked_alone(shelf: AgedStorage, tmp_path: Path, free_port: int) -> None:
    # Given no Redis, and a storage with nothing wrong and an upload in progress
    shelf.open_job(shelf.upload(hours=100), hours=2)
    nowhere = f"redis://127.0.0.1:{free_port}/0"
    with shelf.storage.open_writer("uploads/vid_1/source.mp4"):
        # When it is checked, then storage has no findings, and Redis is reported as not compared
        ended = check(tmp_path, nowhere)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second = ended.stdout.splitlines()
    assert first.endswith("; 1 unfinished file")
    assert second.startswith("not compared with Redis: Redis cannot be reached")

    # And findings in storage still count
    shelf.cancellation_request(keys.new_id("job"), hours=2)
    ended = check(tmp_path, nowhere, "--json")
    assert (ended.returncode, len(json.loads(ended.stdout)["findings"])) == (1, 1)


def test_a_redis_of_another_storage_is_not_compared(shelf: AgedStorage, redis_url: str, tmp_path: Path) -> None:
    # Given a Redis that belongs to another storage
    shelf.open_job(shelf.upload(hours=100), hours=2)
    other = LocalStorage(tmp_path / "other", shared=False)
    guards.join(guards.new_guard(redis_url, "w", other))

    # Then its records are not compared
    ended = check(tmp_path, redis_url)
    assert ended.returncode == 0
    assert "not compared with Redis: it belongs to storage" in ended.stdout


def test_a_directory_that_is_no_storage_is_unchanged(redis_url: str, tmp_path: Path) -> None:
    # When a missing directory is checked, and one that is no storage
    (tmp_path / "photos").mkdir()
    reasons = {
        tmp_path / "storage": "there is no such directory",
        tmp_path / "photos": "the directory has no .clipzy/storage-id that can be read",
    }
    for path, reason in reasons.items():
        ended = check(tmp_path, redis_url, LOCAL_STORAGE_PATH=str(path))

        # Then that is reported, and nothing is created there
        way = "Set LOCAL_STORAGE_PATH to the storage that Clipzy uses, or make that available."
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == f"clipzy: {path} cannot be checked: {reason}. {way}\n"
    assert tree(tmp_path) == {str(tmp_path / "photos")}


def test_a_bucket_is_checked(
    moto_server: S3Server, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a bucket with a damaged record, which is a finding at any age
    for name, value in moto_server.env.items():
        monkeypatch.setenv(name, value)
    bucket = moto_server.new_bucket()
    shelf = AgedStorage(S3Storage(bucket))
    shelf.completed_job()
    damaged = shelf.put(keys.done_job(keys.new_id("job")), b"{")

    # When it is checked, then the record is reported
    settings = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": bucket, **moto_server.env}
    ended = check(tmp_path, redis_url, "--deep", **settings)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.splitlines()[0].startswith(f"damaged   {damaged}  ")
    assert tree(tmp_path) == set()
