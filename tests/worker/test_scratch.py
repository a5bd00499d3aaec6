"""The scratch directories of attempts: free space is checked first, and nothing is left behind."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from clipzy_storage.errors import ConfigurationError, StorageFull, StorageUnavailable
from clipzy_storage.process import ProcessIdentity
from clipzy_worker.processing.scratch import attempt_directory, check, sweep
from tests.support.disks import small_disk


def test_a_directory_is_private_and_removed_after_its_attempt(tmp_path: Path) -> None:
    with attempt_directory(tmp_path / "work", "job-1") as directory:
        (directory / "still.jpg").write_bytes(b"x")
        assert directory.stat().st_mode & 0o077 == 0
    assert list((tmp_path / "work").iterdir()) == []


def test_without_free_space_no_job_starts_and_nothing_is_left(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageFull, match=r"WORK_DIR has \d+ MiB.* free, a job needs 1152921504606846976 MiB"),
        attempt_directory(tmp_path / "work", "job-1", needed_bytes=1 << 80),
    ):
        pytest.fail("no disk has so much space")
    assert list((tmp_path / "work").iterdir()) == []


def test_only_directories_of_lost_workers_are_swept(tmp_path: Path) -> None:
    # Given directories of a running process, of an exited one, of one on another host, and without a valid owner
    own = ProcessIdentity.own()
    owners = {"alive": own, "dead": replace(own, start_ticks="1"), "far": replace(own, host="x", start_ticks="1")}
    for name, owner in owners.items():
        (tmp_path / f"job_{name}").mkdir()
        (tmp_path / f"job_{name}" / "owner.json").write_text(json.dumps(owner.as_dict()))
    for name in ("job_half", "job_old", "else"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "owner.json").write_text("{")
    os.utime(tmp_path / "job_old", (0, 0))
    # When the work directory is swept
    assert sweep(tmp_path) == 2
    # Then those of the exited process and the old one without an owner are removed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else", "job_alive", "job_far", "job_half"]


def test_an_unusable_work_directory_is_reported_and_a_usable_one_is_left_unchanged(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable), attempt_directory(tmp_path / "file", "job-1"):
        pytest.fail("a file is no directory")
    with pytest.raises(ConfigurationError, match=f"WORK_DIR={tmp_path}/file cannot be used"):
        check(tmp_path / "file")
    check(tmp_path / "some" / "work")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_sweeping_a_missing_directory_does_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "missing") == 0


def test_without_free_inodes_no_job_starts(tmp_path: Path) -> None:
    # Given a filesystem with much space and few inodes
    with small_disk(tmp_path / "disk", mib=512, options="nr_inodes=900") as disk:
        # When an attempt begins there, then it is refused, and the refusal says why
        refusal = r"WORK_DIR has \d+ MiB and 8\d\d inodes free, a job needs 256 MiB and 1024 inodes"
        with pytest.raises(StorageFull, match=refusal), attempt_directory(disk / "work", "job-1"):
            pytest.fail("it has begun")

    # And one that reports no inodes, as btrfs does, has enough of them
    with small_disk(tmp_path / "unlimited", mib=512, options="nr_inodes=0") as disk:
        assert os.statvfs(disk).f_files == 0
        with attempt_directory(disk / "work", "job-1"):
            pass
