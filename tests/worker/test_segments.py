"""Segments of a rendered video go to storage while the media process goes on, and come back for the next attempt."""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageWriter, put_bytes, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import CancellationRequested, StorageFull
from clipzy_worker.errors import MediaCrashed
from clipzy_worker.processing.segments import SegmentUploads, fetch_segments
from clipzy_worker.sandbox.output_checks import output_excess
from clipzy_worker.sandbox.request import SEGMENTS, MediaLimits
from tests.support.waiting import eventually

JOB_ID = keys.new_id("job")
PLAN = "0123456789abcdef"
NAMES = [f"{PLAN}-{number:05}" for number in range(3)]
MANY_BYTES = 1 << 30


def content(name: str) -> bytes:
    return name.encode() * 1000


def key_of(name: str, data: bytes | None = None) -> str:
    return keys.segment(JOB_ID, name, hashlib.sha256(content(name) if data is None else data).hexdigest())


def stored(storage: LocalStorage) -> list[str]:
    return [blob.key for blob in storage.list(keys.SEGMENTS)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The output directory of an attempt that has finished all segments."""
    directory = tmp_path / "out" / SEGMENTS
    directory.mkdir(parents=True)
    for name in NAMES:
        (directory / f"{name}.mp4").write_bytes(content(name))
    return tmp_path / "out"


def fetched(storage: LocalStorage, out: Path, *, max_bytes: int = MANY_BYTES) -> dict[str, bytes]:
    out.mkdir()
    fetch_segments(storage, JOB_ID, out, max_bytes=max_bytes, on_progress=lambda: None)
    return {path.stem: path.read_bytes() for path in (out / SEGMENTS).iterdir()}


class GatedStorage(LocalStorage):
    """What is written waits while ``answers`` is cleared, and fails while ``is_full``."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, shared=False)
        self.answers = threading.Event()
        self.is_full = False

    @contextmanager
    def open_writer(self, key: str, **more: Any) -> Iterator[StorageWriter]:  # type: ignore[override]
        if self.is_full:
            raise StorageFull("no room")
        assert self.answers.wait(60)
        with super().open_writer(key, **more) as writer:
            yield writer


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[GatedStorage]:
    storage = GatedStorage(tmp_path / "storage")
    storage.answers.set()
    storage.prepare()
    yield storage
    storage.answers.set()


def test_what_one_attempt_has_stored_the_next_one_has(storage: LocalStorage, out: Path, tmp_path: Path) -> None:
    # Given segments that are stored while the media process goes on
    with SegmentUploads(storage, JOB_ID, out, max_bytes=MANY_BYTES) as uploads:
        uploads.add(NAMES[:2])
        eventually(lambda: len(stored(storage)) == 2, "two stored segments")
    # Then they lie under their digests, and the next attempt has them in its directory
    assert stored(storage) == [key_of(name) for name in NAMES[:2]]
    assert fetched(storage, tmp_path / "next") == {name: content(name) for name in NAMES[:2]}


def test_a_damaged_one_is_not_used_and_not_kept(storage: LocalStorage, tmp_path: Path, logged: list[Any]) -> None:
    # Given a whole segment, one whose bytes are others, and what is no segment
    good, bad = key_of(NAMES[0]), key_of(NAMES[1])
    put_bytes(storage, good, content(NAMES[0]), content_type="video/mp4")
    put_bytes(storage, bad, content(NAMES[2]), content_type="video/mp4")
    other = put_bytes(storage, f"{keys.segments(JOB_ID)}other.mp4", b"x", content_type="video/mp4").key
    # Then only the first is fetched, and the second is gone
    assert list(fetched(storage, tmp_path / "next")) == [NAMES[0]]
    assert stored(storage) == [good, other]
    assert "segment.damaged" in [line["event"] for line in logged]


def test_no_more_is_fetched_than_a_result_may_have(storage: LocalStorage, tmp_path: Path) -> None:
    for name in NAMES:
        put_bytes(storage, key_of(name), content(name), content_type="video/mp4")
    assert len(fetched(storage, tmp_path / "next", max_bytes=2 * len(content(NAMES[0])))) == 2


@pytest.mark.parametrize(
    ("error", "is_stored"), [(MediaCrashed(), True), (SystemExit(), True), (CancellationRequested(JOB_ID), False)]
)
def test_what_another_attempt_may_need_is_still_stored(
    gated: GatedStorage, out: Path, error: BaseException, is_stored: bool
) -> None:
    """If `__exit__` never waits nothing is stored, and if it always does a cancelled job leaves segments."""
    # Given a storage that is slow, and an attempt that ends at once
    gated.answers.clear()
    uploads = SegmentUploads(gated, JOB_ID, out, max_bytes=MANY_BYTES)
    uploads.add(NAMES)
    threading.Timer(0.3, gated.answers.set).start()
    with pytest.raises(type(error)), uploads:
        raise error
    uploads.wait(60)
    assert stored(gated) == ([key_of(name) for name in NAMES] if is_stored else [])


def test_a_full_storage_is_no_reason_to_fail(gated: GatedStorage, out: Path, logged: list[Any]) -> None:
    gated.is_full = True
    with SegmentUploads(gated, JOB_ID, out, max_bytes=MANY_BYTES) as uploads:
        uploads.add(NAMES[:1])
        eventually(lambda: "segment.not_stored" in [line["event"] for line in logged], "a warning")
        # The next one is stored all the same, once there is room
        gated.is_full = False
        uploads.add(NAMES[1:])
        eventually(lambda: len(stored(gated)) == 2, "two stored segments")


def test_a_hostile_media_process_has_nothing_else_stored(
    storage: LocalStorage, out: Path, tmp_path: Path, logged: list[Any]
) -> None:
    """Without `O_NOFOLLOW` and the check of the file, what a link leads to is stored, and the pipe is waited for."""
    # Given links to a secret and a pipe in the place of segments, and one over the limit
    (tmp_path / "secret").write_bytes(b"secret")
    link, pipe, large = (out / SEGMENTS / f"{name}.mp4" for name in NAMES)
    link.unlink()
    link.symlink_to(tmp_path / "secret")
    pipe.unlink()
    os.mkfifo(pipe)
    large.write_bytes(b"x" * 2000)
    with SegmentUploads(storage, JOB_ID, out, max_bytes=1999) as uploads:
        uploads.add(NAMES)
        eventually(lambda: [line["event"] for line in logged].count("segment.not_stored") == 3, "three warnings")
    assert stored(storage) == []


def test_segments_do_not_count_with_the_result(out: Path, tmp_path: Path) -> None:
    size_bytes = sum(len(content(name)) for name in NAMES)
    (out / "output.mp4").write_bytes(b"x" * size_bytes)
    assert output_excess(out, MediaLimits(output_bytes=size_bytes)) is None
    assert output_excess(out, MediaLimits(output_bytes=size_bytes - 1)) is not None
    # But as much as a result may have they may have too, and no more; and a link leads nowhere
    (out / "output.mp4").unlink()
    assert output_excess(out, MediaLimits(output_bytes=size_bytes - 1)) is not None
    (out / SEGMENTS).rename(tmp_path / "elsewhere")
    (out / SEGMENTS).symlink_to(tmp_path / "elsewhere")
    assert output_excess(out, MediaLimits(output_bytes=size_bytes - 1)) is None


def test_the_bytes_are_those_of_the_file(storage: LocalStorage, out: Path) -> None:
    with SegmentUploads(storage, JOB_ID, out, max_bytes=MANY_BYTES) as uploads:
        uploads.add(NAMES[:1])
        eventually(lambda: stored(storage), "a stored segment")
    assert read_bytes(storage, key_of(NAMES[0])) == content(NAMES[0])
