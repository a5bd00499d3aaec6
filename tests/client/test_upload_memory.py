"""What is remembered of unfinished uploads: by whom, for which file, and for how long."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clipzy_api.client.uploads.memory import KEPT_SECONDS, Entry, Unfinished, UploadMemory, state_directory
from clipzy_api.client.uploads.source import Source
from clipzy_api.schemas import SignedPart, SignedParts

URL = "http://clipzy.test"


@pytest.fixture
def source(video: Path) -> Source:
    return Source.of(video)


def memory_of(state: Path, *, server: str = URL, api_key: str | None = None) -> UploadMemory:
    return UploadMemory(state, server=server, api_key=api_key)


def kept(entry: Entry, source: Source) -> Unfinished:
    unfinished = Unfinished.begun("tus", "vid_1", source)
    entry.keep(unfinished)
    return unfinished


def test_each_caller_remembers_its_own(state: Path, source: Source, tmp_path: Path) -> None:
    # Given an upload that was not finished
    with memory_of(state).entry(source, idempotency_key=None) as entry:
        unfinished = kept(entry, source)
    # Then it is found again under every path of the file, and by nobody else
    (tmp_path / "directory").mkdir()
    same = Source.of(tmp_path / "directory/.." / source.path.name)
    with memory_of(state).entry(same, idempotency_key=None) as entry:
        assert entry.unfinished == unfinished
        assert entry.unfinished.is_of(source)
    for memory, key in (
        (memory_of(state, server="http://other.test"), None),
        (memory_of(state, api_key="clz_a_b"), None),
        (memory_of(state), "mine"),
    ):
        with memory.entry(source, idempotency_key=key) as entry:
            assert entry.unfinished is None
    # And once it is forgotten, there is nothing
    with memory_of(state).entry(source, idempotency_key=None) as entry:
        entry.forget()
    assert list(state.iterdir()) == []


def test_a_file_in_use_is_remembered_by_one_alone(state: Path, source: Source) -> None:
    with memory_of(state).entry(source, idempotency_key=None) as first:
        kept(first, source)
        with memory_of(state).entry(source, idempotency_key=None) as second:
            assert second.unfinished is None
            second.keep(Unfinished.begun("tus", "vid_2", source))
    with memory_of(state).entry(source, idempotency_key=None) as third:
        assert third.unfinished == first.unfinished


def test_what_is_old_is_forgotten(state: Path, source: Source) -> None:
    with memory_of(state).entry(source, idempotency_key="old") as entry:
        kept(entry, source)
    long_ago = time.time() - KEPT_SECONDS - 60
    for path in state.iterdir():
        os.utime(path, (long_ago, long_ago))
    with memory_of(state).entry(source, idempotency_key=None):
        pass
    assert list(state.iterdir()) == []


def test_another_version_of_a_file_is_another_file(source: Source) -> None:
    unfinished = Unfinished.begun("s3", "vid_1", source)
    os.utime(source.path, ns=(0, source.modified_ns + 1))
    assert not unfinished.is_of(Source.of(source.path))


def test_signatures_are_not_written(state: Path, source: Source) -> None:
    with memory_of(state, api_key="clz_a_secret").entry(source, idempotency_key=None) as entry:
        unfinished = Unfinished.begun("s3", "vid_1", source)
        unfinished.signed = SignedParts(
            parts=[SignedPart(number=1, url="http://s3/?secret")], expires_at=datetime.now(UTC)
        )
        entry.keep(unfinished)
    assert not [path for path in state.iterdir() if "secret" in path.read_text()]
    assert "secret" not in repr(unfinished)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/ada"}, "/state/clipzy/uploads"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/ada"}, "/home/ada/.local/state/clipzy/uploads"),
        ({"HOME": "/home/ada"}, "/home/ada/.local/state/clipzy/uploads"),
        ({}, None),
    ],
)
def test_the_directory_is_that_of_the_user(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], found: str | None
) -> None:
    for name in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert state_directory() == (Path(found) if found else None)
