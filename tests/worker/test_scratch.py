"""The folders in which attempts work: room is looked for first, and nothing is left."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from clipzy_storage.errors import ConfigurationError, StorageFull, StorageUnavailable
from clipzy_storage.process import ProcessIdentity
from clipzy_worker.processing.scratch import attempt_directory, check, sweep


def test_a_folder_is_there_for_its_attempt_alone(tmp_path: Path) -> None:
    with attempt_directory(tmp_path / "work", "job-1") as folder:
        (folder / "still.jpg").write_bytes(b"x")
        assert folder.stat().st_mode & 0o077 == 0
    assert list((tmp_path / "work").iterdir()) == []


def test_without_room_no_job_starts_and_nothing_is_left(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageFull, match=r"WORK_DIR has \d+ MiB free, a job needs 1152921504606846976 MiB"),
        attempt_directory(tmp_path / "work", "job-1", needed_bytes=1 << 80),
    ):
        pytest.fail("there cannot be so much room")
    assert list((tmp_path / "work").iterdir()) == []


def test_only_folders_of_the_dead_are_swept(tmp_path: Path) -> None:
    # Given folders of a living process, of a dead one, of one out of sight, and one that is nobody's
    own = ProcessIdentity.own()
    owners = {"alive": own, "dead": replace(own, start_ticks="1"), "far": replace(own, host="x", start_ticks="1")}
    for name, owner in owners.items():
        (tmp_path / f"job_{name}").mkdir()
        (tmp_path / f"job_{name}" / "owner.json").write_text(json.dumps(owner.as_dict()))
    for name in ("job_half", "job_old", "else"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "owner.json").write_text("{")
    os.utime(tmp_path / "job_old", (0, 0))
    # When the work folder is swept
    assert sweep(tmp_path) == 2
    # Then only the dead one's is gone, and the one that has been nobody's for long
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else", "job_alive", "job_far", "job_half"]


def test_a_full_or_forbidden_place_is_trouble_that_may_pass(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable), attempt_directory(tmp_path / "file", "job-1"):
        pytest.fail("a file is no folder")
    with pytest.raises(ConfigurationError, match=f"WORK_DIR={tmp_path}/file cannot be used"):
        check(tmp_path / "file")
    check(tmp_path / "some" / "work")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_sweeping_a_folder_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "missing") == 0
