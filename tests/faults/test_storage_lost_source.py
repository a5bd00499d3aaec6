"""A source that cannot be read, though nothing is wrong with what is in it: a temporary failure, and no crash."""

import os
from pathlib import Path

import pytest

from clipzy_storage.errors import Damaged, StorageUnavailable
from clipzy_worker.processing.integrity import Sha256Check
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest

UNREADABLE = {
    "gone with its mount": "gone.mp4",
    "an input/output error": "/proc/self/mem",  # what a process has at address 0 cannot be read: EIO
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_source_that_cannot_be_read_is_a_storage_failure(case: str, tmp_path: Path) -> None:
    """Without the difference the media process has crashed, or the file is called invalid media."""
    request = MediaRequest(tmp_path / UNREADABLE[case], "mp4", tmp_path)
    with MediaProcess(request) as media:
        for _ in media.updates():
            pass
        with pytest.raises(StorageUnavailable, match="could not read the video from storage") as raised:
            media.result()
    assert str(tmp_path) not in str(raised.value)


def test_a_comparison_distinguishes_what_is_damaged_from_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "source.mp4"
    path.write_bytes(bytes(3_000_000))
    for file, error in ((path, Damaged), (tmp_path / "gone.mp4", StorageUnavailable), (tmp_path, StorageUnavailable)):
        with Sha256Check(file, sha256="0" * 64) as comparison, pytest.raises(error) as raised:
            comparison.check()
        assert str(tmp_path) not in str(raised.value)


def test_a_comparison_can_be_ended_while_storage_hangs(tmp_path: Path) -> None:
    # Given a file that gives no byte and does not end
    class Enough(Exception):
        pass

    def give_up() -> None:
        raise Enough

    # When the caller has waited enough, then waiting ends
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with Sha256Check(fifo, sha256="") as comparison, pytest.raises(Enough):
        comparison.check(on_progress=give_up)
    fifo.open("wb").close()  # lets the thread go
